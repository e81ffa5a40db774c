"""The rejection rule: decides whether the network can assess a picture at all.

The paper's two criteria use the probabilities. If the checkpoint has a detector, a third uses the features,
and a fourth both, since each finds pictures that the other misses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.labels import NO_CONDITION
from model.schema import Share

Verdict = Literal["condition", "uncertain", "no_condition", "rejected"]
CriterionName = Literal["max_probability", "normalized_entropy", "unusualness", "not_skin"]
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Criterion:
    """One criterion of the rule: its value, its threshold and whether it fired."""

    name: CriterionName
    value: Share
    threshold: Share
    fired: bool


def max_probability(probabilities: Array) -> Array:
    """The largest probability, (..., K) → (...): the confidence of Hendrycks and Gimpel (2017)."""
    return probabilities.max(axis=-1)


def normalized_entropy(probabilities: Array) -> Array:
    """Shannon entropy divided by log K, (..., K) → (...), 0 (certain) to 1 (uniform)."""
    safe = np.clip(probabilities, 1e-12, 1.0)
    return -(probabilities * np.log(safe)).sum(axis=-1) / np.log(probabilities.shape[-1])


def surprise(unusualness: Array | float) -> Array:
    """Minus the logarithm of the remaining share, so 0.99 is as far from 0.9 as 0.9 is from 0."""
    return -np.log(1.001 - np.asarray(unusualness))


def not_skin_evidence(probabilities: Array, config: ModelConfig, unusualness: Array) -> Array:
    """The sum of both signs that a picture is not skin, for ranking, (..., K) and (...) → (...).

    These are the surprise (minus the logarithm of the share of skin pictures that are as unusual) and the
    log-odds of ``Unknown_Normal``.
    """
    if NO_CONDITION not in config.labels:
        return surprise(unusualness)
    unknown = np.clip(probabilities[..., config.labels.index(NO_CONDITION)], 1e-3, 1 - 1e-3)
    return surprise(unusualness) + np.log(unknown / (1 - unknown))


def not_skin(probabilities: Array, config: ModelConfig, unusualness: Array) -> Array:
    """``not_skin_evidence`` scaled to 0 to 1, (..., K) and (...) → (...), for the fourth criterion.

    It is 0 if ``Unknown_Normal`` is the most probable label: that verdict says as much, and also fits healthy
    skin. Without such a label the fourth criterion does not apply.
    """
    evidence = not_skin_evidence(probabilities, config, unusualness)
    return np.where(unknown_margin(probabilities, config) <= 0, 1 / (1 + np.exp(-evidence)), 0.0)


def unknown_margin(probabilities: Array, config: ModelConfig) -> Array:
    """Probability of ``Unknown_Normal`` minus that of the best condition, (..., K) → (...), -1 to 1.

    Above 0 exactly if it is the most probable label; minus infinity if there is no such label.
    """
    if NO_CONDITION not in config.labels:
        return np.full(probabilities.shape[:-1], -np.inf)
    unknown = config.labels.index(NO_CONDITION)
    return probabilities[..., unknown] - np.delete(probabilities, unknown, axis=-1).max(axis=-1)


class Rule(NamedTuple):
    """One row of the rejection rule's table.

    Attributes:
        score: of calibrated probabilities (..., K), a configuration and unusualness (...) → (...), 0 to 1.
        threshold: the field of ``ModelConfig`` that the score is compared with.
        direction: 1 if scores above the threshold fire, -1 if scores below it do.
        scale: increasing; margins are distances on this scale.
    """

    score: Callable[[Array, ModelConfig, Array], Array]
    threshold: str
    direction: Literal[-1, 1]
    scale: Callable[[Array | float], Array] = np.asarray


RULES: dict[CriterionName, Rule] = {
    "max_probability": Rule(lambda p, config, unusual: max_probability(p), "min_max_probability", -1),
    "normalized_entropy": Rule(lambda p, config, unusual: normalized_entropy(p), "max_normalized_entropy", 1),
    "unusualness": Rule(lambda p, config, unusual: unusual, "max_unusualness", 1, surprise),
    "not_skin": Rule(lambda p, config, unusual: not_skin(p, config, unusual), "max_not_skin", 1),
}
"""Every criterion by name; a picture is rejected if any that applies fires."""


def applicable(config: ModelConfig, unusualness: Array | float | None) -> dict[CriterionName, Rule]:
    """The paper's two criteria; with a detector the third, and the fourth if there is ``Unknown_Normal``."""
    absent = set()
    if unusualness is None:
        absent |= {"unusualness", "not_skin"}
    if NO_CONDITION not in config.labels:
        absent.add("not_skin")
    return {name: rule for name, rule in RULES.items() if name not in absent}


def scores(
    probabilities: Array, config: ModelConfig, unusualness: Array | float | None = None
) -> dict[CriterionName, Array]:
    """The score of each criterion that applies, (...).

    Args:
        probabilities: calibrated, (..., K).
        config: names the classes.
        unusualness: of the same pictures, (...), from ``model.decision.ood``; None if the checkpoint has no
            detector.
    """
    unusual = np.asarray(0.0 if unusualness is None else unusualness)
    rules = applicable(config, unusualness)
    return {name: rule.score(probabilities, config, unusual) for name, rule in rules.items()}


