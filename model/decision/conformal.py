"""Prediction sets: the labels that one picture alone does not rule out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig

SET_LEVEL = 0.9
"""Share of pictures like the calibration ones whose set holds the true label."""

_TOLERANCE = 1e-8  # MAPIE's, so that both put the same labels into a set


def in_prediction_set(probabilities: NDArray[np.float64], config: ModelConfig) -> NDArray[np.bool_]:
    """Which labels are in the set, (..., K) → (..., K): those of probability ``1 - set_quantile`` or more.

    Least ambiguous sets (Sadinle, Lei and Wasserman 2019) by split conformal prediction. The most probable
    label always counts, where the rule alone would leave the set empty too.

    Args:
        probabilities: calibrated.
        config: has the quantile.
    """
    top = np.arange(probabilities.shape[-1]) == probabilities.argmax(axis=-1)[..., None]
    return top | ((1.0 - probabilities) - config.set_quantile <= _TOLERANCE)


def prediction_set(probabilities: NDArray[np.float64], config: ModelConfig) -> tuple[str, ...] | None:
    """Names of the labels in one picture's set, most probable first; None where no quantile was chosen.

    Args:
        probabilities: calibrated, (K,).
        config: has labels and quantile.
    """
    if config.set_quantile >= 1.0:
        return None
    inside = in_prediction_set(probabilities, config)
    order = np.argsort(-probabilities, kind="stable")
    return tuple(config.labels[number] for number in order if inside[number])
