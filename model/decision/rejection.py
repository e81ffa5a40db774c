"""The rejection rule: is this a picture for which the network can name a condition at all?

The paper's two criteria look at the probabilities. Where the checkpoint has a detector, a third looks at the
features, and a fourth at both, since each knows pictures that the other does not.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

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
    """How far the paper's two criteria are from firing, (..., K) → (...); above 0 exactly where one does.

    Each criterion's distance to its threshold, relative to the room it has there; the larger one counts.
    """
    low = max(config.min_max_probability, 1e-6)
    room = max(1.0 - config.max_normalized_entropy, 1e-6)
    confidence = (config.min_max_probability - max_probability(probabilities)) / low
    entropy = (normalized_entropy(probabilities) - config.max_normalized_entropy) / room
    return np.maximum(confidence, entropy)


def rejection_margin(probabilities: Array, config: ModelConfig, unusualness: Array | None = None) -> Array:
    """As ``dual_margin``, for the whole rule.

    Args:
        probabilities: calibrated, (..., K).
        config: has the thresholds.
        unusualness: of the same pictures, (...), as ``model.decision.ood`` gives it; None where the
            checkpoint has no detector.
    """
    margin = dual_margin(probabilities, config)
    if unusualness is None:
        return margin
    limit, most = _surprise(config.max_unusualness), _surprise(1.0)
    margin = np.maximum(margin, (_surprise(unusualness) - limit) / np.maximum(most - limit, 1e-6))
    if NO_CONDITION not in config.labels:
        return margin
    beyond = not_skin(probabilities, config, unusualness) - config.max_not_skin
    return np.maximum(margin, beyond / max(1.0 - config.max_not_skin, 1e-6))


def _surprise(unusualness: Array | float) -> Array:
    """Rising with it, so that 99 of 100 is as far from 9 of 10 as that is from none."""
    return -np.log(1.001 - np.asarray(unusualness))


def detection_margin(probabilities: Array, config: ModelConfig, unusualness: Array | None = None) -> Array:
    """Above 0 exactly where the verdict is ``rejected`` or ``no_condition``; see ``rejection_margin``."""
    return np.maximum(
        rejection_margin(probabilities, config, unusualness), unknown_margin(probabilities, config)
    )


def not_skin_evidence(probabilities: Array, config: ModelConfig, unusualness: Array) -> Array:
    """Both signs that a picture is not skin added up, for ranking pictures, (..., K) and (...) → (...).

    They are the surprise, minus the logarithm of the share of skin that is as unusual, and the log-odds of
    ``Unknown_Normal``.
    """
    if NO_CONDITION not in config.labels:
        return _surprise(unusualness)
    unknown = np.clip(probabilities[..., config.labels.index(NO_CONDITION)], 1e-3, 1 - 1e-3)
    return _surprise(unusualness) + np.log(unknown / (1 - unknown))


def not_skin(probabilities: Array, config: ModelConfig, unusualness: Array) -> Array:
    """``not_skin_evidence`` as a number from 0 to 1, (..., K) and (...) → (...), for the fourth criterion.

    It is 0 where ``Unknown_Normal`` is the most probable label: that verdict says as much, and also fits
    healthy skin. The fourth criterion is left out where there is no such label.
    """
    evidence = not_skin_evidence(probabilities, config, unusualness)
    return np.where(unknown_margin(probabilities, config) <= 0, 1 / (1 + np.exp(-evidence)), 0.0)


def unknown_margin(probabilities: Array, config: ModelConfig) -> Array:
    """Probability of ``Unknown_Normal`` over the best condition's, (..., K) → (...), -1 to 1.

    Above 0 exactly where it is the most probable label; minus infinity where there is no such label.
    """
    if NO_CONDITION not in config.labels:
        return np.full(probabilities.shape[:-1], -np.inf)
    unknown = config.labels.index(NO_CONDITION)
    return probabilities[..., unknown] - np.delete(probabilities, unknown, axis=-1).max(axis=-1)


def criteria(
    probabilities: Array, config: ModelConfig, unusualness: float | None = None
) -> tuple[Criterion, ...]:
    """The criteria for one picture.

    Args:
        probabilities: calibrated, (K,).
        config: has the thresholds.
        unusualness: 0 to 1; None where the checkpoint has no detector, and then there are two criteria.
    """
    confidence = float(max_probability(probabilities))
    entropy = float(normalized_entropy(probabilities))
    low, high = config.min_max_probability, config.max_normalized_entropy
    found = [
        Criterion("max_probability", confidence, low, confidence < low),
        Criterion("normalized_entropy", entropy, high, entropy > high),
    ]
    if unusualness is not None:
        limit = config.max_unusualness
        found.append(Criterion("unusualness", float(unusualness), limit, bool(unusualness > limit)))
        if NO_CONDITION in config.labels:
            signs, limit = (
                float(not_skin(probabilities, config, np.asarray(unusualness))),
                config.max_not_skin,
            )
            found.append(Criterion("not_skin", signs, limit, signs > limit))
    return tuple(found)


def verdict(probabilities: Array, config: ModelConfig, unusualness: float | None = None) -> Verdict:
    """What may be said about one picture; arguments as for ``criteria``."""
    if any(criterion.fired for criterion in criteria(probabilities, config, unusualness)):
        return "rejected"
    if unknown_margin(probabilities, config) > 0:
        return "no_condition"
    return "uncertain" if max_probability(probabilities) < config.uncertain_below else "condition"


class Thresholds(NamedTuple):
    """The rule's thresholds, named as in ``ModelConfig``."""

    min_max_probability: float
    max_normalized_entropy: float
    max_unusualness: float
    max_not_skin: float


def choose_thresholds(
    probabilities: Array, config: ModelConfig, *, keep: float, unusualness: Array | None = None
) -> Thresholds:
    """Thresholds at which a share of the given pictures is neither rejected nor called ``no_condition``.

    All criteria get the same quantile level, the largest at which their union, with the pictures that
    ``unknown_margin`` turns away anyhow, is at most ``1 - keep`` of the pictures; no criterion is favoured.

    Args:
        probabilities: calibrated, (N, K), of pictures that show a condition.
        config: names the labels.
        keep: share to keep, 0 to 1.
        unusualness: of the same pictures, (N,); None without a detector.

    Returns:
        The thresholds; without pictures those that reject nothing.
    """
    limits = {
        "min_max_probability": 0.0,
        "max_normalized_entropy": 1.0,
        "max_unusualness": 1.0,
        "max_not_skin": 1.0,
    }
    if not len(probabilities):
        return Thresholds(**limits)
    scores = {
        "min_max_probability": -max_probability(probabilities),
        "max_normalized_entropy": normalized_entropy(probabilities),
    }
    if unusualness is not None:
        scores["max_unusualness"] = unusualness
        if NO_CONDITION in config.labels:
            scores["max_not_skin"] = not_skin(probabilities, config, unusualness)
    falling = {name: np.sort(score)[::-1] for name, score in scores.items()}
    lost = unknown_margin(probabilities, config) > 0
    allowed = int(np.floor((1.0 - keep) * len(probabilities) + 1e-9))
    best = 0
    for rank in range(allowed + 1):
        fired = [scores[name] > values[rank] for name, values in falling.items()]
        if np.any([*fired, lost], axis=0).sum() <= allowed:
            best = rank
    limits |= {name: float(values[best]) for name, values in falling.items()}
    return Thresholds(**{**limits, "min_max_probability": abs(limits["min_max_probability"])})


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
