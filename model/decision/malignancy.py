"""The total probability of the labels that may be cancer, and whether it calls for advice first."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.labels import condition
from model.schema import Share


@dataclasses.dataclass(frozen=True)
class Malignancy:
    """The summed probability of the labels that may be cancer, its threshold, and whether it fired."""

    probability: Share
    threshold: Share
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


def warned(probabilities: NDArray[np.float64], config: ModelConfig) -> NDArray[np.bool_]:
    """Where the advice to see a doctor comes first, (..., K) → (...).

    A threshold of 1, the default of a checkpoint without one, never fires.
    """
    return (config.malignant_from < 1.0) & (
        malignant_probability(probabilities, config) >= config.malignant_from
    )


def malignancy(probabilities: NDArray[np.float64], config: ModelConfig) -> Malignancy | None:
    """For one picture's calibrated probabilities, shape (K,); None where no label may be cancer."""
    if not malignant_labels(config):
        return None
    probability = min(1.0, float(malignant_probability(probabilities, config)))
    return Malignancy(probability, config.malignant_from, bool(warned(probabilities, config)))


def choose_malignant_bound(
    probabilities: NDArray[np.float64],
    config: ModelConfig,
    *,
    sensitivity: float,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Choose the largest threshold with the wanted sensitivity for classes that may be cancer.

    Args:
        probabilities: calibrated, (N, K), of those pictures of the validation split.
        config: names the classes.
        sensitivity: share of their weight, 0 to 1.
        weights: of the pictures, above 0, (N,), such as one over the number of pictures of the same lesion;
            None: all alike.

    Returns:
        A summed probability; 1.0, which never fires, without pictures.
    """
    if not len(probabilities):
        return 1.0
    summed = malignant_probability(probabilities, config)
    order = np.argsort(-summed, kind="stable")
    reached = np.cumsum((np.ones(len(summed)) if weights is None else weights)[order])
    first = int(np.argmax(reached >= sensitivity * reached[-1] - 1e-9))
    return float(summed[order[first]])
