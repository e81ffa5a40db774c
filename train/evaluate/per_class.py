"""Metrics of each class against all others, and of cancer against the rest, with intervals by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.malignancy import malignant_probability
from train.evaluate.bootstrap import MIN_GROUPS, draw_weights, interval, number_groups, ratio
from train.predictions import Predictions
from train.report.schema import OfClass, RocPoint

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SPECIFICITIES = (0.8, 0.9, 0.95)


def confusion(predictions: Predictions) -> list[list[int]]:
    """The confusion matrix: true class (rows) by most probable class (columns), K by K."""
    classes = len(predictions.class_names)
    pairs = predictions.targets * classes + predictions.answers
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).tolist()


def per_class_metrics(predictions: Predictions) -> dict[str, OfClass]:
    """Metrics of each present class against all others.

    ``precision`` is 0 where the class was never named; ``specificity`` and ``auroc``, of the class's own
    probability, are None where there is no other class. A figure whose pictures come from under ten groups,
    such as the precision of a class that was hardly ever named, has no interval.
    """
    group_of = number_groups(predictions.groups)
    weights = _all_and_drawn(group_of)
    result: dict[str, OfClass] = {}
    for number in np.unique(predictions.targets):
        ours, named = predictions.targets == number, predictions.answers == number
        values = {
            "recall": ratio(weights @ (ours & named), weights @ ours),
            "precision": ratio(weights @ (ours & named), weights @ named),
            "specificity": ratio(weights @ ~(ours | named), weights @ ~ours),
            "auroc": _auroc(predictions.probabilities[:, number], ours, weights),
        }
        rest_on = {"recall": ours, "precision": named, "specificity": ~ours, "auroc": ~ours}
        count = _count(group_of, ours)
        alone = bool(ours.all())  # no other class is there
        result[predictions.class_names[number]] = {
            "n": int(ours.sum()),
            "groups": count,
            "recall": float(values["recall"][0]),
            "precision": float(np.nan_to_num(values["precision"][0])),
            "specificity": None if alone else float(values["specificity"][0]),
            "auroc": None if alone else float(values["auroc"][0]),
            "intervals": {
                name: interval(found[1:]) if _count(group_of, rest_on[name]) >= MIN_GROUPS else None
                for name, found in values.items()
            }
            if count >= MIN_GROUPS
            else None,
        }
    return result


def malignant_sensitivity(predictions: Predictions, config: ModelConfig) -> list[RocPoint] | None:
    """Sensitivity for classes that may be cancer, at fixed specificities.

    The score is the summed probability of those classes. The threshold for each specificity is chosen on
    these same pictures, and again in each resample: these are points of a ROC curve, not a rule to use.

    Returns:
        One point for each of ``SPECIFICITIES``: at least this share of the others is under the threshold. No
        interval under ten groups of either kind; None where no picture, or every one, may be cancer.
    """
    ours = predictions.malignant
    if not ours.any() or ours.all():
        return None
    group_of = number_groups(predictions.groups)
    enough = min(_count(group_of, ours), _count(group_of, ~ours)) >= MIN_GROUPS
    scores = malignant_probability(predictions.probabilities, config)
    weights = _all_and_drawn(group_of)
    values, at_score = _by_score(scores, weights)
    found, others = _above(at_score(ours)), 1 - _above(at_score(~ours))  # (resamples, thresholds)
    values = np.append(values, np.nextafter(values[-1], 2))
    result: list[RocPoint] = []
    for specificity in SPECIFICITIES:
        first = (others >= specificity - 1e-9).argmax(axis=1)
        sensitivity = found[np.arange(len(found)), first]
        result.append(
            {
                "specificity": specificity,
                "threshold": float(values[first[0]]),
                "sensitivity": float(sensitivity[0]),
                "interval": interval(sensitivity[1:]) if enough else None,
            }
        )
    return result


def separation(scores: Floats, ours: Flags, groups: Sequence[str | None]) -> dict[str, Any]:
    """AUROC of a score for some pictures against the others.

    Args:
        scores: (N,), higher for the positives. ours: the positives, (N,).
        groups: as for ``number_groups``.

    Returns:
        ``n``, ``ours`` (their number), ``auroc`` (None if one kind is missing) and its ``interval``, None
        under ten groups of either kind.
    """
    group_of = number_groups(groups)
    values = _auroc(scores, ours, _all_and_drawn(group_of))
    enough = min(_count(group_of, ours), _count(group_of, ~ours)) >= MIN_GROUPS
    return {
        "n": len(scores),
        "ours": int(ours.sum()),
        "auroc": None if np.isnan(values[0]) else float(values[0]),
        "interval": interval(values[1:]) if enough else None,
    }


def _all_and_drawn(group_of: Ints) -> Floats:
    """The weights of the original sample, then those of each resample, (1 + resamples, N)."""
    return np.concatenate([np.ones((1, len(group_of))), draw_weights(group_of)])


def _count(group_of: Ints, rows: Flags) -> int:
    return len(np.unique(group_of[rows]))


def _by_score(scores: Floats, weights: Floats) -> tuple[Floats, Callable[[Flags], Floats]]:
    """The distinct scores, ascending, and a function of rows → their weight at each, (resamples, scores)."""
    order = np.argsort(scores, kind="stable")
    values, starts = np.unique(scores[order], return_index=True)
    ranked = weights[:, order]
    return values, lambda rows: np.add.reduceat(ranked * rows[order], starts, axis=1)


def _above(at_score: Floats) -> Floats:
    """The share at or above each score, and above the last one, which is 0: (resamples, scores + 1)."""
    from_top = np.cumsum(at_score[:, ::-1], axis=1)[:, ::-1]
    counts = np.concatenate([from_top, np.zeros((len(from_top), 1))], axis=1)
    return ratio(counts, np.broadcast_to(counts[:, :1], counts.shape))


def _auroc(scores: Floats, ours: Flags, weights: Floats) -> Floats:
    """The probability that a positive scores higher than a negative; ties count half, (resamples,)."""
    _, at_score = _by_score(scores, weights)
    ours_at, others_at = at_score(ours), at_score(~ours)
    others_below = np.cumsum(others_at, axis=1) - others_at / 2
    pairs = ours_at.sum(axis=1) * others_at.sum(axis=1)
    return ratio((ours_at * others_below).sum(axis=1), pairs)
