"""The most confident wrong answers, with small copies of their pictures."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence

import datasets
import numpy as np
from numpy.typing import NDArray

from model.image import read_image
from train.data.splits import picture_bytes

COUNT = 24
SIDE = 160


@dataclasses.dataclass(frozen=True)
class WorstError:
    """A wrong answer.

    Attributes:
        id: of the picture, in its data set. source: where it is from, if known.
        label: its class. answer: the most probable one.
        confidence: calibrated probability of the answer. own: that of the label; both 0 to 1.
        thumbnail: JPEG, no side over ``SIDE`` pixels, without metadata.
    """

    id: str
    source: str | None
    label: str
    answer: str
    confidence: float
    own: float
    thumbnail: bytes


def worst_errors(
    rows: datasets.Dataset,
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    names: Sequence[str],
) -> list[WorstError]:
    """The wrong answers of the highest confidence, at most ``COUNT``, one for each group of pictures.

    Args:
        rows: readable, as ``load_split`` gives them. probabilities: calibrated, (N, K).
        labels: true class numbers, (N,). names: of the classes, in their order.
    """
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    surest = np.argsort(-confidence, kind="stable")
    groups = list(rows["group"])
    chosen: dict[str, int] = {}
    for row in surest[answers[surest] != labels[surest]].tolist():
        chosen.setdefault(groups[row] or f"row {row}", row)
    return [
        WorstError(
            id=rows[row]["id"],
            source=rows[row]["source"],
            label=names[labels[row]],
            answer=names[answers[row]],
            confidence=float(confidence[row]),
            own=float(probabilities[row, labels[row]]),
            thumbnail=_thumbnail(picture_bytes(rows[row])),
        )
        for row in list(chosen.values())[:COUNT]
    ]


def _thumbnail(data: bytes) -> bytes:
    picture = read_image(data, target_side=SIDE)
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=75)
    return file.getvalue()
