"""What validation teaches: the prediction sets are MAPIE's, and the reported figures are cross-fitted."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets_made import make_parquet
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from model.checkpoint import fingerprint, load, load_config
from model.config import ModelConfig
from model.decision.calibration import softmax
from model.decision.conformal import SET_LEVEL, SOURCE_LEVEL, in_prediction_set, prediction_set
from model.labels import LABELS, NO_CONDITION
from train.__main__ import main
from train.calibrate.conformal import fit_set_quantile
from train.calibrate.crossfit import cross_fitted
from train.calibrate.rule import Aims, fit_rule
from train.calibrate.run import calibrate
from train.config import TrainConfig
from train.data.splits import load_split
from train.predictions import Predictions

CONFIG = ModelConfig(labels=LABELS)
AIMS = Aims(keep=0.95, uncertain_accuracy=0.7, malignant_sensitivity=0.9)


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose inputs are its probabilities."""

    classes_ = np.arange(len(LABELS))

    def fit(self, X: np.ndarray, y: np.ndarray) -> Given:
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X.argmax(axis=1)


def drawn(count: int, *, skill: float, seed: int = 0) -> Predictions:
    """Of a network that adds ``skill`` to the true label's logit, two pictures a group."""
    generator = np.random.default_rng(seed)
    targets = np.arange(count) // 2 % len(LABELS)
    logits = generator.normal(size=(count, len(LABELS)))
    logits[np.arange(count), targets] += skill
    groups, sources = [f"{row // 2}" for row in range(count)], [f"{row % 3}" for row in range(count)]
    return Predictions.of(
        LABELS, softmax(logits, 1.0), targets, groups=groups, sources=sources, logits=logits
    )


@pytest.mark.parametrize("skill", [0.5, 2.0, 8.0])
def test_the_sets_are_those_of_mapie_and_hold_the_best_guess(skill: float) -> None:
    predictions = dataclasses.replace(drawn(440, skill=skill), sources=np.full(440, None))
    probabilities = predictions.probabilities
    config = dataclasses.replace(CONFIG, set_quantile=fit_set_quantile(predictions))
    reference = SplitConformalClassifier(Given(), confidence_level=SET_LEVEL, conformity_score="lac")
    reference.conformalize(probabilities, predictions.targets)
    expected = reference.predict_set(probabilities)[1][:, :, 0]  # the calibration ones lie on the border, too

    inside = in_prediction_set(probabilities, config)
    empty = ~expected.any(axis=1)
    assert (inside[~empty] == expected[~empty]).all()
    assert (inside[empty].sum(axis=1) == 1).all()
    assert inside[np.arange(440), probabilities.argmax(axis=1)].all()
    assert (skill == 8.0) == empty.any()
    for row in range(0, 440, 20):
        names = prediction_set(probabilities[row], config)
        assert names is not None
        assert names[0] == LABELS[probabilities[row].argmax()]
        assert sorted(names) == sorted(np.asarray(LABELS)[inside[row]])


def test_without_a_quantile_there_is_no_set() -> None:
    assert prediction_set(np.full(len(LABELS), 1 / len(LABELS)), CONFIG) is None
    assert fit_set_quantile(drawn(9, skill=2.0)) == 1.0


def test_sets_hold_what_they_promise_among_the_answers_given() -> None:
    rule = fit_rule(drawn(2200, skill=1.5), CONFIG, dataclasses.replace(AIMS, keep=0.6))
    fresh = drawn(2200, skill=1.5, seed=1)
    probabilities = softmax(fresh.logits, rule.temperature)
    kept = probabilities.max(axis=1) >= rule.min_max_probability
    held = in_prediction_set(probabilities, rule)[np.arange(2200), fresh.targets]
    assert 0.5 < kept.mean() < 0.8
    assert held[kept].mean() == pytest.approx(SET_LEVEL, abs=0.03)


def test_no_source_with_a_hundred_pictures_pays_for_the_others() -> None:
    """One source in five is harder than its probabilities tell; a rare one is harder still."""

    def of_sources(seed: int) -> Predictions:
        parts = [drawn(count, skill=2.5, seed=seed + number) for number, count in enumerate((4000, 1000, 80))]
        for number, name in enumerate(("easy", "hard", "rare")):
            logits, n = parts[number].logits.copy(), len(parts[number])
            logits[np.arange(n), parts[number].targets] -= number * 1.5
            parts[number] = dataclasses.replace(
                parts[number],
                logits=logits,
                probabilities=softmax(logits, 1.0),
                sources=np.full(n, name, dtype=object),
            )
        return Predictions.joined(parts)

    def coverage(predictions: Predictions, quantile: float) -> dict[str, float]:
        config = dataclasses.replace(CONFIG, set_quantile=quantile)
        inside = in_prediction_set(predictions.probabilities, config)
        held = inside[np.arange(len(inside)), predictions.targets]
        return {name: float(held[predictions.sources == name].mean()) for name in ("easy", "hard", "rare")}

    known, fresh = of_sources(0), of_sources(10)
    alike = dataclasses.replace(known, sources=np.full(len(known), None))
    assert coverage(fresh, fit_set_quantile(alike))["hard"] < 0.85
    found = coverage(fresh, fit_set_quantile(known))
    assert found["hard"] == pytest.approx(SOURCE_LEVEL, abs=0.05)
    assert found["easy"] > SET_LEVEL
    assert found["rare"] < SOURCE_LEVEL, "too few pictures to have a say"


