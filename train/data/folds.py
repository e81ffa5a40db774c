"""Split rows into folds by class and group."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from model.errors import DataError

Ints = NDArray[np.int64]


def related(groups: Sequence[str | None]) -> list[str]:
    """A name for every row, shared within a group; a row without a group is its own group."""
    return [f"row {row}" if group is None else f"group {group}" for row, group in enumerate(groups)]


def group_folds(
    targets: Ints, groups: Sequence[str | None], *, folds: int, seed: int
) -> list[tuple[Ints, Ints]]:
    """Split rows into folds stratified by class, without splitting a group.

    Args:
        targets: class index per row, (N,).
        groups: of each row; None for no group.
        folds: number of folds, 2 or more.
        seed: of the random split.

    Returns:
        For each fold, the indices of the remaining and of the held-out rows, both sorted.

    Raises:
        DataError: there are fewer groups than folds, or fewer rows of every class.
    """
    names = related(groups)
    most = _most(targets, names)
    if not 2 <= folds <= most:
        raise DataError(
            f"{len(targets)} pictures in {len(set(names))} groups cannot be split into {folds} folds.",
            hint=f"Choose from 2 to {most} folds." if most >= 2 else "Pictures of more groups are needed.",
        )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class with fewer pictures than folds is in as many as possible
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(np.zeros(len(targets)), targets, names))


def keep_back(
    targets: Ints, groups: Sequence[str | None], *, fraction: float, seed: int
) -> tuple[Ints, Ints]:
    """Hold out a share of the rows, stratified by class, without splitting a group or losing a class.

    Classes whose rows are all of one group are not held out. If there are too few rows for the share, the
    next larger possible share is used.

    Args:
        targets, groups, seed: as for ``group_folds``.
        fraction: the share, above 0, at most 0.5.

    Returns:
        The indices of the remaining and of the held-out rows, both sorted.

    Raises:
        DataError: no share can be held out.
    """
    names = np.asarray(related(groups))
    alone = [own[0] for label in np.unique(targets) if len(own := np.unique(names[targets == label])) == 1]
    free = np.flatnonzero(~np.isin(names, alone))
    folds = min(round(1 / fraction), _most(targets[free], names[free]))
    if folds >= 2:
        of_free = [groups[int(row)] for row in free]
        for _, held in group_folds(targets[free], of_free, folds=folds, seed=seed):
            stays = np.setdiff1d(np.arange(len(targets)), free[held])
            if set(targets[stays]) == set(targets):
                return stays, free[held]
    raise DataError(
        f"No part of {len(targets)} pictures in {len(set(names))} groups can be held out for validation "
        "without taking a whole class out of train.",
        hint="Add pictures of more groups, or give the data set its own validation split.",
    )


def _most(targets: Ints, names: Sequence[str] | NDArray[np.str_]) -> int:
    """The largest possible number of folds."""
    return min(len(set(names)), int(np.unique(targets, return_counts=True)[1].max())) if len(targets) else 0
