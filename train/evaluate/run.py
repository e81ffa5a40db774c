"""``evaluate`` and ``predict``: a checkpoint's figures on labelled pictures, and its probabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.rejection import detection_margin
from model.files import write_json
from train.data.pictures import shown
from train.data.rows import open_rows
from train.data.splits import stems
from train.distributed import is_main
from train.evaluate.curves import curve_metrics
from train.evaluate.dermoscopy import DERMOSCOPY_LABELS, check_mappable, mapped_metrics
from train.evaluate.isic import CHALLENGES, check_fits, columns, write_csv
from train.evaluate.measure import judge, open_checkpoint, outputs_of
from train.evaluate.metrics import accuracy_by, bootstrap_intervals, classification_metrics, warning_metrics
from train.evaluate.per_class import confusion, malignant_sensitivity, per_class_metrics
from train.extras import require
from train.report.html import write_report
from train.report.worst_errors import worst_errors

Floats = NDArray[np.float64]


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
    """Writes ``OUTPUT/metrics.json`` and, from it, ``report.html`` and ``figures/*.png``.

    Args:
        max_unreadable, manifest: as for ``open_rows``.
        truth: a ground truth that names the classes of the pictures, for data without labels.
        map: a key of ``DERMOSCOPY_LABELS``: ``mapped_metrics`` of a model of the 22 clinical groups instead,
            in ``OUTPUT/mapped.json``.

    Raises:
        DataError: rows without a label, among others.
        ConfigError: matplotlib, which the figures need, is missing.
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
    outputs = outputs_of(loaded, rows)
    probabilities, unusualness = judge(loaded, outputs)
    if not is_main():
        return
    labels = np.asarray(rows["label"], dtype=np.int64)
    about = {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "data": shown(Path(data).name),
        "split": split,
    }
    if map is not None:
        mapped = mapped_metrics(
            probabilities, labels, rows["group"], config, truth_labels=of_data, unusualness=unusualness
        )
        write_json(Path(output) / "mapped.json", {**about, **mapped, "unreadable": unreadable})
        print(json.dumps(mapped, allow_nan=False))
        return
    metrics = {
        **about,
        **_figures(rows, probabilities, unusualness, labels, config),
        **curve_metrics(
            outputs.logits, labels, rows["group"], rows["source"], rows["skin_type"], config, unusualness
        ),
        "unreadable": unreadable,
    }
    write_json(Path(output) / "metrics.json", metrics)
    write_report(Path(output), metrics, worst_errors(rows, probabilities, labels, config.labels))
    short = ("n", "accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy", "ece", "rejected")
    print(json.dumps({name: metrics[name] for name in short}, allow_nan=False))


def _figures(
    rows: datasets.Dataset,
    probabilities: Floats,
    unusualness: Floats | None,
    labels: NDArray[np.int64],
    config: ModelConfig,
) -> dict[str, Any]:
    groups = list(rows["group"])
    detected = detection_margin(probabilities, config, unusualness) > 0
    return {
        **classification_metrics(probabilities, labels, config, unusualness),
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
    manifest: str = "",
    format: str = "csv",
) -> None:
    """Writes one row a picture: ``id`` and a calibrated probability a label, or a challenge's submission.

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
    probabilities, unusualness = judge(loaded, outputs_of(loaded, rows))
    if not is_main():
        return
    if format == "csv":
        write_csv(Path(output), ["id", *config.labels], names, probabilities)
    else:
        values = columns(probabilities, config, format, unusualness)
        write_csv(Path(output), ["image", *CHALLENGES[format]], names, values)
    print(f"{len(rows)} rows in {output}")
