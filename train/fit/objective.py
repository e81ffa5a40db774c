"""The training loss: classification, and optionally an auxiliary layer that predicts diagnoses."""

from __future__ import annotations

from collections.abc import Callable

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.network import SkinDiseaseNet
from train.config import TrainConfig
from train.data.diagnosis import diagnosis_labels
from train.data.loader import class_weights, sampling_weights

Ints = NDArray[np.int64]

# A diagnosis with fewer pictures is merged with the others of its label.
_FEWEST = 10


class Learner(nn.Module):
    """A network in training, with an auxiliary layer that is discarded afterwards.

    Args:
        network: the network to train.
        diagnoses: number of classes of the auxiliary layer; 0 for none.
        features: computes the map that the head reads from a batch; default: the network's own.
        compiled: compile it, once per picture size.
    """

    def __init__(
        self,
        network: SkinDiseaseNet,
        *,
        diagnoses: int,
        features: Callable[[Tensor], Tensor] | None = None,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        features = features or network.forward_features
        self._features = torch.compile(features, dynamic=False) if compiled else features
        self.network = network
        self.diagnosis = nn.Linear(sum(network.channels), diagnoses) if diagnoses else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Normalised RGB (B, 3, H, W) → logits of the classes and, if there are any, of the diagnoses."""
        features = self._features(images)  # (B, C, h, w)
        logits = self.network.forward_head(features)
        if self.diagnosis is None:
            return logits, None
        with torch.autocast(features.device.type, enabled=False):
            return logits, self.diagnosis(features.float().mean(dim=(2, 3)))


class Objective(nn.Module):
    """The loss of a batch, by its row indices.

    Args:
        targets: class index per row, (N,).
        diagnoses: diagnosis index per row, (N,); None without the auxiliary layer.
        config: weights, smoothing and adjustment.
    """

    adjustment: Tensor
    targets: Tensor
    diagnoses: Tensor

    def __init__(self, targets: Ints, diagnoses: Ints | None, config: TrainConfig) -> None:
        super().__init__()
        classes = len(config.labels)
        weights = class_weights(targets, classes=classes, power=config.class_weight_power)
        self.classification = nn.CrossEntropyLoss(weights, label_smoothing=config.label_smoothing)
        drawn = np.maximum(np.bincount(targets, minlength=classes), 1) ** (1 - config.sampler_power)
        adjustment = torch.from_numpy(config.logit_adjustment * np.log(drawn / drawn.sum()))
        self.weight = config.diagnosis_weight
        self.naming = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
        self.register_buffer("adjustment", adjustment.float())
        self.register_buffer("targets", torch.from_numpy(targets))
        self.register_buffer("diagnoses", None if diagnoses is None else torch.from_numpy(diagnoses))

    def forward(self, outputs: tuple[Tensor, Tensor | None], rows: Tensor) -> Tensor:
        """The output of a ``Learner`` for these rows (B,) → the loss, a scalar."""
        logits, named = outputs
        loss = self.classification(logits.float() + self.adjustment, self.targets[rows])
        if named is not None:
            loss = loss + self.weight * self.naming(named, self.diagnoses[rows])
        return loss


def create_objective(
    network: SkinDiseaseNet,
    rows: datasets.Dataset,
    config: TrainConfig,
    features: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Learner, Objective]:
    """Create the learner and the loss for a network and its training rows.

    Args:
        network: the network to train.
        rows: with the columns ``label`` and ``diagnosis``.
        config: ``diagnosis_weight`` above 0 adds the auxiliary layer.
        features: as for ``Learner``.
    """
    targets, named = np.asarray(rows["label"]), None
    if config.diagnosis_weight:
        named = diagnosis_labels(rows["diagnosis"], targets.tolist(), minimum=_FEWEST)
    learner = Learner(
        network, diagnoses=len(named.classes) if named else 0, features=features, compiled=config.compile
    )
    return learner, Objective(targets, named.numbers if named else None, config)


def row_weights(rows: datasets.Dataset, config: TrainConfig) -> Tensor:
    """A recipe's sampling weights for the rows, (N,), see ``sampling_weights``."""
    return sampling_weights(
        np.asarray(rows["label"]),
        rows["source"],
        classes=len(config.labels),
        sampler_power=config.sampler_power,
        source_power=config.source_power,
    )
