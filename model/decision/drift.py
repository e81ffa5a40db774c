"""Drift: whether the pictures of today still resemble those that a checkpoint was calibrated on.

A checkpoint carries a few numbers about each of its validation pictures, and no picture. A window of later
predictions is compared with them: by the population stability index (PSI; Siddiqi, "Credit Risk Scorecards",
2006), which Prometheus shows too, and by the two-sample Kolmogorov-Smirnov test. Neither says that answers
became worse: that takes labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.decision.stored import parse_stored, store, unreadable

REFERENCE = "reference.safetensors"
_WHAT, _TENSORS, _VALUES = "reference", ("numbers",), ("names", "counts")

BINS = 10
"""PSI compares the shares of numbers between the reference's deciles."""

MODERATE, LARGE = 0.1, 0.25
"""The customary bounds of the PSI: a change below the first is none, from the second on it is large."""

SMALLEST = 100
"""Fewer predictions are not compared: the PSI of so few is large by chance alone."""


class Signals(NamedTuple):
    """What drift is measured by, of one prediction; no part of the picture.

    Attributes:
        numbers: name → value from 0 to 1, such as the largest probability.
        words: name → words, such as the verdict, or the quality warnings.
    """

    numbers: Mapping[str, float]
    words: Mapping[str, Sequence[str]]


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The signals of a checkpoint's validation pictures.

    Attributes:
        numbers: (N, Q). names: of the columns.
        counts: ``verdict: rejected`` → of how many pictures that is true.
    """

    numbers: NDArray[np.floating]
    names: list[str]
    counts: dict[str, int]

    @classmethod
    def of(cls, signals: Sequence[Signals]) -> Reference:
        """Collect the signals of pictures; all have the same numbers."""
        names = list(signals[0].numbers)
        table = np.array([[one.numbers[name] for name in names] for one in signals], dtype=np.float32)
        return cls(table, names, counted(signals))

    def psi(self, window: Sequence[Signals]) -> dict[str, float]:
        """The PSI of every number, and of every set of words such as ``verdict``."""
        found = {}
        for column, name in enumerate(self.names):
            values = np.array([one.numbers[name] for one in window if name in one.numbers])
            found[name] = _psi_of_numbers(self.numbers[:, column], values)
        counts = counted(window)
        for kind in dict.fromkeys(name.partition(": ")[0] for name in (*self.counts, *counts)):
            names = [name for name in {*self.counts, *counts} if name.startswith(f"{kind}: ")]
            before = np.array([self.counts.get(name, 0) for name in names])
            found[kind] = _psi(before, np.array([counts.get(name, 0) for name in names]))
        return found

    def save(self, folder: Path) -> None:
        """Writes ``reference.safetensors`` into a checkpoint folder, whole or not at all.

        Raises:
            CheckpointError: a number is not finite.
        """
        values = {"names": self.names, "counts": self.counts}
        store(folder / REFERENCE, _WHAT, {"numbers": self.numbers}, values)


def parse_reference(data: bytes, path: Path) -> Reference:
    """Reads what ``Reference.save`` wrote, of the file's content; the path names it in errors.

    Raises:
        CheckpointError: it is damaged, or no reference.
    """
    parts: dict[str, Any] = parse_stored(data, path, _WHAT, tensors=_TENSORS, values=_VALUES)
    numbers, names, counts = parts["numbers"], parts["names"], parts["counts"]
    if not (
        isinstance(names, list)
        and isinstance(counts, dict)
        and numbers.ndim == 2
        and numbers.shape[0] > 0
        and numbers.shape[1] == len(names)
        and all(isinstance(name, str) for name in names)
        and all(type(count) is int for count in counts.values())
    ):
        raise unreadable(path, _WHAT, "its parts do not fit each other")
    return Reference(**parts)


def counted(signals: Iterable[Signals]) -> dict[str, int]:
    """How many predictions have each word: ``verdict: rejected`` → count; ``quality: none`` for no word."""
    counts: dict[str, int] = {}
    for one in signals:
        for kind, words in one.words.items():
            for word in words or ("none",):
                counts[f"{kind}: {word}"] = counts.get(f"{kind}: {word}", 0) + 1
    return counts


def _psi_of_numbers(before: NDArray[np.floating], after: NDArray[np.floating]) -> float:
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    parts = [
        np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) for values in (before, after)
    ]
    return _psi(*parts)


def _psi(before: NDArray[np.integer], after: NDArray[np.integer]) -> float:
    """Of counts per bin; half a count is added to each, so that an empty bin is no infinite change."""
    if not after.sum():
        return 0.0
    was, now = ((part + 0.5) / (part + 0.5).sum() for part in (before, after))
    return float(((now - was) * np.log(now / was)).sum())
