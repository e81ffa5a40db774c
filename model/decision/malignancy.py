"""The total probability of the labels that may be cancer, and whether it calls for advice first."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.labels import condition


@dataclasses.dataclass(frozen=True)
class Malignancy:
    """The summed probability of the labels that may be cancer, its threshold, and whether it fired."""

    probability: float
    threshold: float
    fired: bool


def malignant_labels(config: ModelConfig) -> tuple[str, ...]:
    """The labels whose text says ``malignant``: those that hold cancer or a precursor of it."""
    return tuple(name for name in config.labels if condition(name).malignant)


def malignant_probability(probabilities: NDArray[np.float64], config: ModelConfig) -> NDArray[np.float64]:
    """Summed probability of the labels whose text says ``malignant``, (..., K) → (...), 0 to 1.

    The sum, since a picture that is half melanoma and half basal cell carcinoma is of concern as a whole.
    """
    numbers = [config.labels.index(name) for name in malignant_labels(config)]
    return probabilities[..., numbers].sum(axis=-1)


def malignancy(probabilities: NDArray[np.float64], config: ModelConfig) -> Malignancy | None:
    """Assess one picture's calibrated probabilities, shape (K,); None if no label may be cancer.

    A threshold of 1, the default of a checkpoint without one, never fires.
    """
    if not malignant_labels(config):
        return None
    probability = min(1.0, float(malignant_probability(probabilities, config)))
    threshold = config.malignant_from
    return Malignancy(probability, threshold, threshold < 1.0 and probability >= threshold)


def choose_malignant_bound(
    probabilities: NDArray[np.float64], config: ModelConfig, *, sensitivity: float
) -> float:
    """Choose the largest threshold with the wanted sensitivity for classes that may be cancer.

    Args:
        probabilities: calibrated, (N, K), of those pictures of the validation split.
        config: names the classes.
        sensitivity: the share of them that should reach the threshold, 0 to 1.

    Returns:
        A summed probability; 1.0, which never fires, without pictures.
    """
    if not len(probabilities):
        return 1.0
    falling = np.sort(malignant_probability(probabilities, config))[::-1]
    needed = int(np.ceil(sensitivity * len(falling) - 1e-9))
    return float(falling[max(needed, 1) - 1])
