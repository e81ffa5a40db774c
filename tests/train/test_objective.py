"""The training loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.labels import LABELS
from train.config import TrainConfig
from train.fit.objective import Objective

THREE = list(LABELS[:3])
UNEVEN = np.repeat([0, 1, 2], [16, 4, 1])
PLAIN = {"labels": THREE, "label_smoothing": 0.0, "sampler_power": 0.0}
ROWS = torch.tensor([0, 18, 20])


def test_logit_adjustment_asks_more_of_rare_classes() -> None:
    """With logits all zero the loss is the class's log frequency, as Menon et al. have it."""
    even = Objective(UNEVEN, None, TrainConfig(**PLAIN))
    assert even((torch.zeros(3, 3), None), ROWS).item() == pytest.approx(math.log(3))
    adjusted = Objective(UNEVEN, None, TrainConfig(**PLAIN, logit_adjustment=1.0))
    wanted = -np.mean(np.log(np.array([16, 4, 1]) / 21))
    assert adjusted((torch.zeros(3, 3), None), ROWS).item() == pytest.approx(wanted)


def test_logit_adjustment_knows_what_the_sampler_has_balanced() -> None:
    options = {**PLAIN, "sampler_power": 0.5, "logit_adjustment": 1.0}
    loss = Objective(UNEVEN, None, TrainConfig(**options))((torch.zeros(3, 3), None), ROWS)
    assert loss.item() == pytest.approx(-np.mean(np.log(np.array([4, 2, 1]) / 7)))


def test_the_diagnosis_counts_by_its_weight() -> None:
    outputs = torch.zeros(3, 3), torch.zeros(3, 5)
    diagnoses = np.zeros(21, dtype=np.int64)
    loss = Objective(UNEVEN, diagnoses, TrainConfig(**PLAIN, diagnosis_weight=0.5))(outputs, ROWS)
    assert loss.item() == pytest.approx(math.log(3) + 0.5 * math.log(5))
