"""The reference that drift is measured against: a few numbers about each validation picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np

from model.checkpoint import CONFIG, load
from model.config import ModelConfig
from model.decision.drift import REFERENCE, Reference, Signals
from model.decision.rejection import max_probability, normalized_entropy, verdict
from model.errors import DataError
from model.files import write_text
from model.image import read_image
from model.image.preprocess import decode_side
from model.image.quality import brightness, check_quality
from model.runtime.device import trusted_device
from train.data.rows import open_rows
from train.data.splits import picture_bytes
from train.inference import predict_rows
from train.predictions import Predictions


def make_reference(
    *, checkpoint: str, data: Sequence[str], split: str, device: str, max_unreadable: float
) -> None:
    """Adds the signals of a split's pictures to a checkpoint.

    Args:
        checkpoint: the folder; its ``config.json`` and reference are written, its weights stay.
        data: folders or Hub ids.
        split: pictures that the weights were not trained on; labels are not needed.
        device: as in ``TrainConfig``.
        max_unreadable: as for ``open_rows``.

    Raises:
        DataError: as for ``open_rows``, or there is no picture.
    """
    loaded = load(Path(checkpoint))
    rows = open_rows(data, split, labels=None, max_unreadable=max_unreadable, labelled=False).rows
    if not len(rows):
        raise DataError(f"The split {split} has no pictures.", hint="Name another --split.")
    predictions = predict_rows(
        loaded.network,
        rows,
        loaded.config,
        device=trusted_device(device, loaded.network, size=loaded.config.input_size),
        what="reference",
        detector=loaded.detector,
    )
    reference = Reference.of([_signals(predictions, row, rows, loaded.config) for row in range(len(rows))])
    reference.save(loaded.folder)
    write_text(loaded.folder / CONFIG, dataclasses.replace(loaded.config, drift=REFERENCE).to_json())
    print(f"{REFERENCE} has the signals of {len(rows)} pictures: {', '.join(reference.names)}.")


def _signals(predictions: Predictions, row: int, rows: datasets.Dataset, config: ModelConfig) -> Signals:
    probabilities = predictions.probabilities[row]
    unusual = None if predictions.unusualness is None else float(predictions.unusualness[row])
    picture = read_image(picture_bytes(rows[row]), target_side=decode_side(config))
    numbers = {
        "max_probability": float(max_probability(probabilities)),
        "normalized_entropy": float(np.clip(normalized_entropy(probabilities), 0, 1)),
        "brightness": brightness(picture),
    }
    if unusual is not None:
        numbers["unusualness"] = unusual
    words: dict[str, list[str]] = {
        "verdict": [verdict(probabilities, config, unusual)],
        "quality": [warning.name for warning in check_quality(picture)],
    }
    return Signals(numbers, words)
