"""``evaluate``, ``predict`` and ``ood``: a checkpoint's figures, its probabilities, its rejection."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from model.calibration import softmax
from model.checkpoint import Checkpoint, load
from model.config import ModelConfig
from model.device import trusted_device
from model.errors import DataError
from model.labels import NO_CONDITION
from model.rejection import dual_margin, max_probability, normalized_entropy, unknown_margin
from train.data import NO_LABEL, drop_unreadable, load_split, split_names
from train.inference import predict_logits
from train.metrics import (
    accuracy_by,
    bootstrap_intervals,
    classification_metrics,
    detection_metrics,
    warning_metrics,
)

Floats = NDArray[np.float64]

# Every score grows with how much a picture looks out of place.
DETECTORS: dict[str, Callable[[Floats, ModelConfig], Floats]] = {
    "max_probability": lambda probabilities, config: -max_probability(probabilities),
    "normalized_entropy": lambda probabilities, config: normalized_entropy(probabilities),
    "dual_criterion": dual_margin,
    "dual_criterion_or_unknown": lambda probabilities, config: np.maximum(
        dual_margin(probabilities, config), unknown_margin(probabilities, config)
    ),
}


def evaluate(
    *, checkpoint: str, data: str, split: str, output: str, device: str, max_unreadable: float
) -> None:
    """Writes ``OUTPUT/metrics.json``: ``classification_metrics`` and ``bootstrap_intervals``.

    Raises:
        DataError: rows without a label, among others.
    """
    loaded, rows, probabilities, unreadable = _probabilities(checkpoint, data, split, device, max_unreadable)
    labels = np.asarray(rows["label"], dtype=np.int64)
    metrics = {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "data": Path(data).name,
        "split": split,
        **classification_metrics(probabilities, labels, loaded.config),
        "intervals": bootstrap_intervals(probabilities, labels, rows["group"]),
        "per_source": accuracy_by(rows["source"], probabilities, labels, rows["group"]),
        "per_skin_type": accuracy_by(rows["skin_type"], probabilities, labels, rows["group"]),
        "malignant_warning": warning_metrics(probabilities, labels, loaded.config),
        "unreadable": unreadable,
    }
    _write_json(Path(output) / "metrics.json", metrics)
    short = ("n", "accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy", "ece", "rejected")
    print(json.dumps({name: metrics[name] for name in short}))


def predict(
    *, checkpoint: str, data: str, split: str, output: str, device: str, max_unreadable: float
) -> None:
    """Writes a CSV with ``id`` and one calibrated probability per label name."""
    loaded, rows, probabilities, _ = _probabilities(
        checkpoint, data, split, device, max_unreadable, labelled=False
    )
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *loaded.config.labels])
        for name, values in zip(rows["id"], probabilities, strict=True):
            writer.writerow([name, *(f"{value:.6g}" for value in values)])
    print(f"{len(rows)} rows in {path}")


def ood(
    *, checkpoint: str, data: str, split: str, ood: str, output: str, device: str, max_unreadable: float
) -> None:
    """Writes ``OUTPUT/ood.json``: how many pictures of each source are detected, how well each score tells.

    Skin is the rows of ``data`` whose label is not Unknown_Normal. ``detected`` counts the verdicts
    ``rejected`` and ``no_condition``.
    """
    loaded, rows, probabilities, _ = _probabilities(checkpoint, data, split, device, max_unreadable)
    config = loaded.config
    unknown = config.labels.index(NO_CONDITION) if NO_CONDITION in config.labels else None
    skin = probabilities[[label != unknown for label in rows["label"]]]
    others = datasets.concatenate_datasets(
        [_read(ood, name, None, max_unreadable)[0] for name in split_names(ood)]
    )
    other = _calibrated(loaded, others, device)
    names = np.asarray([source or "all" for source in others["source"]])
    scores = {name: (score(skin, config), score(other, config)) for name, score in DETECTORS.items()}
    decided = scores["dual_criterion_or_unknown"]
    result = {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "data": Path(data).name,
        "split": split,
        "skin": {"n": len(skin), "detected": int((decided[0] > 0).sum())},
        "sources": {
            str(name): {
                "n": int((names == name).sum()),
                "detected": int((decided[1][names == name] > 0).sum()),
            }
            for name in np.unique(names)
        },
        "detectors": {
            detector: {str(name): detection_metrics(ours, theirs[names == name]) for name in np.unique(names)}
            for detector, (ours, theirs) in scores.items()
        },
    }
    _write_json(Path(output) / "ood.json", result)
    print(json.dumps({"skin": result["skin"], "sources": result["sources"]}))


def _probabilities(
    reference: str, data: str, split: str, device: str, max_unreadable: float, *, labelled: bool = True
) -> tuple[Checkpoint, datasets.Dataset, Floats, list[dict[str, Any]]]:
    loaded = load(reference)
    rows, unreadable = _read(data, split, loaded.config.labels if labelled else None, max_unreadable)
    unlabelled = list(rows["label"]).count(NO_LABEL)
    if labelled and unlabelled:
        raise DataError(
            f"{unlabelled} of {len(rows)} rows of {data} ({split}) have no label.",
            hint="Use `python -m train predict` for pictures without labels.",
        )
    return loaded, rows, _calibrated(loaded, rows, device), unreadable


def _read(
    data: str, split: str, labels: Sequence[str] | None, max_unreadable: float
) -> tuple[datasets.Dataset, list[dict[str, Any]]]:
    rows = load_split([data], split, labels=labels, strict=False)
    return drop_unreadable(rows, limit=max_unreadable, what=split)


def _calibrated(loaded: Checkpoint, rows: datasets.Dataset, device: str) -> Floats:
    chosen = trusted_device(device, loaded.network, size=loaded.config.input_size)
    logits = predict_logits(loaded.network, rows, loaded.config, device=chosen, what="predict")
    return softmax(logits, loaded.config.temperature)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