def test_every_picture_is_measured_by_a_rule_that_never_saw_its_group() -> None:
    # Five groups of ten; in each the true label's logit is another one, and a wrong label is on top. Whoever
    # has not seen the group with the lowest makes sets that are too small for it, and for it alone.
    config = ModelConfig(labels=(NO_CONDITION, "Acne", "Warts"))
    lift = np.repeat(np.linspace(-2, 0, 5), 10)
    logits = np.stack([lift, np.full(50, 1.0), np.full(50, -9.0)], axis=1)
    groups = [group for group in "abcde" for _ in range(10)]
    predictions = Predictions.of(
        config.labels, softmax(logits, 1.0), np.zeros(50), groups=groups, sources=groups, logits=logits
    )
    figures = cross_fitted(predictions, config, AIMS)
    assert figures is not None
    assert (figures["n"], figures["folds"], figures["rejected"]) == (50, 5, 0.0)
    sets = figures["prediction_sets"]
    assert {name: own["coverage"] for name, own in sets["per_source"].items()} == {
        "a": 0.0,
        "b": 1.0,
        "c": 1.0,
        "d": 1.0,
        "e": 1.0,
    }
    assert sets["coverage"] == 0.8
    assert sets["per_skin_type"] == {}


def test_a_temperature_that_was_needed_shows_in_the_figures() -> None:
    predictions = drawn(880, skill=2.0)
    figures = cross_fitted(dataclasses.replace(predictions, logits=5 * predictions.logits), CONFIG, AIMS)
    assert figures is not None
    assert figures["ece"]["after"] < 0.06 < 0.15 < figures["ece"]["before"]
    assert [own["n"] for own in figures["ece"]["by_source"].values()] == [294, 293, 293]
    assert 0.01 < figures["rejected"] < 0.07  # what is called no condition counts among the twentieth too
    assert figures["skin"]["n"] == 840
    assert figures["skin"]["detected"] / 840 == pytest.approx(0.05, abs=0.02)
    assert figures["not_uncertain"]["accuracy"] == pytest.approx(0.7, abs=0.05)
    assert figures["prediction_sets"]["coverage"] == pytest.approx(SET_LEVEL, abs=0.03)
    warned = figures["malignant_warning"]
    assert warned["malignant"] + warned["others"] == 880
    assert warned["malignant_warned"] / warned["malignant"] == pytest.approx(0.9, abs=0.05)


def test_too_few_pictures_are_not_divided() -> None:
    assert cross_fitted(drawn(2, skill=1.0), CONFIG, AIMS) is None


@pytest.fixture
def words(tiny_checkpoint: Path, tmp_path: Path) -> list[str]:
    """``calibrate`` on a copy of the tiny checkpoint, ``checkpoint`` in the test's folder."""
    data = make_parquet(tmp_path / "data", {"validation": 88})
    shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    place = ["--checkpoint", str(tmp_path / "checkpoint"), "--data", str(data), "--device", "cpu"]
    return ["calibrate", *place]


def test_calibrate_writes_the_rule_and_its_cross_fitted_figures(words: list[str], tmp_path: Path) -> None:
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    config = load_config(tmp_path / "checkpoint")
    assert 0 < config.set_quantile < 1
    figures = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert figures["checkpoint"] == {"id": "checkpoint", "revision": fingerprint(tmp_path / "checkpoint")}
    assert (figures["data"], figures["split"], figures["n"]) == (["data"], "validation", 88)
    assert set(figures["prediction_sets"]["per_source"]) == {"atlas", "clinic"}
    assert main(words) == 0
    assert load_config(tmp_path / "checkpoint") == config


def test_without_mapie_calibrate_says_what_to_install(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mapie", None)
    before = load_config(tmp_path / "checkpoint")
    assert main(words) == 1
    assert "requirements-eval.txt" in capsys.readouterr().err
    assert load_config(tmp_path / "checkpoint") == before


def test_without_mapie_a_training_run_ends_without_sets_and_says_so(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mapie", None)
    loaded = load(tiny_checkpoint)
    data = make_parquet(tmp_path / "data", {"validation": 44})
    rows = load_split([str(data)], "validation", labels=LABELS)
    small = TrainConfig(num_workers=0)
    config, _, figures = calibrate(loaded.network, rows, rows, loaded.config, small, torch.device("cpu"))
    assert "requirements-eval.txt" in capsys.readouterr().err
    assert config.set_quantile == 1.0
    assert config.min_max_probability > 0
    assert figures is not None
    assert figures["prediction_sets"] is None
