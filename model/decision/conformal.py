"""Conformal prediction sets: the labels that a picture does not rule out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.malignancy import malignant_labels, warned

SET_LEVEL = 0.9
"""Coverage: the share of pictures like the calibration ones whose set contains the true label."""

SOURCE_LEVEL = 0.88
"""The least share of those of any one source with ``SOURCE_PICTURES``."""

SOURCE_PICTURES = 100
"""A source with fewer calibration pictures has no quantile of its own: it would be chance."""

_TOLERANCE = 1e-8  # MAPIE's, so that both put the same labels into a set


def in_prediction_set(probabilities: NDArray[np.float64], config: ModelConfig) -> NDArray[np.bool_]:
    """Which labels are in the set, (..., K) → (..., K): those of probability ``1 - set_quantile`` or more.

    Least ambiguous sets (Sadinle, Lei and Wasserman 2019) by split conformal prediction. The most probable
    label is always included, even if the rule alone would leave the set empty; if the advice to see a doctor
    comes first, so is the most probable label that may be cancer: no set rules out what is warned of.

    Args:
        probabilities: calibrated.
        config: with the quantile.
    """
    inside = _largest(probabilities)
    if malignant := malignant_labels(config):
        of_them = np.where(np.isin(config.labels, malignant), probabilities, -1.0)
        inside |= _largest(of_them) & warned(probabilities, config)[..., None]
    return inside | ((1.0 - probabilities) - config.set_quantile <= _TOLERANCE)


def _largest(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the largest of the last axis is, (..., K) → (..., K)."""
    return np.arange(values.shape[-1]) == values.argmax(axis=-1)[..., None]


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
