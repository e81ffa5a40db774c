"""Metrics of a benchmark's predictions, with intervals over related rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.benchmark.fitzpatrick import SKIN_TYPES
from train.evaluate.bootstrap import MIN_GROUPS, number_groups, share_interval
from train.evaluate.metrics import bootstrap_intervals, in_top3, mean_recall
from train.predictions import Predictions

Bools = NDArray[np.bool_]


class Figure(NamedTuple):
    """One line of the printed table.

    Attributes:
        what: the benchmark and its part. n: number of pictures or cases.
        metric: what was measured. value: 0 to 1. interval: 95 %, or None.
    """

    what: str
    n: int
    metric: str
    value: float
    interval: Sequence[float] | None


def figures(predictions: Predictions) -> dict[str, Any]:
    """``accuracy``, ``balanced_accuracy`` and ``top3_accuracy``, and their ``intervals``.

    There are no intervals below ``MIN_GROUPS`` groups.
    """
    enough = len(np.unique(number_groups(predictions.groups))) >= MIN_GROUPS
    return {
        "accuracy": float(predictions.right.mean()),
        "balanced_accuracy": mean_recall(predictions),
        "top3_accuracy": float(in_top3(predictions).mean()),
        "intervals": bootstrap_intervals(predictions) if enough else {},
    }


def figure(predictions: Predictions, what: str, metric: str) -> Figure:
    """One of ``figures`` as a line of the table."""
    found = figures(predictions)
    return Figure(
        what, len(predictions), metric.replace("_", " "), found[metric], found["intervals"].get(metric)
    )


def share(predictions: Predictions, chosen: Bools) -> dict[str, Any] | None:
    """``n``, ``accuracy`` and ``interval`` of some rows; None if there are none."""
    if not chosen.any():
        return None
    group_of, right = number_groups(predictions.groups)[chosen], predictions.right[chosen]
    return {"n": len(right), "accuracy": float(right.mean()), "interval": share_interval(right, group_of)}


def shares(predictions: Predictions, chosen: dict[str, Bools]) -> dict[str, Any]:
    """``share`` by name, for names with rows."""
    return {name: found for name, rows in chosen.items() if (found := share(predictions, rows))}


def by_tone(predictions: Predictions) -> dict[str, Bools]:
    """Which rows are of the skin types I-II, III-IV and V-VI."""
    return {name: np.isin(predictions.skin_types, types) for name, types in SKIN_TYPES.items()}
