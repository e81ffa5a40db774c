"""Conformal prediction sets: the labels that a picture does not rule out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig

SET_LEVEL = 0.9
"""Coverage: the share of pictures like the calibration ones whose set contains the true label."""

_TOLERANCE = 1e-8  # as in MAPIE, so that both give the same sets


def in_prediction_set(probabilities: NDArray[np.float64], config: ModelConfig) -> NDArray[np.bool_]:
    """Which labels are in the set, (..., K) → (..., K): those of probability ``1 - set_quantile`` or more.

    Least ambiguous sets (Sadinle, Lei and Wasserman 2019) by split conformal prediction. The most probable
    label is always included, even if the rule alone would leave the set empty.

    Args:
        probabilities: calibrated.
        config: with the quantile.
    """
    top = np.arange(probabilities.shape[-1]) == probabilities.argmax(axis=-1)[..., None]
    return top | ((1.0 - probabilities) - config.set_quantile <= _TOLERANCE)


def prediction_set(probabilities: NDArray[np.float64], config: ModelConfig) -> tuple[str, ...] | None:
    """Names of the labels in one picture's set, most probable first; None if the checkpoint has no quantile.

    Args:
        probabilities: calibrated, (K,).
        config: with labels and quantile.
    """
    if config.set_quantile >= 1.0:
        return None
    inside = in_prediction_set(probabilities, config)
    order = np.argsort(-probabilities, kind="stable")
    return tuple(config.labels[number] for number in order if inside[number])
