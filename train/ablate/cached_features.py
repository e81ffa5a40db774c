"""Training on cached features: the frozen layers process each picture a few times, the rest trains on that.

A cheap substitute for ``fit`` to compare recipes: the same training step, but with only the cached augmented
views of each picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from timm.models.resnet import ResNet
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from model.errors import ConfigError
from model.files import atomic_path
from model.image.augment import eval_transform
from model.image.preprocess import decode_side
from model.network import SkinDiseaseNet
from train.ablate.heads import ABLATION_HEADS
from train.config import TrainConfig
from train.data.loader import Draw, Pictures
from train.fit.network import augmentation, create_network, model_config
from train.fit.trainer import Trainer
from train.predictions import Predictions

Maps = NDArray[np.float16]
Ints = NDArray[np.int64]


def split(network: SkinDiseaseNet, patterns: Sequence[str]) -> tuple[nn.Sequential, nn.Sequential]:
    """Split a ResNet into its frozen and its trained part.

    Args:
        network: its backbone is a timm ResNet.
        patterns: as ``TrainConfig.trainable``; must cover whole blocks up to the last.

    Raises:
        ConfigError: it is not a ResNet, or the patterns do not cover whole last blocks, or cover all of them.
    """
    backbone = network.backbone
    if not isinstance(backbone, ResNet):
        raise ConfigError(
            "Training on cached features needs a timm ResNet.", hint="Choose a backbone such as resnet50."
        )
    blocks = {name: getattr(backbone, name) for name in ("conv1", "bn1", "act1", "maxpool")}
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        blocks |= {f"{stage}.{name}": block for name, block in getattr(backbone, stage).named_children()}
    trained = [any(fnmatchcase(f"{name}.x", pattern) for pattern in patterns) for name in blocks]
    first = trained.index(True) if any(trained) else len(blocks)
    if not all(trained[first:]) or first == 0:
        raise ConfigError(
            f"trainable is {', '.join(patterns)}; whole blocks up to the last are expected, but not all.",
            hint="Write --trainable '[layer4.*]', for example.",
        )
    modules = list(blocks.values())
    return nn.Sequential(*modules[:first]), nn.Sequential(*modules[first:])


@torch.no_grad()
def cached(path: Path, rows: datasets.Dataset, config: TrainConfig, *, view: int | None) -> Maps:
    """The frozen part's maps for every row, (N, C, h, w), cached in a file.

    Args:
        path: of the file, without extension; it appears when it is complete.
        rows: from ``train.data.splits.load_split``.
        config: of the network, its frozen part and the augmentation.
        view: index of the augmented view; None for pictures without augmentation.
    """
    file = path.with_suffix(".npy")
    if file.is_file():
        return np.load(file, mmap_mode="r")
    torch.manual_seed(config.seed)  # the same random initialisation for every view
    built, network = create_network(config, ABLATION_HEADS)
    frozen = split(network, config.trainable)[0].eval().to(memory_format=torch.channels_last)
    if view is None:
        pictures = Pictures(rows, eval_transform(config=built), target_side=decode_side(built))
    else:
        pictures = Pictures(rows, augmentation(config, built))
    seed = None if view is None else config.seed * 1009 + view
    draws = [Draw(row, None if seed is None else seed * len(rows) + row) for row in range(len(rows))]
    batches = [draws[start : start + 32] for start in range(0, len(draws), 32)]
    loader = DataLoader(pictures, batch_sampler=batches, num_workers=config.num_workers)
    maps, done = None, 0
    with atomic_path(file) as partial:
        for images, _ in tqdm(loader, desc=f"maps {path.name}", unit="batch"):
            with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
                values = frozen(images.to(memory_format=torch.channels_last)).half().numpy()
            if maps is None:
                shape = (len(rows), *values.shape[1:])
                maps = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
            maps[done : done + len(values)] = values
            done += len(values)
        del maps
    return np.load(file, mmap_mode="r")


def train_on_maps(
    config: TrainConfig, views: Sequence[Maps], rows: datasets.Dataset, chosen: Ints, *, name: str
) -> SkinDiseaseNet:
    """Train the trainable part and the head on cached views of some rows.

    Mixup and cutmix are not applied, since they would have to mix maps instead of pictures.

    Args:
        config: the recipe; ``trainable`` must cover whole last blocks.
        views: from ``cached``, one for each augmented view.
        rows: of the views.
        chosen: the indices of the rows to train on.
        name: for the progress bar.
    """
    torch.manual_seed(config.seed)
    config = dataclasses.replace(config, mixup=0.0, cutmix=0.0, compile=False)
    built, network = create_network(config, ABLATION_HEADS)
    network.to(memory_format=torch.channels_last)
    trainer = Trainer(
        config,
        built,
        network,
        rows.select(chosen),
        accelerator=Accelerator(cpu=True, mixed_precision="no"),
        features=partial(_head_maps, network, config),
        what=name,
    )
    for _ in range(config.epochs):
        trainer.train_epoch(
            (
                torch.from_numpy(
                    np.stack([views[(draw.seed or 0) % len(views)][chosen[draw.row]] for draw in batch])
                ),
                torch.tensor([draw.row for draw in batch]),
            )
            for batch in trainer.draws()
        )
        trainer.progress.next_epoch()
    return trainer.kept


@torch.no_grad()
def predict_maps(
    network: SkinDiseaseNet, config: TrainConfig, maps: Maps, rows: datasets.Dataset, chosen: Ints
) -> Predictions:
    """Predict some of the rows from their cached maps without augmentation."""
    network.eval()
    parts = [np.empty((0, len(config.labels)))]
    for start in range(0, len(chosen), 32):
        batch = torch.from_numpy(maps[chosen[start : start + 32]])
        parts.append(network.forward_head(_head_maps(network, config, batch)).double().numpy())
    return Predictions.of_rows(rows.select(chosen), model_config(config), np.concatenate(parts))


def _head_maps(network: SkinDiseaseNet, config: TrainConfig, maps: Tensor) -> Tensor:
    """Compute the map for the head from the frozen part's float16 maps."""
    trained = split(network, config.trainable)[1]
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        return trained(maps.float().to(memory_format=torch.channels_last))
