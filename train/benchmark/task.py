"""What the benchmarks share: their arguments, their results, and the steps of a probe."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from train.benchmark.figures import Figure
from train.data import test_sets
from train.data.rows import Opened, open_rows
from train.data.splits import picture_bytes
from train.predictions import Predictions
from train.probe import Part, Weights, cached_features, probe

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Task(NamedTuple):
    """The arguments of a benchmark; fields as for ``benchmark``."""

    data: str
    output: Path
    weights: Weights
    max_unreadable: float
    splits: str | None


class Result(NamedTuple):
    """The lines for the table, and the content of ``metrics.json``."""

    table: list[Figure]
    metrics: dict[str, Any]


def predictions(
    probabilities: Floats, targets: Ints, rows: datasets.Dataset, numbers: Ints, class_names: Sequence[str]
) -> Predictions:
    """Predictions for some rows; ``probabilities`` are for these only, ``targets`` for all."""
    chosen = rows.select(numbers)
    return Predictions.of(
        class_names,
        probabilities,
        targets[numbers],
        groups=chosen["group"],
        skin_types=chosen["skin_type"],
    )


def opened(task: Task, data: str, labels: Sequence[str] | None) -> Opened:
    """Open the rows of a test-only data set; with ``labels``, each must have one of them."""
    return open_rows(
        [data],
        test_sets.SPLIT,
        labels=labels,
        max_unreadable=task.max_unreadable,
        labelled=labels is not None,
    )


def expected(task: Task, name: str) -> str:
    """The folder of the data set; raises ``DataError`` if it is not ``name`` as downloaded."""
    known = test_sets.recognise(Path(task.data))
    if known is None or not known.name.startswith(name):
        found = f"{known.name}" if known else "none of the sets that are for testing"
        raise DataError(
            f"{task.data} is {found}; {name} as it is downloaded is expected.",
            hint="docs/datasets.md says what its folder holds.",
        )
    return task.data


def features(task: Task, rows: datasets.Dataset) -> NDArray[np.float32]:
    """The features of the rows' pictures, (N, C), as far as possible from the output folder's cache."""
    hashes = [hashlib.sha256(picture_bytes(record)).hexdigest() for record in rows]
    return cached_features(task.output, rows, hashes, task.weights)


def out_of_fold(
    features: NDArray[np.float32], targets: Floats, folds: Sequence[Part]
) -> tuple[Floats, list[float]]:
    """Probe each fold; return each row's probabilities from the fold that tests it, and the strengths."""
    probabilities, strengths = np.zeros(targets.shape), []
    for number, fold in enumerate(folds, 1):
        probed = probe(features, targets, fold, what=f"fold {number}")
        probabilities[fold.test] = probed.probabilities
        strengths.append(probed.strength)
    return probabilities, strengths
