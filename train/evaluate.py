"""``evaluate``, ``predict`` and ``ood``: a checkpoint's figures, its probabilities, its rejection.

Under a launcher every process computes a share of the pictures, and the main one writes.
"""

from __future__ import annotations

import json
import sys
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
from train.data import NO_LABEL, drop_unreadable, load_split, split_names, with_truth
from train.inference import predict_logits
from train.mapping import DERMOSCOPY_LABELS, check_mappable, mapped_metrics
from train.metrics import (
    accuracy_by,
    bootstrap_intervals,
    classification_metrics,
    detection_metrics,
    warning_metrics,
)
from train.per_class import confusion, malignant_sensitivity, per_class_metrics
from train.processes import is_main, own_device
from train.submission import CHALLENGES, check_fits, columns, write_csv

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
    *,
    checkpoint: str,
    data: str,
    split: str,
    output: str,
    device: str,
    max_unreadable: float,
    truth: str | None = None,
    map: str | None = None,
) -> None:
    """Writes ``OUTPUT/metrics.json``: ``classification_metrics`` and ``bootstrap_intervals``.

    Args:
        truth: a ground truth that names the classes of the pictures, for data without labels.
        map: a key of ``DERMOSCOPY_LABELS``: ``mapped_metrics`` of a model of the 22 clinical groups instead,
            in ``OUTPUT/mapped.json``.

    Raises:
        DataError: rows without a label, among others.
    """
    loaded = _load(checkpoint, device)
    config = loaded.config
    if map is not None:
        check_mappable(config)
    of_data = config.labels if map is None else DERMOSCOPY_LABELS[map]
    rows, probabilities, unreadable = _probabilities(
        loaded, data, split, max_unreadable, labels=of_data, truth=truth
    )
    if not is_main():
        return
    labels = np.asarray(rows["label"], dtype=np.int64)
    about = {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "data": Path(data).name,
        "split": split,
    }
    if map is not None:
        mapped = mapped_metrics(probabilities, labels, rows["group"], config, truth_labels=of_data)
        _write_json(Path(output) / "mapped.json", {**about, **mapped, "unreadable": unreadable})
        print(json.dumps(mapped))
        return
    metrics = {
        **about,
        **_figures(rows, probabilities, labels, config),
        "unreadable": unreadable,
    }
    _write_json(Path(output) / "metrics.json", metrics)
    short = ("n", "accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy", "ece", "rejected")
    print(json.dumps({name: metrics[name] for name in short}))


def _figures(
    rows: datasets.Dataset, probabilities: Floats, labels: NDArray[np.int64], config: ModelConfig
) -> dict[str, Any]:
    groups = list(rows["group"])
    detected = np.maximum(dual_margin(probabilities, config), unknown_margin(probabilities, config)) > 0
    return {
        **classification_metrics(probabilities, labels, config),
        "labels": list(config.labels),
        "confusion": confusion(probabilities, labels),
        "per_class": per_class_metrics(probabilities, labels, groups, config),
        "intervals": bootstrap_intervals(probabilities, labels, groups),
        "per_source": accuracy_by(rows["source"], probabilities, labels, groups, detected),
        "per_skin_type": accuracy_by(rows["skin_type"], probabilities, labels, groups, detected),
        "malignant_warning": warning_metrics(probabilities, labels, config),
        "malignant_sensitivity": malignant_sensitivity(probabilities, labels, groups, config),
    }


def predict(
    *,
    checkpoint: str,
    data: str,
    split: str,
    output: str,
    device: str,
    max_unreadable: float,
    format: str = "csv",
) -> None:
    """Writes one row a picture: ``id`` and a calibrated probability a label, or a challenge's submission.

    Args:
        format: csv, or a key of ``train.submission.CHALLENGES``, where every picture must be readable.
    """
    loaded = _load(checkpoint, device)
    config = loaded.config
    if format != "csv":
        check_fits(config, format)
        max_unreadable = 0
    rows, _ = _read(data, split, None, max_unreadable)
    probabilities = _calibrated(loaded, rows)
    if not is_main():
        return
    if format == "csv":
        write_csv(Path(output), ["id", *config.labels], rows["id"], probabilities)
    else:
        names = [Path(name).stem for name in rows["id"]]
        values = columns(probabilities, config, format)
        write_csv(Path(output), ["image", *CHALLENGES[format]], names, values)
    print(f"{len(rows)} rows in {output}")


def ood(
    *, checkpoint: str, data: str, split: str, ood: str, output: str, device: str, max_unreadable: float
) -> None:
    """Writes ``OUTPUT/ood.json``: how many pictures of each source are detected, how well each score tells.

    Skin is the rows of ``data`` whose label is not Unknown_Normal. ``detected`` counts the verdicts
    ``rejected`` and ``no_condition``.
    """
    loaded = _load(checkpoint, device)
    config = loaded.config
    rows, probabilities, _ = _probabilities(loaded, data, split, max_unreadable, labels=config.labels)
    unknown = config.labels.index(NO_CONDITION) if NO_CONDITION in config.labels else None
    skin = probabilities[[label != unknown for label in rows["label"]]]
    others = datasets.concatenate_datasets(
        [_read(ood, name, None, max_unreadable)[0] for name in split_names(ood)]
    )
    other = _calibrated(loaded, others)
    if not is_main():
        return
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
    loaded: Checkpoint,
    data: str,
    split: str,
    max_unreadable: float,
    *,
    labels: Sequence[str],
    truth: str | None = None,
) -> tuple[datasets.Dataset, Floats, list[dict[str, Any]]]:
    """Of a split that has one of ``labels`` in every row."""
    rows, unreadable = _read(data, split, labels, max_unreadable, truth)
    unlabelled = list(rows["label"]).count(NO_LABEL)
    if unlabelled:
        raise DataError(
            f"{unlabelled} of {len(rows)} rows of {data} ({split}) have no label.",
            hint="Use `python -m train predict` for pictures without labels, or add --truth FILE.csv.",
        )
    return rows, _calibrated(loaded, rows), unreadable


def _read(
    data: str, split: str, labels: Sequence[str] | None, max_unreadable: float, truth: str | None = None
) -> tuple[datasets.Dataset, list[dict[str, Any]]]:
    rows = load_split([data], split, labels=None if truth else labels, strict=False)
    if truth and labels is not None:
        rows = with_truth(rows, Path(truth), labels)
    return drop_unreadable(rows, limit=max_unreadable, what=split)


def _load(reference: str, device: str) -> Checkpoint:
    """The checkpoint, its network where this process computes."""
    loaded = load(reference)
    loaded.network.to(own_device(trusted_device(device, loaded.network, size=loaded.config.input_size)))
    if is_main():
        print(f"Checkpoint {loaded.id} ({loaded.revision}).", file=sys.stderr)
    return loaded


def _calibrated(loaded: Checkpoint, rows: datasets.Dataset) -> Floats:
    chosen = next(loaded.network.parameters()).device
    logits = predict_logits(loaded.network, rows, loaded.config, device=chosen, what="predict")
    return softmax(logits, loaded.config.temperature)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
