"""``evaluate`` and ``predict-split``: a checkpoint's metrics on labelled pictures, and its probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.config import ModelConfig
from model.files import write_json
from train.data.pictures import shown
from train.data.rows import open_rows
from train.data.splits import stems
from train.distributed import is_main
from train.evaluate.curves import curve_metrics
from train.evaluate.dermoscopy import DERMOSCOPY_LABELS, check_mappable, mapped_metrics
from train.evaluate.isic import CHALLENGES, check_fits, columns, write_csv
from train.evaluate.measure import open_checkpoint, predictions_of
from train.evaluate.metrics import accuracy_by, bootstrap_intervals, classification_metrics, warning_metrics
from train.evaluate.per_class import confusion, malignant_sensitivity, per_class_metrics
from train.extras import require
from train.predictions import Predictions
from train.report.html import write_report
from train.report.schema import parse_metrics
from train.report.worst_errors import worst_errors


def evaluate(
    *,
    checkpoint: str,
    data: str,
    split: str,
    output: str,
    device: str,
    max_unreadable: float,
    manifest: str = "",
    truth: str | None = None,
    map: str | None = None,
) -> None:
    """Write ``OUTPUT/metrics.json`` and, from it, ``report.html`` and ``figures/*.png``.

    Args:
        max_unreadable, manifest: as for ``open_rows``.
        truth: a ground truth that names the classes of the pictures, for data without labels.
        map: a key of ``DERMOSCOPY_LABELS``: ``mapped_metrics`` of a model of the 22 clinical groups instead,
            in ``OUTPUT/mapped.json``.

    Raises:
        DataError: for example, rows without a label.
        ConfigError: matplotlib, needed for the figures, is missing.
    """
    if map is None:
        require("matplotlib", what="The report")
    loaded = open_checkpoint(checkpoint, device)
    config = loaded.config
    if map is not None:
        check_mappable(config)
    of_data = config.labels if map is None else DERMOSCOPY_LABELS[map]
    rows, unreadable = open_rows(
        [data], split, labels=of_data, max_unreadable=max_unreadable, manifest=manifest, truth=truth
    )
    predictions = predictions_of(loaded, rows)
    if not is_main():
        return
    about = {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "data": shown(Path(data).name),
        "split": split,
    }
    if map is not None:
        mapped = mapped_metrics(predictions, config, truth_names=of_data)
        write_json(Path(output) / "mapped.json", {**about, **mapped, "unreadable": unreadable})
        print(json.dumps(mapped, allow_nan=False))
        return
    file = Path(output) / "metrics.json"
    figures = {**_figures(predictions, config), **curve_metrics(predictions, config)}
    metrics = parse_metrics({**about, **figures, "unreadable": unreadable}, file)
    write_json(file, metrics)
    write_report(Path(output), metrics, worst_errors(rows, predictions))
    short = ("n", "accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy", "ece", "rejected")
    print(json.dumps({name: figures[name] for name in short}, allow_nan=False))


def _figures(predictions: Predictions, config: ModelConfig) -> dict[str, Any]:
    detected = predictions.detected(config)
    return {
        **classification_metrics(predictions, config),
        "labels": list(predictions.class_names),
        "confusion": confusion(predictions),
        "per_class": per_class_metrics(predictions),
        "intervals": bootstrap_intervals(predictions),
        "per_source": accuracy_by(predictions.sources, predictions, detected),
        "per_skin_type": accuracy_by(predictions.skin_types, predictions, detected),
        "malignant_warning": warning_metrics(predictions, predictions.warned(config)),
        "malignant_sensitivity": malignant_sensitivity(predictions, config),
    }


def predict(
    *,
    checkpoint: str,
    data: str,
    split: str,
    output: str,
    device: str,
    max_unreadable: float,
    manifest: str = "",
    format: str = "csv",
) -> None:
    """Write one row per picture: ``id`` and calibrated probabilities, or a challenge's submission.

    Args:
        max_unreadable, manifest: as for ``open_rows``.
        format: csv, or a key of ``train.evaluate.isic.CHALLENGES``, where every picture must be readable.
    """
    loaded = open_checkpoint(checkpoint, device)
    config = loaded.config
    if format != "csv":
        check_fits(config, format)
        max_unreadable = 0
    rows, _ = open_rows(
        [data], split, labels=None, max_unreadable=max_unreadable, labelled=False, manifest=manifest
    )
    names = list(rows["id"]) if format == "csv" else stems(rows)
    predictions = predictions_of(loaded, rows)
    if not is_main():
        return
    if format == "csv":
        write_csv(Path(output), ["id", *config.labels], names, predictions.probabilities)
    else:
        values = columns(predictions, config, format)
        write_csv(Path(output), ["image", *CHALLENGES[format]], names, values)
    print(f"{len(rows)} rows in {output}")
