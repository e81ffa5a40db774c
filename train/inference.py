"""Run a network on a whole data set."""

from __future__ import annotations

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.config import ModelConfig
from model.decision.ood import Detector
from model.image.augment import Transform
from model.network import SkinDiseaseNet
from train.data.loader import eval_loader
from train.distributed import gather_rows, is_main, own_rows
from train.predictions import Predictions


@torch.no_grad()
def predict_rows(
    network: SkinDiseaseNet,
    rows: datasets.Dataset,
    config: ModelConfig,
    *,
    device: torch.device,
    what: str,
    detector: Detector | None = None,
    batch_size: int = 32,
    num_workers: int = 2,
    bf16: bool = False,
    transform: Transform | None = None,
) -> Predictions:
    """Predict every row, in order, with logits and features.

    Every process of a launcher must call it: each computes its share, and all get the full result.

    Args:
        network: is put into eval mode and moved to ``device``.
        rows: from ``train.data.splits.load_split``.
        config: of the network; its temperature gives the probabilities.
        what: for the progress bar.
        detector: computes the unusualness.
        bf16: compute the backbone in bfloat16.
        transform: other than in use, see ``eval_loader``.
    """
    network.to(device).eval()
    share = rows.select(own_rows(len(rows)))
    loader = eval_loader(share, config, batch_size=batch_size, num_workers=num_workers, transform=transform)
    own: list[tuple[NDArray[np.float64], NDArray[np.float32]]] = []
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for images, _ in tqdm(loader, desc=what, unit="batch", leave=False, disable=not is_main()):
            images = images.to(device).to(memory_format=torch.channels_last)
            maps = network.forward_features(images)  # (B, C, h, w)
            logits = network.forward_head(maps).float()
            pooled = maps.float().mean(dim=(2, 3))
            own += zip(logits.cpu().numpy().astype(np.float64), pooled.cpu().numpy(), strict=True)
    gathered = gather_rows(len(rows), own)
    return Predictions.of_rows(
        rows,
        config,
        np.asarray([logits for logits, _ in gathered]).reshape(len(rows), len(config.labels)),
        np.asarray([features for _, features in gathered], dtype=np.float32),
        detector,
    )
