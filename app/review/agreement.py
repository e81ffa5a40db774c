"""How well the readers agree with each other, and the model with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.review.readings import DISPUTED, REJECTED
from app.review.store import Settled, is_label

MIN_CASES = 20
"""Fewer cases give no kappa: its interval would say nothing."""

_RESAMPLES = 2000
_Z = 1.96


class Estimate(NamedTuple):
    """A value with its 95 % interval, and the number of cases behind it."""

    value: float
    low: float
    high: float
    cases: int


def kappa(cases: Sequence[Settled]) -> Estimate | None:
    """Cohen's kappa of the first and the second reading of every settled case (Cohen 1960).

    The interval is a percentile bootstrap over cases. None for fewer than ``MIN_CASES``, and where everybody
    always said the same, since kappa is then not defined.
    """
    if len(cases) < MIN_CASES:
        return None
    names = sorted({outcome for case in cases for outcome in case.readings[:2]})
    pairs = np.array([[names.index(outcome) for outcome in case.readings[:2]] for case in cases])
    value = _kappa(pairs, len(names))
    if math.isnan(value):
        return None
    rng = np.random.default_rng(0)
    drawn = [_kappa(pairs[rng.integers(0, len(pairs), len(pairs))], len(names)) for _ in range(_RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(cases))


def accuracy(cases: Sequence[Settled], *, label: str | None = None) -> Estimate | None:
    """The share of cases where the model's most probable label is the readers' outcome.

    "Other" counts against the model; pictures that were rejected or disputed are left out. The interval is
    Wilson's (1927). None where no case is left.

    Args:
        cases: settled ones.
        label: only the cases that the readers gave this label.
    """
    if label is None:
        counted = [case for case in cases if case.outcome not in (REJECTED, DISPUTED)]
    else:
        counted = [case for case in cases if case.outcome == label]
    if not counted:
        return None
    n = len(counted)
    share = sum(case.predicted == case.outcome for case in counted) / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n)


def by_label(cases: Sequence[Settled]) -> list[tuple[str, Estimate]]:
    """The accuracy of every label that the readers gave, by name."""
    names = sorted({case.outcome for case in cases if is_label(case.outcome)})
    return [(name, found) for name in names if (found := accuracy(cases, label=name))]


def _kappa(pairs: np.ndarray, names: int) -> float:
    """Of pairs of numbers, (cases, 2); NaN where chance alone would agree always."""
    observed = float(np.mean(pairs[:, 0] == pairs[:, 1]))
    shares = [np.bincount(pairs[:, reader], minlength=names) / len(pairs) for reader in (0, 1)]
    chance = float(shares[0] @ shares[1])
    return math.nan if chance >= 1 - 1e-12 else (observed - chance) / (1 - chance)
