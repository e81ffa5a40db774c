"""Likely label errors, found by cleanlab in probabilities from models that did not train on the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from model.errors import DataError
from train.audit.findings import Picture, reference
from train.data.columns import check_classes
from train.data.tables import number, read_table
from train.probe import Weights, cached_features

FOLDS = 5
STRENGTH = 0.001
"""``C`` of the probe's logistic regression, on standardised features."""


class OutOfFold(NamedTuple):
    """Out-of-fold probabilities: from models that were not trained on the picture.

    Attributes:
        method: how they were made, a phrase.
        rows: the pictures with probabilities, (n,). classes: names of the K columns.
        values: (n, K), each row sums to 1.
    """

    method: str
    rows: list[int]
    classes: list[str]
    values: NDArray[np.float64]


def likely_label_errors(pictures: Sequence[Picture], chances: OutOfFold) -> dict[str, Any]:
    """Label errors according to confident learning (Northcutt, Jiang and Chuang, 2021), likeliest first.

    A class without pictures is dropped, as cleanlab requires.
    """
    from cleanlab.filter import find_label_issues

    given = [pictures[row].line.label for row in chances.rows]
    classes = [name for name in chances.classes if name in set(given)]
    values = chances.values[:, [chances.classes.index(name) for name in classes]]
    values = (values + 1e-12) / (values + 1e-12).sum(axis=1, keepdims=True)
    targets = np.asarray([classes.index(name) for name in given])
    issues = find_label_issues(targets, values, return_indices_ranked_by="self_confidence", n_jobs=1)
    return {
        "method": chances.method,
        "judged": len(given),
        "accuracy": float((values.argmax(axis=1) == targets).mean()),
        "pictures": [
            {
                **reference(pictures[chances.rows[place]]),
                "probability": float(values[place, targets[place]]),
                "suggested": classes[int(values[place].argmax())],
                "suggested_probability": float(values[place].max()),
            }
            for place in issues
        ],
    }


def read_probabilities(files: Sequence[str], pictures: Sequence[Picture]) -> OutOfFold:
    """Read probabilities from files with ``id`` and one column per label, as ``predict-split`` writes them.

    Pictures without a label, or missing from the files, are not checked.

    Raises:
        DataError: a file is not of that form, names no picture of the data, or an id is not unique.
    """
    known: dict[str, list[float]] = {}
    classes: list[str] = []
    for file in map(Path, files):
        for row in read_table(file, "id"):
            name = row.pop("id")
            if name in known or (classes and list(row) != classes):
                problem = "appears twice" if name in known else "has other columns than those before"
                raise DataError(
                    f"{file}: {name} {problem}.", hint="Expected one row per picture and the same labels."
                )
            classes = list(row)
            known[name] = [number(text, name, file) for text in row.values()]
            if min(known[name]) < 0 or abs(sum(known[name]) - 1) > 0.01:
                raise DataError(
                    f"{file}: the numbers of {name} sum to {sum(known[name]):g}; probabilities sum to 1.",
                    hint="Use the file that predict-split wrote.",
                )
    rows = [row for row, picture in enumerate(pictures) if picture.line.label and picture.line.id in known]
    twice = [name for name, count in Counter(pictures[row].line.id for row in rows).items() if count > 1]
    if not rows or twice:
        found = f"{twice[0]} is the id of several pictures" if twice else "No labelled picture of the data is"
        raise DataError(
            f"{found} in {', '.join(files)}.", hint="Audit the data and splits that predict-split was run on."
        )
    check_classes({pictures[row].line.label for row in rows}, classes, source="the data", strict=False)
    values = np.asarray([known[pictures[row].line.id] for row in rows])
    return OutOfFold("the given probabilities", rows, classes, values)


def probe_probabilities(
    folder: Path,
    rows: datasets.Dataset,
    pictures: Sequence[Picture],
    related: NDArray[np.int64],
    weights: Weights,
) -> OutOfFold:
    """Compute probabilities by a logistic regression on a frozen backbone's pooled features.

    It is cross-validated; pictures related by group or similarity are in one fold. A class with fewer than
    ``FOLDS`` such clusters is not checked.

    Args:
        folder: cache for the features.
        rows: of all ``pictures``, from ``load_split``.
        related: from ``findings.related``.
    """
    usable = [
        row for row, picture in enumerate(pictures) if picture.hashes is not None and picture.line.label
    ]
    sets = Counter(name for name, _ in {(pictures[row].line.label, related[row]) for row in usable})
    classes = sorted(name for name, count in sets.items() if count >= FOLDS)
    judged = [row for row in usable if pictures[row].line.label in classes]
    if len(classes) < 2:
        raise DataError(
            f"{len(classes)} classes have pictures of {FOLDS} groups or more; a probe needs two.",
            hint="Leave out --init for so small a data set.",
        )
    hashes = [pictures[row].line.sha256 for row in judged]
    values = cached_features(folder, rows.select(judged), hashes, weights)
    targets = np.asarray([classes.index(pictures[row].line.label) for row in judged])
    chances = np.zeros((len(judged), len(classes)))
    seen = np.zeros(len(judged), dtype=bool)
    folds = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=0)
    parts = folds.split(values, targets, related[judged])
    for train, held in tqdm(parts, total=FOLDS, desc="probe", unit="fold"):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
        probe.fit(values[train], targets[train])
        chances[np.ix_(held, probe.classes_)] = probe.predict_proba(values[held])
        seen[held] = np.isin(targets[held], probe.classes_)
    method = f"a linear probe on {Path(weights.init).name}, {FOLDS} folds by group"
    return OutOfFold(
        method, [row for row, kept in zip(judged, seen, strict=True) if kept], classes, chances[seen]
    )
