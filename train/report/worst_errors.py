"""The most confident wrong answers, with thumbnails."""

from __future__ import annotations

import dataclasses
import io

import datasets
import numpy as np

from model.image import read_image
from train.data.splits import picture_bytes
from train.predictions import Predictions

COUNT = 24
SIDE = 160


@dataclasses.dataclass(frozen=True)
class WorstError:
    """A wrong answer.

    Attributes:
        id: of the picture, in its data set. source: of the picture, if known.
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


def worst_errors(rows: datasets.Dataset, predictions: Predictions) -> list[WorstError]:
    """The most confident wrong answers, at most ``COUNT``, one per group of pictures.

    Args:
        rows: readable, as ``load_split`` gives them.
        predictions: for these rows.
    """
    answers, targets, names = predictions.answers, predictions.targets, predictions.class_names
    confidence = predictions.confidence
    surest = np.argsort(-confidence, kind="stable")
    chosen: dict[str, int] = {}
    for row in surest[~predictions.right[surest]].tolist():
        chosen.setdefault(predictions.groups[row], row)
    return [
        WorstError(
            id=rows[row]["id"],
            source=rows[row]["source"],
            label=names[targets[row]],
            answer=names[answers[row]],
            confidence=float(confidence[row]),
            own=float(predictions.probabilities[row, targets[row]]),
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
