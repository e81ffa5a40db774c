"""What ``evaluate``, ``predict`` and ``ood`` begin with: a checkpoint, readable pictures, its answers.

Under a launcher every process computes a share of the pictures, and the main one writes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray

from model.calibration import softmax
from model.checkpoint import Checkpoint, load
from model.device import trusted_device
from model.errors import DataError
from train.data import NO_LABEL, drop_unreadable, load_split, with_truth
from train.inference import Outputs, predict_outputs
from train.processes import is_main, own_device


def open_checkpoint(reference: str, device: str) -> Checkpoint:
    """The checkpoint, its network where this process computes."""
    loaded = load(reference)
    loaded.network.to(own_device(trusted_device(device, loaded.network, size=loaded.config.input_size)))
    if is_main():
        print(f"Checkpoint {loaded.id} ({loaded.revision}).", file=sys.stderr)
    return loaded


def read_rows(
    data: str, split: str, labels: Sequence[str] | None, max_unreadable: float, truth: str | None = None
) -> tuple[datasets.Dataset, list[dict[str, Any]]]:
    """The rows of a split that can be read, and the others, as ``drop_unreadable`` gives them."""
    rows = load_split([data], split, labels=None if truth else labels, strict=False)
    if truth and labels is not None:
        rows = with_truth(rows, Path(truth), labels)
    return drop_unreadable(rows, limit=max_unreadable, what=split)


def labelled_rows(
    data: str, split: str, labels: Sequence[str], max_unreadable: float, truth: str | None = None
) -> tuple[datasets.Dataset, list[dict[str, Any]]]:
    """As ``read_rows``, of a split that has one of ``labels`` in every row, or a ``DataError``."""
    rows, unreadable = read_rows(data, split, labels, max_unreadable, truth)
    unlabelled = list(rows["label"]).count(NO_LABEL)
    if unlabelled:
        raise DataError(
            f"{unlabelled} of {len(rows)} rows of {data} ({split}) have no label.",
            hint="Use `python -m train predict` for pictures without labels, or add --truth FILE.csv.",
        )
    return rows, unreadable


def outputs_of(loaded: Checkpoint, rows: datasets.Dataset) -> Outputs:
    """What the network of an opened checkpoint gives for every row."""
    device = next(loaded.network.parameters()).device
    return predict_outputs(loaded.network, rows, loaded.config, device=device, what="predict")


class Judged(NamedTuple):
    """What the rule looks at, one row a picture.

    Attributes:
        probabilities: calibrated, (N, K).
        unusualness: 0 to 1, (N,); None where the checkpoint has no detector.
    """

    probabilities: NDArray[np.float64]
    unusualness: NDArray[np.float64] | None


def judge(loaded: Checkpoint, outputs: Outputs) -> Judged:
    """What a checkpoint makes of its network's outputs."""
    detector = loaded.detector
    return Judged(
        softmax(outputs.logits, loaded.config.temperature),
        None if detector is None else detector.unusualness(outputs.features),
    )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a file of figures; its folder is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
