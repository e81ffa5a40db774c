"""Submissions to the ISIC challenges, and the challenges' score."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.errors import DataError
from model.files import atomic_path, write_json
from train.data.formats import UNKNOWN
from train.data.tables import number, read_table, read_truth
from train.predictions import Predictions

Floats = NDArray[np.float64]

CHALLENGES = {
    "isic2018": ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
    "isic2019": ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"),
}
"""Columns after ``image``, in the challenge's order."""


def check_fits(config: ModelConfig, challenge: str) -> None:
    """Check that a checkpoint's labels are a challenge's columns in lower case.

    ``unk`` may be absent: ``columns`` fills it by the rejection rule. Nothing is mapped, since akiec (2018)
    combines what ak and scc (2019) separate.

    Raises:
        DataError: a label is missing or extra.
    """
    wanted = {name.lower() for name in CHALLENGES[challenge]}
    missing = sorted(wanted - {UNKNOWN} - set(config.labels))
    extra = sorted(set(config.labels) - wanted)
    if missing or extra:
        trained = ", ".join(sorted(wanted - {UNKNOWN}))
        problems = [f"it has no {', '.join(missing)}"] if missing else []
        problems += [f"{challenge} has no {', '.join(extra)}"] if extra else []
        raise DataError(
            f"The labels of this checkpoint do not fit {challenge}: {'; '.join(problems)}.",
            hint=f"Use a checkpoint trained on {trained}; labels are not mapped.",
        )


def columns(predictions: Predictions, config: ModelConfig, challenge: str) -> Floats:
    """Calibrated probabilities (N, K) in the order of a challenge's columns, (N, columns), 0 to 1.

    For a checkpoint without the label ``unk``, UNK is 1 if its rule rejects the picture (or says no
    condition), else 0; the other columns are unchanged: the challenge takes the largest as the answer.
    """
    of_class = dict(zip(predictions.class_names, predictions.probabilities.T, strict=True))
    of_class.setdefault(UNKNOWN, predictions.detected(config).astype(np.float64))
    return np.stack([of_class[name.lower()] for name in CHALLENGES[challenge]], axis=1)


def write_csv(path: Path, header: Sequence[str], names: Iterable[str], values: Floats) -> None:
    """Write a header and one row per picture, atomically."""
    with atomic_path(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for name, row in zip(names, values, strict=True):
            writer.writerow([name, *(f"{value:.6g}" for value in row)])


def score(*, submission: str, truth: str, output: str | None) -> None:
    """Print a submission's challenge score as JSON, and write it to ``output`` if given.

    Raises:
        DataError: as for ``challenge_score``.
    """
    figures = challenge_score(Path(submission), Path(truth))
    if output:
        write_json(Path(output), figures)
    print(json.dumps(figures, indent=2, allow_nan=False))


def challenge_score(submission: Path, truth: Path) -> dict[str, Any]:
    """Balanced multi-class accuracy as the ISIC challenges compute it: the mean recall of the classes.

    The largest column is the answer, and a tie is wrong; a picture counts by its ``score_weight`` where the
    ground truth has one.

    Returns:
        ``n`` (pictures that count), ``balanced_accuracy``, ``accuracy``, ``undecided`` (ties) and ``recall``
        by class, each with its ``n``.

    Raises:
        DataError: a file cannot be read, or the two are not about the same pictures and classes.
    """
    truths = read_truth(truth)
    header = next(read_table(submission, "image"), {})
    classes = next((names for names in CHALLENGES.values() if set(names) == set(header) - {"image"}), None)
    if classes is None:
        raise DataError(
            f"{submission} has the columns {', '.join(header)}, which do not match any challenge.",
            hint="Expected " + " or ".join(f"image,{','.join(names)}" for names in CHALLENGES.values()) + ".",
        )
    answers: dict[str, list[float]] = {}
    for row in read_table(submission, "image", *classes):
        if row["image"] in answers:
            raise DataError(f"{submission} has {row['image']} twice.", hint="Expected one row per picture.")
        answers[row["image"]] = [number(row[name], row["image"], submission) for name in classes]
    _check_same(set(answers), set(truths), submission, truth)
    names = [name.lower() for name in classes]
    unlike = sorted({str(entry.label) for entry in truths.values()} - set(names))
    if unlike:
        raise DataError(
            f"{truth} has the classes {', '.join(unlike)}, and {submission} does not.",
            hint="Score a submission against the ground truth of the same challenge.",
        )
    values = np.array([answers[name] for name in truths])
    targets = np.array([names.index(str(entry.label)) for entry in truths.values()])
    weights = np.array([entry.weight for entry in truths.values()])
    tied = (values == values.max(axis=1, keepdims=True)).sum(axis=1) > 1
    right = (values.argmax(axis=1) == targets) & ~tied
    if not weights.any():
        raise DataError(f"No picture of {truth} counts.", hint="Check its column score_weight.")
    recall = {
        classes[number]: {
            "n": int((weights[targets == number] > 0).sum()),
            "recall": float(np.average(right[targets == number], weights=weights[targets == number])),
        }
        for number in np.unique(targets[weights > 0])
    }
    return {
        "n": int((weights > 0).sum()),
        "balanced_accuracy": float(np.mean([entry["recall"] for entry in recall.values()])),
        "accuracy": float(np.average(right, weights=weights)),
        "undecided": int((tied & (weights > 0)).sum()),
        "recall": recall,
    }


def _check_same(answers: set[str], truths: set[str], submission: Path, truth: Path) -> None:
    for absent, where in ((truths - answers, submission), (answers - truths, truth)):
        if absent:
            raise DataError(
                f"{len(absent)} pictures are not in {where}; the first is {min(absent)}.",
                hint="A submission has one row for every picture of the ground truth, and no others.",
            )
