"""What the validation split teaches a checkpoint: temperature, rejection thresholds, uncertainty bound."""

from __future__ import annotations

import dataclasses

import datasets
import numpy as np
import torch
from numpy.typing import NDArray

from model.calibration import fit_temperature, softmax
from model.config import ModelConfig
from model.labels import NO_CONDITION
from model.network import SkinDiseaseNet
from model.rejection import choose_thresholds, choose_uncertain_bound, dual_margin
from train.config import TrainConfig
from train.inference import predict_logits


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
        config: gives ``keep``, ``uncertain_accuracy`` and ``num_workers``.
        device: where to compute.
    """
    stored = {name: w.half() if w.is_floating_point() else w for name, w in network.state_dict().items()}
    network.load_state_dict(stored)
    logits = predict_logits(
        network, validation, model_config, device=device, what="calibrate", num_workers=config.num_workers
    )
    labels = np.asarray(validation["label"])
    return fit_rule(logits, labels, model_config, keep=config.keep, accuracy=config.uncertain_accuracy)


def fit_rule(
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    model_config: ModelConfig,
    *,
    keep: float,
    accuracy: float,
) -> ModelConfig:
    """Temperature first, then both rejection thresholds, then the bound under which an answer is uncertain.

    Args:
        logits: (N, K). labels: true class numbers, (N,).
        model_config: belongs to the logits.
        keep: share of pictures with a condition that the rejection rule keeps, 0 to 1.
        accuracy: wanted of the answers that are not called uncertain, 0 to 1.
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
    return dataclasses.replace(rule, uncertain_below=bound)