def fired(name: CriterionName, score: Array, config: ModelConfig) -> Flags:
    """Where the score of a criterion is beyond its threshold, (...)."""
    rule = RULES[name]
    return np.asarray(rule.direction * (score - getattr(config, rule.threshold)) > 0)


def rejected(probabilities: Array, config: ModelConfig, unusualness: Array | float | None = None) -> Flags:
    """Whether any criterion fires, (...); arguments as for ``scores``."""
    found = scores(probabilities, config, unusualness)
    return np.any([fired(name, score, config) for name, score in found.items()], axis=0)


def detected(probabilities: Array, config: ModelConfig, unusualness: Array | float | None = None) -> Flags:
    """Whether the verdict is ``rejected`` or ``no_condition``, (...); arguments as for ``scores``."""
    return rejected(probabilities, config, unusualness) | (unknown_margin(probabilities, config) > 0)


def rejection_margin(
    probabilities: Array, config: ModelConfig, unusualness: Array | float | None = None
) -> Array:
    """How far the rule is from firing, (...), above 0 exactly if it fires; arguments as for ``scores``.

    The largest of the criteria's distances to their thresholds, each relative to the range beyond it.
    """
    margins = []
    for name, score in scores(probabilities, config, unusualness).items():
        _, threshold, direction, scale = RULES[name]
        limit, end = scale(getattr(config, threshold)), scale((1.0 + direction) / 2)
        room = np.maximum(direction * (end - limit), 1e-6)
        margins.append(direction * (scale(score) - limit) / room)
    return np.max(margins, axis=0)


def detection_margin(
    probabilities: Array, config: ModelConfig, unusualness: Array | float | None = None
) -> Array:
    """As ``rejection_margin``, for the verdicts ``rejected`` and ``no_condition`` together."""
    return np.maximum(
        rejection_margin(probabilities, config, unusualness), unknown_margin(probabilities, config)
    )


def criteria(
    probabilities: Array, config: ModelConfig, unusualness: float | None = None
) -> tuple[Criterion, ...]:
    """The criteria for one picture; arguments as for ``scores``, of the shapes (K,) and ()."""
    return tuple(
        Criterion(
            name, float(score), getattr(config, RULES[name].threshold), bool(fired(name, score, config))
        )
        for name, score in scores(probabilities, config, unusualness).items()
    )


def verdict(probabilities: Array, config: ModelConfig, unusualness: float | None = None) -> Verdict:
    """The verdict for one picture; arguments as for ``criteria``."""
    if rejected(probabilities, config, unusualness):
        return "rejected"
    if unknown_margin(probabilities, config) > 0:
        return "no_condition"
    return "uncertain" if max_probability(probabilities) < config.uncertain_below else "condition"


def choose_thresholds(
    probabilities: Array, config: ModelConfig, *, keep: float, unusualness: Array | None = None
) -> ModelConfig:
    """Choose thresholds at which a given share of pictures gets a condition as its verdict.

    The others are rejected or get ``no_condition``. All criteria get the same quantile level, the largest at
    which at most ``1 - keep`` of the pictures are rejected by any of them or by ``unknown_margin``; no
    criterion is favoured. Criteria that do not apply, and all criteria if there are no pictures, get a
    threshold that rejects nothing.

    Args:
        probabilities: calibrated, (N, K), of pictures that show a condition.
        config: names the classes; its own thresholds are ignored.
        keep: share to keep, 0 to 1.
        unusualness: of the same pictures, (N,); None without a detector.
    """
    limits: dict[str, Any] = {rule.threshold: (1.0 + rule.direction) / 2 for rule in RULES.values()}
    if not len(probabilities):
        return dataclasses.replace(config, **limits)
    found = scores(probabilities, config, unusualness)
    away = {name: RULES[name].direction * score for name, score in found.items()}
    falling = {name: np.sort(values)[::-1] for name, values in away.items()}
    lost = unknown_margin(probabilities, config) > 0
    allowed = int(np.floor((1.0 - keep) * len(probabilities) + 1e-9))
    best = 0
    for rank in range(allowed + 1):
        beyond = [away[name] > values[rank] for name, values in falling.items()]
        if np.any([*beyond, lost], axis=0).sum() <= allowed:
            best = rank
    for name, values in falling.items():
        limits[RULES[name].threshold] = float(RULES[name].direction * values[best])
    return dataclasses.replace(config, **limits)


def choose_uncertain_bound(probabilities: Array, targets: NDArray[np.int64], *, accuracy: float) -> float:
    """Choose the smallest probability from which on answers have the wanted accuracy.

    Args:
        probabilities: calibrated, (N, K), of the accepted pictures.
        targets: true class numbers, (N,).
        accuracy: wanted share of right answers among those at or above the bound, 0 to 1.

    Returns:
        A probability; 1.0 if no bound reaches the accuracy, so that every answer is called uncertain.
    """
    confidence = max_probability(probabilities)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum((probabilities.argmax(axis=-1) == targets)[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # equal values are on the same side of a bound
    enough = np.flatnonzero((right >= accuracy) & last)
    return float(confidence[order[enough[-1]]]) if len(enough) else 1.0
