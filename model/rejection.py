"""The paper's dual criterion: is this a picture for which the network can name a condition at all?"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.labels import NO_CONDITION

Verdict = Literal["condition", "uncertain", "no_condition", "rejected"]
Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Criterion:
    """One criterion of the rule: its value, its threshold (both 0 to 1) and whether it fired."""

    name: str
    value: float
    threshold: float
    fired: bool


def max_probability(probabilities: Array) -> Array:
    """The largest probability, (..., K) → (...): the confidence of Hendrycks and Gimpel (2017)."""
    return probabilities.max(axis=-1)


def normalized_entropy(probabilities: Array) -> Array:
    """Shannon entropy over log K, (..., K) → (...), 0 (certain) to 1 (knows nothing)."""
    safe = np.clip(probabilities, 1e-12, 1.0)
    return -(probabilities * np.log(safe)).sum(axis=-1) / np.log(probabilities.shape[-1])


def dual_margin(probabilities: Array, config: ModelConfig) -> Array:
    """How far the rule is from the border, (..., K) → (...); above 0 exactly where a criterion fires.

    Each criterion's distance to its threshold, relative to the room it has there; the larger one counts.
    """
    low = max(config.min_max_probability, 1e-6)
    room = max(1.0 - config.max_normalized_entropy, 1e-6)
    confidence = (config.min_max_probability - max_probability(probabilities)) / low
    entropy = (normalized_entropy(probabilities) - config.max_normalized_entropy) / room
    return np.maximum(confidence, entropy)


def unknown_margin(probabilities: Array, config: ModelConfig) -> Array:
    """Probability of ``Unknown_Normal`` over the best condition's, (..., K) → (...), -1 to 1.

    Above 0 exactly where it is the most probable label; minus infinity where there is no such label.
    """
    if NO_CONDITION not in config.labels:
        return np.full(probabilities.shape[:-1], -np.inf)
    unknown = config.labels.index(NO_CONDITION)
    return probabilities[..., unknown] - np.delete(probabilities, unknown, axis=-1).max(axis=-1)


def criteria(probabilities: Array, config: ModelConfig) -> tuple[Criterion, ...]:
    """The criteria for one picture's calibrated probabilities, shape (K,)."""
    confidence = float(max_probability(probabilities))
    entropy = float(normalized_entropy(probabilities))
    low, high = config.min_max_probability, config.max_normalized_entropy
    return (
        Criterion("max_probability", confidence, low, confidence < low),
        Criterion("normalized_entropy", entropy, high, entropy > high),
    )


def verdict(probabilities: Array, config: ModelConfig) -> Verdict:
    """One picture's calibrated probabilities, shape (K,) → what may be said about it."""
    if any(criterion.fired for criterion in criteria(probabilities, config)):
        return "rejected"
    if unknown_margin(probabilities, config) > 0:
        return "no_condition"
    return "uncertain" if max_probability(probabilities) < config.uncertain_below else "condition"


def choose_thresholds(probabilities: Array, *, keep: float) -> tuple[float, float]:
    """Thresholds at which the rule as a whole keeps a share of the given pictures.

    Both criteria get the same quantile level, the largest at which their union rejects at most
    ``1 - keep`` of the pictures; neither criterion is favoured.

    Args:
        probabilities: calibrated, (N, K), of pictures that show a condition.
        keep: share to keep, 0 to 1.

    Returns:
        ``(min_max_probability, max_normalized_entropy)``; without pictures those that reject nothing.
    """
    if not len(probabilities):
        return 0.0, 1.0
    confidence, entropy = max_probability(probabilities), normalized_entropy(probabilities)
    rising, falling = np.sort(confidence), np.sort(entropy)[::-1]
    allowed = int(np.floor((1.0 - keep) * len(probabilities) + 1e-9))
    best = 0
    for rank in range(allowed + 1):
        if ((confidence < rising[rank]) | (entropy > falling[rank])).sum() <= allowed:
            best = rank
    return float(rising[best]), float(falling[best])


def choose_uncertain_bound(probabilities: Array, labels: NDArray[np.int64], *, accuracy: float) -> float:
    """The smallest bound above which answers are right at least this often.

    Args:
        probabilities: calibrated, (N, K), of the accepted pictures.
        labels: true class numbers, (N,).
        accuracy: share of right answers wanted among those at or above the bound, 0 to 1.

    Returns:
        A probability; 1.0 if no bound reaches the accuracy, so that every answer is called uncertain.
    """
    confidence = max_probability(probabilities)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum((probabilities.argmax(axis=-1) == labels)[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # equal answers fall on one side of a bound
    enough = np.flatnonzero((right >= accuracy) & last)
    return float(confidence[order[enough[-1]]]) if len(enough) else 1.0
