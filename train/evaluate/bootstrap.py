"""95 % percentile intervals that draw whole groups of related pictures (Efron and Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_GROUPS = 10
"""With fewer groups an interval would be meaningless, so counts are shown instead."""


def number_groups(groups: Iterable[str | None]) -> NDArray[np.int64]:
    """Each row's group as a number from 0, (N,); None is a group of its own."""
    names = [group if group is not None else f"row {row}" for row, group in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def group_sizes(group_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows each row's group has, (N,)."""
    _, numbers, sizes = np.unique(group_of, return_inverse=True, return_counts=True)
    return sizes[numbers]


def draw_weights(group_of: NDArray[np.int64], *, resamples: int = 1000, seed: int = 0) -> Floats:
    """How often each row appears in each resample of the groups, (resamples, N).

    Args:
        group_of: from ``number_groups``; the numbers may have gaps.
    """
    drawn, group_of = np.unique(group_of, return_inverse=True)
    count = len(drawn)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return draws[:, group_of].astype(np.float64)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient; NaN where the denominator is 0."""
    return np.divide(
        numerator, denominator, where=denominator > 0, out=np.full(np.shape(denominator), np.nan)
    )


def interval(values: Floats) -> list[float] | None:
    """The middle 95 % of a figure's resamples, ``[low, high]``.

    None if they are all equal, as for 12 right answers out of 12: resampling says nothing about the
        uncertainty then.
    """
    known = values[~np.isnan(values)]
    if not np.ptp(known if len(known) else [0.0]):
        return None
    return [float(q) for q in np.quantile(known, (0.025, 0.975))]


def share_by_group(
    hits: NDArray[np.bool_], group_of: NDArray[np.int64]
) -> tuple[float | None, list[float] | None]:
    """A share of rows (N,) in which every group counts as one, and its interval as ``share_interval`` has it.

    None for both without rows.
    """
    if not len(hits):
        return None, None
    _, numbers, sizes = np.unique(group_of, return_inverse=True, return_counts=True)
    caught = np.bincount(numbers, hits) / sizes  # of each group
    if len(sizes) < MIN_GROUPS:
        return float(caught.mean()), None
    weights = draw_weights(np.arange(len(sizes)))
    return float(caught.mean()), interval(weights @ caught / weights.sum(axis=1))


def share_interval(hits: NDArray[np.bool_], group_of: NDArray[np.int64]) -> list[float] | None:
    """The interval of a share of rows (N,); None below ``MIN_GROUPS`` and if all rows are alike."""
    if len(np.unique(group_of)) < MIN_GROUPS:
        return None
    weights = draw_weights(group_of)
    return interval(weights @ hits / weights.sum(axis=1))
