"""The figures of a probe's answers, with intervals over related rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import recall_score

from train.benchmark.fitzpatrick import SKIN_TYPES
from train.evaluate.bootstrap import MIN_GROUPS, number_groups, share_interval
from train.evaluate.metrics import bootstrap_intervals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Figure(NamedTuple):
    """One line of the printed table.

    Attributes:
        what: the yardstick and its part. n: pictures or cases behind it.
        metric: what was measured. value: 0 to 1. interval: 95 %, or None.
    """

    what: str
    n: int
    metric: str
    value: float
    interval: Sequence[float] | None


class Answers(NamedTuple):
    """Answers with what they are judged by, one row a picture or case; a skin type of 0 is not known."""

    probabilities: Floats
    labels: Ints
    groups: list[str | None]
    skin_types: Ints

    @classmethod
    def of(cls, probabilities: Floats, labels: Ints, rows: datasets.Dataset, numbers: Ints) -> Answers:
        """Of some rows of a data set; ``probabilities`` are of these alone, ``labels`` of all."""
        chosen = rows.select(numbers)
        types = np.asarray([value or 0 for value in chosen["skin_type"]])
        return cls(probabilities, labels[numbers], list(chosen["group"]), types)

    @property
    def right(self) -> Bools:
        """Which rows have their label as the most probable class, (N,)."""
        return self.probabilities.argmax(axis=1) == self.labels

    @property
    def balanced(self) -> float:
        """Mean recall over the classes that are there."""
        answers = self.probabilities.argmax(axis=1)
        present = np.unique(self.labels)
        return float(recall_score(self.labels, answers, labels=present, average="macro", zero_division=0.0))

    def figures(self) -> dict[str, Any]:
        """``accuracy``, ``balanced_accuracy`` and ``top3_accuracy``, and their ``intervals``.

        There are none under ``MIN_GROUPS`` groups.
        """
        enough = len(np.unique(number_groups(self.groups))) >= MIN_GROUPS
        top3 = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :3]
        return {
            "accuracy": float(self.right.mean()),
            "balanced_accuracy": self.balanced,
            "top3_accuracy": float((top3 == self.labels[:, None]).any(axis=1).mean()),
            "intervals": bootstrap_intervals(self.probabilities, self.labels, self.groups) if enough else {},
        }

    def figure(self, what: str, metric: str) -> Figure:
        """One of ``figures`` as a line of the table."""
        found = self.figures()
        return Figure(
            what, len(self.labels), metric.replace("_", " "), found[metric], found["intervals"].get(metric)
        )

    def share(self, chosen: Bools) -> dict[str, Any] | None:
        """``n``, ``accuracy`` and ``interval`` of some rows; None without any."""
        if not chosen.any():
            return None
        group_of = number_groups(self.groups)[chosen]
        right = self.right[chosen]
        return {"n": len(right), "accuracy": float(right.mean()), "interval": share_interval(right, group_of)}

    def shares(self, chosen: dict[str, Bools]) -> dict[str, Any]:
        """``share`` by name, without those that have no rows."""
        return {name: found for name, rows in chosen.items() if (found := self.share(rows))}

    def by_tone(self) -> dict[str, Bools]:
        """Which rows are of the skin types I-II, III-IV and V-VI."""
        return {name: np.isin(self.skin_types, types) for name, types in SKIN_TYPES.items()}
