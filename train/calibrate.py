"""What the validation split teaches a checkpoint: temperature, rejection thresholds, bounds for wording."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import torch
from numpy.typing import NDArray

from model.calibration import fit_temperature, softmax
from model.checkpoint import CONFIG, load
from model.config import ModelConfig
from model.device import trusted_device
from model.labels import NO_CONDITION
from model.malignancy import choose_malignant_bound
from model.network import SkinDiseaseNet
from model.rejection import choose_thresholds, choose_uncertain_bound, dual_margin
from train.config import TrainConfig
from train.data import load_split
from train.inference import predict_outputs


def calibrate(
    network: SkinDiseaseNet,
    validation: datasets.Dataset,
    model_config: ModelConfig,
    config: TrainConfig,
    device: torch.device,
) -> ModelConfig:
    """The model configuration, completed with what the validation split teaches.

    Args:
        network: its weights are rounded to float16, as the checkpoint stores them.
        validation: as ``train.data`` loads it.
        model_config: belongs to the network.
        config: gives ``keep``, ``uncertain_accuracy``, ``malignant_sensitivity`` and ``num_workers``.
        device: where to compute.
    """
    stored = {name: w.half() if w.is_floating_point() else w for name, w in network.state_dict().items()}
    network.load_state_dict(stored)
    outputs = predict_outputs(
        network, validation, model_config, device=device, what="calibrate", num_workers=config.num_workers
    )
    labels = np.asarray(validation["label"])
    return fit_rule(
        outputs.logits,
        labels,
        model_config,
        keep=config.keep,
        accuracy=config.uncertain_accuracy,
        sensitivity=config.malignant_sensitivity,
    )


def recalibrate(
    *,
    checkpoint: str,
    data: Sequence[str],
    split: str,
    keep: float,
    uncertain_accuracy: float,
    malignant_sensitivity: float,
    device: str,
) -> None:
    """Fits temperature, thresholds and bounds of a checkpoint folder anew and writes its ``config.json``.

    Args:
        checkpoint: the folder; its weights stay as they are.
        data, split: labelled pictures that the weights were not trained on.
        keep, uncertain_accuracy, malignant_sensitivity: as in ``TrainConfig``.
        device: as in ``TrainConfig``.
    """
    loaded = load(Path(checkpoint))
    rows = load_split(data, split, labels=loaded.config.labels, strict=False)
    chosen = trusted_device(device, loaded.network, size=loaded.config.input_size)
    outputs = predict_outputs(loaded.network, rows, loaded.config, device=chosen, what="calibrate")
    config = fit_rule(
        outputs.logits,
        np.asarray(rows["label"]),
        loaded.config,
        keep=keep,
        accuracy=uncertain_accuracy,
        sensitivity=malignant_sensitivity,
    )
    (loaded.folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
    for name, value in dataclasses.asdict(config).items():
        if value != getattr(loaded.config, name):
            print(f"{name}: {getattr(loaded.config, name):.4g} → {value:.4g}")
    print("Figures measured before belong to the old configuration; run evaluate and card again.")


def fit_rule(
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    model_config: ModelConfig,
    *,
    keep: float,
    accuracy: float,
    sensitivity: float,
) -> ModelConfig:
    """Temperature first, then both rejection thresholds, then the bounds that decide how it is worded.

    Args:
        logits: (N, K). labels: true class numbers, (N,).
        model_config: belongs to the logits.
        keep: share of pictures with a condition that the rejection rule keeps, 0 to 1.
        accuracy: wanted of the answers that are not called uncertain, 0 to 1.
        sensitivity: share of the pictures that may be cancer for which the advice to see a doctor comes
            first, 0 to 1.
    """
    temperature = fit_temperature(logits, labels)
    probabilities = softmax(logits, temperature)
    names = np.asarray(model_config.labels)[labels]
    low, high = choose_thresholds(probabilities[names != NO_CONDITION], keep=keep)
    rule = dataclasses.replace(
        model_config, temperature=temperature, min_max_probability=low, max_normalized_entropy=high
    )
    accepted = dual_margin(probabilities, rule) <= 0
    bound = choose_uncertain_bound(probabilities[accepted], labels[accepted], accuracy=accuracy)
    malignant = choose_malignant_bound(probabilities, labels, model_config, sensitivity=sensitivity)
    return dataclasses.replace(rule, uncertain_below=bound, malignant_from=malignant)
