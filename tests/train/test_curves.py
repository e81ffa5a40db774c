"""Reliability, risk and coverage, net benefit, prediction sets: held against figures worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from model.config import ModelConfig
from model.decision.calibration import softmax
from train.evaluate.curves import curve_metrics, decision_curve, reliability, risk_coverage, set_metrics
from train.predictions import Predictions

TWO = ModelConfig(labels=("Acne", "SkinCancer"))


def pairs(*first: float) -> np.ndarray:
    """Probabilities of two classes, given the first's."""
    return np.stack([np.asarray(first), 1 - np.asarray(first)], axis=1)


def told(probabilities: np.ndarray, *targets: int, **more: Any) -> Predictions:
    return Predictions.of(TWO.labels, probabilities, np.asarray(targets), **more)


def test_reliability_is_the_gap_of_confidence_and_accuracy() -> None:
    probabilities = pairs(0.95, 0.97, 0.6, 0.62)  # the 15th of 15 bins; the 10th, 9/15 to 10/15
    certain = np.tile([1000.0, 0.0], (4, 1))
    got = reliability(told(probabilities, 0, 1, 0, 0, logits=certain, sources=["x", "x", "y", None]))
    low, high = got["bins"]
    assert (low["low"], low["high"], low["n"]) == (pytest.approx(9 / 15), pytest.approx(10 / 15), 2)
    assert (low["confidence"], low["accuracy"]) == (pytest.approx(0.61), 1.0)
    assert (high["low"], high["high"], high["n"]) == (pytest.approx(14 / 15), 1.0, 2)
    assert (high["confidence"], high["accuracy"]) == (pytest.approx(0.96), 0.5)
    assert got["ece"] == pytest.approx(0.5 * 0.39 + 0.5 * 0.46)
    assert got["ece_uncalibrated"] == pytest.approx(0.25)
    assert got["ece_by_source"] == {
        "x": {"n": 2, "ece": pytest.approx(0.46)},
        "y": {"n": 1, "ece": pytest.approx(0.4)},
    }


def test_risk_falls_as_unsure_answers_are_deferred() -> None:
    got = risk_coverage(told(pairs(0.9, 0.8, 0.7, 0.7, 0.6), 0, 0, 1, 0, 1))
    # the two answers of equal confidence come and go together
    assert got["coverage"] == pytest.approx([0.2, 0.4, 0.8, 1.0])
    assert got["risk"] == pytest.approx([0, 0, 1 / 4, 2 / 5])
    assert got["aurc"] == pytest.approx((0 + 0 + 2 * 1 / 4 + 2 / 5) / 5)


def test_a_long_risk_curve_is_thinned_to_its_ends_and_some_between() -> None:
    generator = np.random.default_rng(0)
    probabilities, targets = pairs(*generator.uniform(0.5, 1, 5000)), generator.integers(0, 2, 5000)
    got = risk_coverage(told(probabilities, *targets))
    assert len(got["coverage"]) == len(got["risk"]) == 100
    assert (got["coverage"][0], got["coverage"][-1]) == (1 / 5000, 1.0)
    assert got["risk"][-1] == pytest.approx((targets == 1).mean())
    assert got["aurc"] == pytest.approx(0.5, abs=0.05)


def test_net_benefit_weighs_needless_visits_by_the_odds() -> None:
    cancer = [0.9, 0.3, 0.4, 0.05, 0.01]  # of five pictures, the first two are
    got = decision_curve(told(pairs(*(1 - p for p in cancer)), 1, 1, 0, 0, 0), TWO)
    assert got is not None
    at = {round(t, 2): n for n, t in enumerate(got["thresholds"])}
    assert got["net_benefit"][at[0.2]] == pytest.approx(2 / 5 - 1 / 5 * 0.25)
    assert got["net_benefit"][at[0.35]] == pytest.approx(1 / 5 - 1 / 5 * 0.35 / 0.65)
    assert got["net_benefit"][at[0.5]] == pytest.approx(1 / 5)
    assert got["treat_all"][at[0.2]] == pytest.approx(2 / 5 - 3 / 5 * 0.25)
    assert got["treat_all"][at[0.5]] == pytest.approx(-1 / 5)
    assert len(got["thresholds"]) == len(got["net_benefit"]) == len(got["treat_all"])


