"""A network's logits for a whole data set."""

from __future__ import annotations

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.config import ModelConfig
from model.network import SkinDiseaseNet
from train.loader import eval_loader
from train.processes import gather_rows, is_main, own_rows


@torch.no_grad()
def predict_logits(
    network: SkinDiseaseNet,
    rows: datasets.Dataset,
    config: ModelConfig,
    *,
    device: torch.device,
    what: str,
    batch_size: int = 32,
    num_workers: int = 2,
    bf16: bool = False,
) -> NDArray[np.float64]:
    """Uncalibrated logits (N, K) of every row, in order.

    Every process of a launcher must call it: each computes its share, and all get the whole result.

    Args:
        network: is put into eval mode and moved to ``device``.
        rows: as ``train.data.load_split`` gives them.
        what: for the progress bar.
        bf16: compute the backbone in bfloat16.
    """
    network.to(device).eval()
    share = rows.select(own_rows(len(rows)))
    loader = eval_loader(share, config, batch_size=batch_size, num_workers=num_workers)
    logits = [np.empty((0, len(config.labels)))]
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for images, _ in tqdm(loader, desc=what, unit="batch", leave=False, disable=not is_main()):
            images = images.to(device).to(memory_format=torch.channels_last)
            logits.append(network(images).float().cpu().numpy().astype(np.float64))
    gathered = gather_rows(len(rows), list(np.concatenate(logits)))
    return np.asarray(gathered).reshape(len(rows), len(config.labels))
