"""Mixup and cutmix: every picture of a batch, and its loss, is a mixture of two."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from train.config import TrainConfig


class Mixed(NamedTuple):
    """A batch after mixing.

    Attributes:
        images: (B, 3, H, W).
        rows: indices of the rows that the pictures show, (B,), with their weights in the loss, which sum to
            1.
    """

    images: Tensor
    rows: list[tuple[Tensor, float]]


def mix(images: Tensor, rows: Tensor, config: TrainConfig) -> Mixed:
    """Mix each picture of a batch with another one, using torch's random state.

    Mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018) blends the two,
    cutmix (Yun et al., ICCV 2019) pastes a rectangle of one into the other.

    Args:
        images: (B, 3, H, W).
        rows: indices of the rows that the pictures show, (B,).
        config: ``mixup``, ``cutmix`` and ``mix_share``.
    """
    kinds = [name for name in ("mixup", "cutmix") if getattr(config, name) > 0]
    if not kinds or torch.rand(()).item() >= config.mix_share:
        return Mixed(images, [(rows, 1.0)])
    kind = kinds[int(torch.randint(len(kinds), ()))]
    alpha = getattr(config, kind)
    generator = np.random.default_rng(int(torch.randint(2**31, ())))
    kept = float(generator.beta(alpha, alpha))
    order = torch.randperm(len(rows))
    if kind == "mixup":
        images = kept * images + (1 - kept) * images[order]
    else:
        height, width = images.shape[-2:]
        top, left = generator.integers(0, height), generator.integers(0, width)
        half = np.sqrt(1 - kept) / 2
        above, below = (int(np.clip(top + side * half * height, 0, height)) for side in (-1, 1))
        before, after = (int(np.clip(left + side * half * width, 0, width)) for side in (-1, 1))
        images = images.clone()
        images[:, :, above:below, before:after] = images[order][:, :, above:below, before:after]
        kept = 1 - (below - above) * (after - before) / (height * width)
    return Mixed(images, [(rows, kept), (rows[order], 1 - kept)])
