"""Calibrate a checkpoint on the validation split, with cross-fitted metrics."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import torch

from model.checkpoint import CONFIG, fingerprint, load
from model.config import ModelConfig
from model.decision.ood import DETECTOR, Detector
from model.files import write_json, write_text
from model.network import SkinDiseaseNet
from model.runtime.device import trusted_device
from model.weights import halved
from train.calibrate.conformal import has_mapie
from train.calibrate.crossfit import cross_fitted
from train.calibrate.ood_detector import fit_detector
from train.calibrate.rule import Aims, fit_rule
from train.config import TrainConfig
from train.data.pictures import shown
from train.data.rows import open_rows
from train.data.test_sets import refuse_learning
from train.distributed import is_main
from train.extras import require
from train.inference import predict_rows
from train.predictions import Predictions

FIGURES = "calibration.json"


class Calibrated(NamedTuple):
    """The completed configuration, its detector, if any, and cross-fitted metrics."""

    config: ModelConfig
    detector: Detector | None
    figures: dict[str, Any] | None


def calibrate(
    network: SkinDiseaseNet,
    train: datasets.Dataset,
    validation: datasets.Dataset,
    model_config: ModelConfig,
    config: TrainConfig,
    device: torch.device,
) -> Calibrated:
    """Calibrate on the validation split.

    Args:
        network: its weights are rounded to float16, as the checkpoint stores them.
        train, validation: from ``train.data.splits``.
        model_config: of the network.
        config: with the aims, ``not_skin``, ``detector_pictures`` and ``num_workers``.
        device: for the computation.

    Raises:
        CheckpointError: a weight is not finite, or too large for float16.
    """
    network.load_state_dict(halved(network))
    predictions = predict_rows(
        network, validation, model_config, device=device, what="calibrate", num_workers=config.num_workers
    )
    if is_main() and not has_mapie():
        print(
            "The checkpoint gets no prediction sets, since MAPIE is not installed. Install "
            "requirements-eval.txt and run `python -m train calibrate` on it to add them.",
            file=sys.stderr,
        )
    detector = fit_detector(
        network,
        lambda: train,
        validation,
        predictions,
        model_config,
        device=device,
        not_skin=config.not_skin,
        pictures=config.detector_pictures,
        num_workers=config.num_workers,
    )
    aims = Aims(config.keep, config.uncertain_accuracy, config.malignant_sensitivity)
    predictions, named = _with_detector(predictions, detector), _naming(model_config, detector)
    figures = _figures(predictions, named, aims, detector, data=config.data, split="validation")
    return Calibrated(fit_rule(predictions, named, aims), detector, figures)


def recalibrate(
    *,
    checkpoint: str,
    data: Sequence[str],
    split: str,
    fit_split: str,
    not_skin: Sequence[str],
    detector_pictures: int,
    keep: float,
    uncertain_accuracy: float,
    malignant_sensitivity: float,
    device: str,
    output: str | None,
    max_unreadable: float = 0.01,
    manifest: str = "",
) -> None:
    """Recalibrate a checkpoint on validation data; writes its ``config.json`` and detector.

    Args:
        checkpoint: the folder; its weights do not change.
        data, split: labelled pictures that the weights were not trained on.
        fit_split: split of the same data that the weights were trained on, for the detector.
        not_skin, detector_pictures, keep, uncertain_accuracy, malignant_sensitivity: as in ``TrainConfig``.
        device: as in ``TrainConfig``.
        max_unreadable, manifest: as for ``open_rows``; the manifest is of ``split`` and ``fit_split``.
        output: folder for ``calibration.json``, the cross-fitted metrics; None for no file.

    Raises:
        ConfigError: MAPIE is not installed.
        DataError: as for ``open_rows``; also if the data set is for testing only.
    """
    require("mapie", what="Fitting prediction sets")
    for source in data:
        refuse_learning(source)
    aims = Aims(keep, uncertain_accuracy, malignant_sensitivity)
    loaded = load(Path(checkpoint))

    def opened(name: str) -> datasets.Dataset:
        return open_rows(
            data, name, labels=loaded.config.labels, max_unreadable=max_unreadable, manifest=manifest
        ).rows

    rows = opened(split)
    chosen = trusted_device(device, loaded.network, size=loaded.config.input_size)
    predictions = predict_rows(loaded.network, rows, loaded.config, device=chosen, what="calibrate")
    detector = fit_detector(
        loaded.network,
        lambda: opened(fit_split),
        rows,
        predictions,
        loaded.config,
        device=chosen,
        not_skin=not_skin,
        pictures=detector_pictures,
    )
    predictions, named = _with_detector(predictions, detector), _naming(loaded.config, detector)
    config = fit_rule(predictions, named, aims)
    figures = _figures(predictions, named, aims, detector, data=data, split=split)
    if detector is not None:
        detector.save(loaded.folder)
    write_text(loaded.folder / CONFIG, config.to_json())
    if detector is None:
        (loaded.folder / DETECTOR).unlink(missing_ok=True)
    for name, value in dataclasses.asdict(config).items():
        if value != getattr(loaded.config, name):
            print(f"{name}: {_short(getattr(loaded.config, name))} → {_short(value)}")
    if detector is not None:
        print(f"The third criterion is: {detector.name}. On validation, AUROC by source:")
        for candidate, aurocs in detector.choice["auroc"].items():
            print(f"  {candidate}: {', '.join(f'{name} {auroc:.3f}' for name, auroc in aurocs.items())}")
    if output is not None:
        write_figures(Path(output), loaded.folder, figures)
    print("Metrics measured before belong to the old configuration; run evaluate and card again.")


def write_figures(folder: Path, checkpoint: Path, figures: dict[str, Any] | None) -> None:
    """Write cross-fitted metrics to ``calibration.json``.

    Args:
        folder: created if needed.
        checkpoint: the folder.
        figures: from ``calibrate``; None prints a message instead.
    """
    if figures is None:
        print(f"No {FIGURES}: too few pictures for cross-fitting.", file=sys.stderr)
        return
    about = {"checkpoint": {"id": checkpoint.name, "revision": fingerprint(checkpoint)}}
    write_json(folder / FIGURES, {**about, **figures})


def _with_detector(predictions: Predictions, detector: Detector | None) -> Predictions:
    unusualness = None if detector is None else detector.unusualness(predictions.features)
    return dataclasses.replace(predictions, unusualness=unusualness)


def _naming(model_config: ModelConfig, detector: Detector | None) -> ModelConfig:
    return dataclasses.replace(model_config, detector="" if detector is None else DETECTOR)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def _figures(
    predictions: Predictions,
    model_config: ModelConfig,
    aims: Aims,
    detector: Detector | None,
    *,
    data: Sequence[str],
    split: str,
) -> dict[str, Any] | None:
    """``cross_fitted``, the choice of the detector, and the data behind both."""
    figures = cross_fitted(predictions, model_config, aims)
    chosen = None if detector is None else {"name": detector.name, **detector.choice}
    about = {
        "data": [shown(Path(name).name) for name in data],
        "split": split,
        "aims": dataclasses.asdict(aims),
    }
    return figures and {**about, **figures, "detector": chosen}
