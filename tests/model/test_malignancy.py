"""Labels that may be cancer: when the advice to see a doctor comes first, and how that bound is chosen."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets_made import make_parquet

from app.predictor import Predictor
from model.checkpoint import load
from model.config import ModelConfig
from model.decision.malignancy import choose_malignant_bound, malignancy, malignant_labels
from train.__main__ import main
from train.evaluate.bootstrap import group_sizes, number_groups
from train.evaluate.metrics import warning_metrics
from train.predictions import Predictions

SOME = ModelConfig(labels=("Acne", "SkinCancer", "Actinic_Keratosis", "Warts"))
DERMOSCOPY = ModelConfig(labels=("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"))


def test_which_labels_may_be_cancer() -> None:
    assert malignant_labels(SOME) == ("SkinCancer", "Actinic_Keratosis")
    assert malignant_labels(DERMOSCOPY) == ("akiec", "bcc", "mel")
    assert malignancy(np.array([0.5, 0.5]), ModelConfig(labels=("Acne", "Warts"))) is None


def test_their_probabilities_count_together() -> None:
    config = dataclasses.replace(SOME, malignant_from=0.3)
    found = malignancy(np.array([0.6, 0.2, 0.15, 0.05]), config)
    assert found is not None
    assert (found.probability, found.fired) == (pytest.approx(0.35), True)
    unsure = malignancy(np.array([0.8, 0.1, 0.05, 0.05]), config)
    assert unsure is not None
    assert not unsure.fired
    never = malignancy(np.array([0.0, 1.0, 0.0, 0.0]), SOME)
    assert never is not None
    assert not never.fired


@pytest.mark.parametrize("sensitivity", [0.5, 0.9, 0.95, 1.0])
def test_the_bound_is_the_largest_that_enough_pictures_reach(sensitivity: float) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 300)
    targets = generator.integers(0, 4, 300)
    ours = np.isin(targets, (1, 2))
    reached = probabilities[ours][:, [1, 2]].sum(axis=1)
    bound = choose_malignant_bound(probabilities[ours], SOME, sensitivity=sensitivity)
    assert (reached >= bound).mean() >= sensitivity
    assert (reached > bound).mean() < sensitivity
    predictions = Predictions.of(SOME.labels, probabilities, targets)
    config = dataclasses.replace(SOME, malignant_from=bound)
    counts = warning_metrics(predictions, predictions.warned(config))
    assert counts is not None
    assert counts["malignant_warned"] == (reached >= bound).sum()
    assert counts["malignant"] + counts["others"] == 300


def test_every_lesion_counts_as_one_however_many_pictures_it_has() -> None:
    """Nineteen easy lesions of ten pictures each, and nineteen hard ones of one."""
    easy, hard = np.tile([0.1, 0.9, 0.0, 0.0], (190, 1)), np.tile([0.8, 0.2, 0.0, 0.0], (19, 1))
    probabilities = np.concatenate([easy, hard])
    groups = [f"easy {row // 10}" for row in range(190)] + [f"hard {row}" for row in range(19)]
    predictions = Predictions.of(SOME.labels, probabilities, [1] * 209, groups=groups, logits=probabilities)
    alike = choose_malignant_bound(probabilities, SOME, sensitivity=0.9)
    assert alike == pytest.approx(0.9), "nine pictures in ten reach this, but one lesion in two"
    weights = 1 / group_sizes(number_groups(predictions.groups))
    assert choose_malignant_bound(probabilities, SOME, sensitivity=0.9, weights=weights) == pytest.approx(0.2)
    figures = warning_metrics(predictions, predictions.warned(dataclasses.replace(SOME, malignant_from=0.9)))
    assert figures is not None
    assert (figures["malignant_warned"], figures["sensitivity"]) == (190, pytest.approx(0.5))
    low, high = figures["sensitivity_interval"]
    assert 0.3 < low < 0.5 < high < 0.7
    assert (figures["others"], figures["specificity"], figures["specificity_interval"]) == (0, None, None)


def test_without_such_pictures_the_advice_never_comes_first() -> None:
    assert choose_malignant_bound(np.empty((0, 4)), SOME, sensitivity=0.95) == 1.0


@pytest.mark.slow
def test_a_checkpoint_is_calibrated_anew(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_parquet(tmp_path / "data", {"validation": 88})
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    words = ["calibrate", "--checkpoint", str(folder), "--data", str(data), "--device", "cpu"]
    assert main([*words, "--malignant_sensitivity", "0.5"]) == 0
    assert "malignant_from: 1 → 0." in capsys.readouterr().out
    half = load(folder).config
    assert 0 < half.malignant_from < 1
    assert half.min_max_probability > 0
    assert (folder / "model.safetensors").read_bytes() == (tiny_checkpoint / "model.safetensors").read_bytes()

    assert main([*words, "--malignant_sensitivity", "1.0"]) == 0
    assert load(folder).config.malignant_from < half.malignant_from
    output = tmp_path / "metrics"
    words = ["evaluate", "--checkpoint", str(folder), "--data", str(data), "--split", "validation"]
    assert main([*words, "--device", "cpu", "--output", str(output)]) == 0
    warned = json.loads((output / "metrics.json").read_text())["malignant_warning"]
    assert warned["malignant"] == warned["malignant_warned"] == 8
    predictor = Predictor.from_checkpoint(str(folder), device="cpu")
    assert predictor.config.malignant_from == load(folder).config.malignant_from
