"""Batches of augmented pictures, each determined by (seed, epoch, position) alone.

No worker keeps random state, so a run that is resumed in the middle of an epoch, with any number of workers,
sees exactly the same pictures.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import datasets
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from model.config import ModelConfig
from model.image import read_image
from model.image.augment import Transform, eval_transform
from model.image.preprocess import decode_side
from train.data.splits import picture_bytes


class Draw(NamedTuple):
    """One picture of a batch: its row, and the seed of its augmentation (None for no randomness)."""

    row: int
    seed: int | None


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed the three random generators that transforms use, and restore their states afterwards."""
    if seed is None:
        yield
        return
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class Pictures(Dataset[tuple[Tensor, int]]):
    """Rows of a data set as (tensor (3, S, S), row index).

    Args:
        rows: from ``train.data.splits.load_split``.
        transform: RGB picture → tensor.
        target_side: for ``read_image``; None decodes at full size.
    """

    def __init__(
        self, rows: datasets.Dataset, transform: Transform, *, target_side: int | None = None
    ) -> None:
        self.rows = rows
        self.transform = transform
        self.target_side = target_side

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: Draw | int) -> tuple[Tensor, int]:
        row, seed = draw if isinstance(draw, Draw) else (draw, None)
        record = self.rows[row]
        with seeded(seed):
            picture = read_image(picture_bytes(record), target_side=self.target_side)
            return self.transform(picture), row


def class_weights(targets: np.ndarray, *, classes: int, power: float) -> Tensor:
    """Weights (classes,) proportional to n ** -power, mean 1 over the rows; 0 for a class without rows."""
    counts = np.bincount(targets, minlength=classes).astype(np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0.0)
    return torch.from_numpy(weights * counts.sum() / (weights * counts).sum()).float()


def sampling_weights(
    targets: np.ndarray,
    sources: Sequence[str | None],
    *,
    classes: int,
    sampler_power: float,
    source_power: float,
) -> Tensor:
    """Sampling weights of the rows: (N,), mean 1.

    Args:
        targets: class index per row, (N,).
        sources: of the pictures, (N,).
        classes: number of classes.
        sampler_power: a class is drawn in proportion to n ** (1 - power), n its rows.
        source_power: within a class a source is drawn in proportion to m ** (1 - power), m its rows there.
    """
    _, cells = np.unique(
        [f"{label} {source}" for label, source in zip(targets, sources, strict=True)], return_inverse=True
    )
    within = np.bincount(cells)[cells].astype(np.float64) ** -source_power
    within /= (
        np.bincount(targets, within, classes) / np.maximum(np.bincount(targets, minlength=classes), 1)
    )[targets]
    weights = class_weights(targets, classes=classes, power=sampler_power)[torch.from_numpy(targets)]
    return weights * torch.from_numpy(within).float()


def epoch_batches(
    weights: Tensor, *, batch_size: int, seed: int, epoch: int, rank: int = 0, world: int = 1
) -> list[list[Draw]]:
    """The batches of one epoch for one process; an incomplete last batch is dropped.

    The rows are drawn once and divided among the processes, so that no two processes get the same position:
        with ``WeightedRandomSampler``, with replacement, or, if all weights are equal, each row once.

    Args:
        weights: of the rows, (N,), see ``sampling_weights``.
        batch_size: pictures per batch and process.
        seed, epoch: determine every draw.
        rank, world: index of this process, and number of processes.
    """
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    if bool((weights == weights[0]).all()):
        order = torch.randperm(len(weights), generator=generator).tolist()
    else:
        order = list(WeightedRandomSampler(weights.tolist(), len(weights), generator=generator))
    seeds = torch.randint(2**31, (len(order),), generator=generator).tolist()
    draws = [Draw(row, seed) for row, seed in zip(order, seeds, strict=True)]
    step = batch_size * world
    return [
        draws[start + rank * batch_size : start + (rank + 1) * batch_size]
        for start in range(0, len(draws) - step + 1, step)
    ]


def train_loader(
    rows: datasets.Dataset,
    transform: Transform,
    batches: list[list[Draw]],
    *,
    target_side: int | None = None,
    num_workers: int,
    pin: bool,
) -> DataLoader:
    """Load the given batches in order; ``target_side`` is for ``read_image``."""
    return DataLoader(
        Pictures(rows, transform, target_side=target_side),
        batch_sampler=batches,
        num_workers=num_workers,
        pin_memory=pin,
        # Its own generator, since the loader would otherwise draw from the one that dropout uses.
        generator=torch.Generator().manual_seed(0),
    )


def eval_loader(
    rows: datasets.Dataset,
    config: ModelConfig,
    *,
    batch_size: int,
    num_workers: int,
    transform: Transform | None = None,
) -> DataLoader:
    """Loads every row once, in order, without randomness, decoded and transformed as in use.

    With another ``transform`` decoded in full size, and each row's randomness seeded by its number.
    """
    pictures: Dataset[tuple[Tensor, int]] = Pictures(
        rows, eval_transform(config=config), target_side=decode_side(config)
    )
    draws = [Draw(row, None) for row in range(len(rows))]
    if transform is not None:
        pictures, draws = Pictures(rows, transform), [Draw(row, row) for row in range(len(rows))]
    return DataLoader(
        pictures,
        batch_sampler=[draws[start : start + batch_size] for start in range(0, len(rows), batch_size)],
        num_workers=num_workers,
        generator=torch.Generator().manual_seed(0),
    )


def draw(rows: datasets.Dataset, count: int) -> datasets.Dataset:
    """A random subset of at most so many rows, in order, drawn with seed 0."""
    if len(rows) <= count:
        return rows
    return rows.select(np.sort(np.random.default_rng(0).permutation(len(rows))[:count]))
