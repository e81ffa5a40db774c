"""What the validation split teaches a checkpoint, written with figures of how well it holds."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch

from model.checkpoint import CONFIG, fingerprint, load
from model.config import ModelConfig
from model.device import trusted_device
from model.network import SkinDiseaseNet
from train.config import TrainConfig
from train.conformal import INSTALL, has_mapie, require_mapie
from train.crossfit import cross_fitted
from train.data import load_split
from train.inference import predict_outputs
from train.processes import is_main
from train.rule import Aims, Answers, fit_rule

FIGURES = "calibration.json"


def calibrate(
    network: SkinDiseaseNet,
    validation: datasets.Dataset,
    model_config: ModelConfig,
    config: TrainConfig,
    device: torch.device,
) -> tuple[ModelConfig, dict[str, Any] | None]:
    """The model configuration, completed with what the validation split teaches, and cross-fitted figures.

    Args:
        network: its weights are rounded to float16, as the checkpoint stores them.
        validation: as ``train.data`` loads it.
        model_config: belongs to the network.
        config: gives the aims and ``num_workers``.
        device: where to compute.
    """
    stored = {name: w.half() if w.is_floating_point() else w for name, w in network.state_dict().items()}
    network.load_state_dict(stored)
    outputs = predict_outputs(
        network, validation, model_config, device=device, what="calibrate", num_workers=config.num_workers
    )
    if is_main() and not has_mapie():
        print(
            f"The checkpoint gets no prediction sets, since MAPIE is not installed. {INSTALL} and run "
            "`python -m train calibrate` on it to add them.",
            file=sys.stderr,
        )
    answers = Answers.of(validation, outputs)
    aims = Aims(config.keep, config.uncertain_accuracy, config.malignant_sensitivity)
    figures = _figures(answers, model_config, aims, data=config.data, split="validation")
    return fit_rule(answers, model_config, aims), figures


def recalibrate(
    *,
    checkpoint: str,
    data: Sequence[str],
    split: str,
    keep: float,
    uncertain_accuracy: float,
    malignant_sensitivity: float,
    device: str,
    output: str | None,
) -> None:
    """Fits all that a checkpoint learns from validation anew and writes its ``config.json``.

    Args:
        checkpoint: the folder; its weights stay as they are.
        data, split: labelled pictures that the weights were not trained on.
        keep, uncertain_accuracy, malignant_sensitivity: as in ``TrainConfig``.
        device: as in ``TrainConfig``.
        output: folder for ``calibration.json``, the cross-fitted figures; None writes none.

    Raises:
        ConfigError: MAPIE is not installed.
    """
    require_mapie()
    aims = Aims(keep, uncertain_accuracy, malignant_sensitivity)
    loaded = load(Path(checkpoint))
    rows = load_split(data, split, labels=loaded.config.labels, strict=False)
    chosen = trusted_device(device, loaded.network, size=loaded.config.input_size)
    outputs = predict_outputs(loaded.network, rows, loaded.config, device=chosen, what="calibrate")
    answers = Answers.of(rows, outputs)
    config = fit_rule(answers, loaded.config, aims)
    figures = _figures(answers, loaded.config, aims, data=data, split=split)
    _write(loaded.folder / CONFIG, config.to_json())
    for name, value in dataclasses.asdict(config).items():
        if value != getattr(loaded.config, name):
            print(f"{name}: {getattr(loaded.config, name):.4g} → {value:.4g}")
    if output is not None:
        write_figures(Path(output), loaded.folder, figures)
    print("Figures measured before belong to the old configuration; run evaluate and card again.")


def write_figures(folder: Path, checkpoint: Path, figures: dict[str, Any] | None) -> None:
    """Writes cross-fitted figures to ``calibration.json``.

    Args:
        folder: made if needed.
        checkpoint: the folder that they belong to.
        figures: from ``calibrate``; where there are none, a line says so instead.
    """
    if figures is None:
        print(f"No {FIGURES}: too few pictures to be divided for cross-fitting.", file=sys.stderr)
        return
    folder.mkdir(parents=True, exist_ok=True)
    about = {"checkpoint": {"id": checkpoint.name, "revision": fingerprint(checkpoint)}}
    _write(folder / FIGURES, json.dumps({**about, **figures}, indent=2) + "\n")


def _figures(
    answers: Answers, model_config: ModelConfig, aims: Aims, *, data: Sequence[str], split: str
) -> dict[str, Any] | None:
    """``cross_fitted``, and what it was measured on."""
    figures = cross_fitted(answers, model_config, aims)
    return figures and {"data": [Path(name).name for name in data], "split": split, **figures}


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
