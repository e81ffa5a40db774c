"""How probable the labels that may be cancer are together, and whether to speak of it first."""

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


def malignant_probability(probabilities: NDArray[np.float64], config: ModelConfig) -> NDArray[np.float64]:
    """Summed probability of the labels whose text says ``malignant``, (..., K) → (...), 0 to 1.

    The sum, since a picture that is half melanoma and half basal cell carcinoma is a worry as a whole.
    """
    numbers = [number for number, name in enumerate(config.labels) if condition(name).malignant]
    return probabilities[..., numbers].sum(axis=-1)


def malignancy(probabilities: NDArray[np.float64], config: ModelConfig) -> Malignancy | None:
    """For one picture's calibrated probabilities, shape (K,); None where no label may be cancer.

    A threshold of 1 never fires: a checkpoint that has none chosen says nothing on its own.
    """
    if not any(condition(name).malignant for name in config.labels):
        return None
    probability = min(1.0, float(malignant_probability(probabilities, config)))
    threshold = config.malignant_from
    return Malignancy(probability, threshold, threshold < 1.0 and probability >= threshold)