def test_where_nothing_may_be_cancer_there_is_no_decision_curve() -> None:
    probabilities = pairs(0.9, 0.2)
    assert decision_curve(told(probabilities, 0, 0), TWO) is None
    harmless = ModelConfig(labels=("Acne", "Warts"))
    assert decision_curve(Predictions.of(harmless.labels, probabilities, [0, 1]), harmless) is None


def test_sets_are_counted_by_source_and_skin_type() -> None:
    inside = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    predictions = Predictions.of(
        ("Acne", "Moles", "Warts"),
        np.full((4, 3), 1 / 3),
        [0, 2, 2, 1],
        sources=["a", "a", "b", None],
        skin_types=[3, None, 3, 1],
    )
    got = set_metrics(predictions, inside)
    assert (got["level"], got["n"]) == (0.9, 4)
    assert (got["coverage"], got["mean_size"], got["empty_or_single"]) == (0.75, 1.75, 0.5)
    assert got["per_source"] == {
        "a": {"n": 2, "coverage": 0.5, "interval": None, "mean_size": 1.5},
        "b": {"n": 1, "coverage": 1.0, "interval": None, "mean_size": 3.0},
    }
    assert got["per_skin_type"] == {
        "1": {"n": 1, "coverage": 1.0, "interval": None, "mean_size": 1.0},
        "3": {"n": 2, "coverage": 1.0, "interval": None, "mean_size": 2.0},
    }


def test_the_interval_of_a_coverage_counts_groups_not_pictures() -> None:
    held = np.arange(120) // 6 % 3 > 0
    inside = np.stack([held, np.zeros(120, dtype=bool)], axis=1)

    def interval(groups: list[str] | None) -> list[float] | None:
        predictions = told(np.full((120, 2), 0.5), *[0] * 120, groups=groups, sources=["a"] * 120)
        sets = set_metrics(predictions, inside)
        assert sets["per_source"]["a"]["interval"] == sets["interval"]
        return sets["interval"]

    alone, sixes = interval(None), interval([f"g{row // 6}" for row in range(120)])
    assert alone is not None
    assert sixes is not None
    assert alone[0] < 2 / 3 < alone[1]
    assert sixes[1] - sixes[0] == pytest.approx(6**0.5 * (alone[1] - alone[0]), rel=0.2)
    assert interval([f"g{row % 9}" for row in range(120)]) is None


def test_only_pictures_that_are_not_rejected_have_sets() -> None:
    probabilities = pairs(0.9, 0.55, 0.3)
    predictions = told(probabilities, 0, 1, 1, logits=np.log(probabilities), sources=["a", "b", "a"])
    config = dataclasses.replace(TWO, min_max_probability=0.6, set_quantile=0.75)
    got = curve_metrics(predictions, config)
    assert got["prediction_sets"]["per_source"] == {
        "a": {"n": 2, "coverage": 1.0, "interval": None, "mean_size": 1.5}
    }
    assert [entry["n"] for entry in got["reliability"]["bins"]] == [1, 1, 1]  # all pictures count here

    without = curve_metrics(predictions, TWO)
    assert without["prediction_sets"] is None


def test_the_temperature_makes_the_difference_of_the_two_errors() -> None:
    logits = np.log(pairs(0.8, 0.8, 0.8, 0.8, 0.8)) / 2
    predictions = told(softmax(logits, 0.5), 0, 0, 0, 0, 1, logits=logits)
    got = curve_metrics(predictions, dataclasses.replace(TWO, temperature=0.5))
    assert got["reliability"]["ece"] == pytest.approx(0, abs=1e-12)
    assert got["reliability"]["ece_uncalibrated"] == pytest.approx(0.8 - 2 / 3)
