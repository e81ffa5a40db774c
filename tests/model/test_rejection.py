"""The rejection rule, its thresholds, and the temperature: properties that hold for any probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.config import ModelConfig
from model.decision.calibration import fit_temperature, softmax
from model.decision.rejection import (
    Criterion,
    choose_thresholds,
    choose_uncertain_bound,
    criteria,
    detected,
    detection_margin,
    max_probability,
    normalized_entropy,
    rejected,
    rejection_margin,
    unknown_margin,
    verdict,
)
from model.labels import NO_CONDITION

CONFIG = ModelConfig(labels=("Acne", "Psoriasis", NO_CONDITION, "Warts"))
NO_UNKNOWN = dataclasses.replace(CONFIG, labels=("Acne", "Psoriasis", "Tinea", "Warts"))

logits = arrays(np.float64, (4,), elements=st.floats(-12, 12))
shares = st.floats(0, 1)


def probabilities(count: int, *, classes: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return softmax(rng.normal(size=(count, classes)) * rng.uniform(0.2, 4, (count, 1)), 1.0)


@pytest.mark.parametrize("classes", [2, 7, 22])
def test_entropy_is_0_when_certain_and_1_when_nothing_is_known(classes: int) -> None:
    certain, clueless = np.eye(classes)[:1], np.full((1, classes), 1 / classes)
    assert normalized_entropy(certain) == pytest.approx(0, abs=1e-9)
    assert normalized_entropy(clueless) == pytest.approx(1)
    half = np.zeros((1, classes))
    half[0, :2] = 0.5
    assert normalized_entropy(half) == pytest.approx(np.log(2) / np.log(classes))


@settings(max_examples=300, deadline=None)
@given(logits, shares, shares)
def test_the_margin_is_positive_exactly_where_a_criterion_fires(values, low: float, high: float) -> None:
    config = dataclasses.replace(CONFIG, min_max_probability=low, max_normalized_entropy=high)
    picture = softmax(values, 1.0)
    fired = [criterion.fired for criterion in criteria(picture, config)]
    assert (rejection_margin(picture, config) > 0) == any(fired)
    assert (verdict(picture, config) == "rejected") == any(fired)


@settings(max_examples=200, deadline=None)
@given(logits, shares, shares, shares)
def test_the_verdicts_come_in_their_order(values, low: float, high: float, bound: float) -> None:
    config = dataclasses.replace(
        CONFIG, min_max_probability=low, max_normalized_entropy=high, uncertain_below=bound
    )
    picture = softmax(values, 1.0)
    assume(len(set(picture)) == 4)
    if picture.max() < low or normalized_entropy(picture) > high:
        expected = "rejected"
    elif picture.argmax() == 2:
        expected = "no_condition"
    else:
        expected = "uncertain" if picture.max() < bound else "condition"
    assert verdict(picture, config) == expected


def test_each_criterion_is_reported_with_value_and_threshold() -> None:
    config = dataclasses.replace(CONFIG, min_max_probability=0.6, max_normalized_entropy=0.9)
    confidence, entropy = criteria(np.array([0.5, 0.5, 0.0, 0.0]), config)
    assert (confidence.name, confidence.value, confidence.threshold, confidence.fired) == (
        "max_probability",
        0.5,
        0.6,
        True,
    )
    assert (entropy.name, entropy.threshold, entropy.fired) == ("normalized_entropy", 0.9, False)
    assert entropy.value == pytest.approx(0.5)


def test_a_detector_adds_the_third_criterion() -> None:
    config = dataclasses.replace(CONFIG, max_unusualness=0.9)
    picture = np.array([0.7, 0.1, 0.1, 0.1])
    for unusualness, fired in ((0.89, False), (0.9, False), (0.91, True)):
        third = criteria(picture, config, unusualness)[2]
        assert third == Criterion("unusualness", unusualness, 0.9, fired)
        assert verdict(picture, config, unusualness) == ("rejected" if fired else "condition")
        margin = rejection_margin(picture, config, np.array(unusualness))
        assert (margin > 0) == fired
        assert (detection_margin(picture, config, np.array(unusualness)) > 0) == fired


def test_a_fourth_adds_the_odds_of_no_condition_to_what_is_unusual() -> None:
    """Of skin one picture in fifty is as unusual, and that label has odds of one to four."""
    config = dataclasses.replace(CONFIG, max_not_skin=0.9)
    picture = np.array([0.7, 0.05, 0.2, 0.05])
    fourth = criteria(picture, config, 0.98)[3]
    assert fourth.value == pytest.approx(12.5 / 13.5, abs=0.01)
    assert (fourth.name, fourth.threshold, fourth.fired) == ("not_skin", 0.9, True)
    assert verdict(picture, config, 0.98) == "rejected"
    assert rejection_margin(picture, config, np.array(0.98)) > 0
    assert verdict(picture, config, 0.5) == "condition"

    healthy = np.array([0.05, 0.05, 0.85, 0.05])
    assert verdict(healthy, config, 0.98) == "no_condition"
    assert not criteria(healthy, config, 0.98)[3].fired


def test_the_stranger_a_picture_the_larger_the_margin() -> None:
    config = dataclasses.replace(CONFIG, max_unusualness=0.95)
    sure = np.tile(np.eye(4)[0], (1000, 1))
    margins = rejection_margin(sure, config, np.linspace(0.5, 1, 1000))
    assert (np.diff(margins) > 0).all()
    assert (margins > 0).sum() == (np.linspace(0.5, 1, 1000) > 0.95).sum()


def test_at_the_thresholds_themselves_nothing_fires() -> None:
    picture = np.array([0.4, 0.3, 0.2, 0.1])
    config = dataclasses.replace(
        CONFIG, min_max_probability=0.4, max_normalized_entropy=float(normalized_entropy(picture))
    )
    assert verdict(picture, config) == "condition"


def test_the_unknown_margin_tells_by_how_much_the_label_leads() -> None:
    pictures = np.array([[0.1, 0.2, 0.6, 0.1], [0.5, 0.1, 0.3, 0.1]])
    assert unknown_margin(pictures, CONFIG) == pytest.approx([0.4, -0.2])


def test_a_checkpoint_without_that_label_never_says_no_condition() -> None:
    config = dataclasses.replace(CONFIG, labels=("a", "b", "c", "d"))
    pictures = np.vstack([np.eye(4), probabilities(50)])
    assert (unknown_margin(pictures, config) == -np.inf).all()
    assert {verdict(picture, config) for picture in pictures} == {"condition"}


# Thresholds


@pytest.mark.parametrize("count", [1, 19, 20, 21, 200, 1000])
@pytest.mark.parametrize("keep", [0.9, 0.95, 1.0])
def test_the_rule_as_a_whole_keeps_the_share(count: int, keep: float) -> None:
    pictures = probabilities(count, seed=count)
    rule = choose_thresholds(pictures, NO_UNKNOWN, keep=keep)
    kept = [verdict(picture, rule) == "condition" for picture in pictures]
    assert np.mean(kept) >= keep - 1e-12


def test_the_thresholds_are_the_tightest_at_equal_rank() -> None:
    pictures = probabilities(400, seed=5)
    confidence, entropy = max_probability(pictures), normalized_entropy(pictures)
    chosen = choose_thresholds(pictures, NO_UNKNOWN, keep=0.95)
    low, high = chosen.min_max_probability, chosen.max_normalized_entropy
    rank = int((confidence < low).sum())
    assert rank == int((entropy > high).sum()) > 0, "the criteria are to be equally strict"
    tighter_low, tighter_high = np.sort(confidence)[rank + 1], np.sort(entropy)[::-1][rank + 1]
    rejected = (confidence < tighter_low) | (entropy > tighter_high)
    assert rejected.mean() > 0.05, "one rank more must reject too many"


def test_with_equal_pictures_none_is_rejected() -> None:
    pictures = np.tile([0.4, 0.3, 0.2, 0.1], (50, 1))
    config = choose_thresholds(pictures, CONFIG, keep=0.95)
    assert verdict(pictures[0], config) == "condition"


@pytest.mark.parametrize("seed", range(5))
def test_with_a_detector_and_that_label_the_share_is_kept_from_all_of_them(seed: int) -> None:
    pictures = probabilities(400, seed=seed)
    pictures[:, 2] *= 0.05  # few pictures of a condition are taken for healthy skin
    pictures /= pictures.sum(axis=1, keepdims=True)
    unusualness = np.random.default_rng(seed).permutation(400) / 400
    config = choose_thresholds(pictures, CONFIG, keep=0.9, unusualness=unusualness)
    verdicts = [verdict(*row) for row in zip(pictures, [config] * 400, unusualness, strict=True)]
    lost = verdicts.count("rejected") + verdicts.count("no_condition")
    assert 30 <= lost <= 40
    assert rejected(pictures, config, unusualness).sum() == verdicts.count("rejected")
    assert detected(pictures, config, unusualness).sum() == lost
    assert verdicts.count("no_condition") > 0
    rows = zip(pictures, unusualness, strict=True)
    fired = np.array([[c.fired for c in criteria(p, config, u)] for p, u in rows])
    assert len(set(fired.sum(axis=0))) == 1, "the criteria are to be equally strict"
    assert fired.sum() > 0


def test_a_label_that_alone_turns_too_many_away_leaves_the_criteria_nothing() -> None:
    pictures = np.tile([0.1, 0.2, 0.6, 0.1], (50, 1))
    config = choose_thresholds(pictures, CONFIG, keep=0.9)
    assert verdict(pictures[0], config) == "no_condition"


# The bound under which an answer is uncertain


def test_the_uncertain_bound_is_the_smallest_that_reaches_the_accuracy() -> None:
    top = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    pictures = np.stack([top, 1 - top], axis=1)
    right, wrong = 0, 1
    labels = np.array([right, right, wrong, right, wrong])
    assert choose_uncertain_bound(pictures, labels, accuracy=0.75) == pytest.approx(0.6)  # 3 of 4
    assert choose_uncertain_bound(pictures, labels, accuracy=0.9) == pytest.approx(0.8)  # 2 of 2
    assert choose_uncertain_bound(pictures, labels, accuracy=0.6) == pytest.approx(0.5)  # 3 of 5


def test_where_no_bound_reaches_the_accuracy_every_answer_is_uncertain() -> None:
    pictures = np.array([[0.9, 0.1], [0.6, 0.4]])
    assert choose_uncertain_bound(pictures, np.array([1, 1]), accuracy=0.5) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_answers_at_or_above_the_uncertain_bound_are_as_accurate_as_wanted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = probabilities(300, seed=seed).round(2)  # with many equal values
    labels = np.where(rng.random(300) < 0.5, pictures.argmax(axis=1), rng.integers(0, 4, 300))
    bound = choose_uncertain_bound(pictures, labels, accuracy=0.7)
    sure = max_probability(pictures) >= bound
    if bound < 1:
        assert (pictures.argmax(axis=1) == labels)[sure].mean() >= 0.7


# Temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(size=(20_000, 5)) * 2
    labels = (true + rng.gumbel(size=true.shape)).argmax(axis=1)  # drawn with probability softmax(true)
    assert fit_temperature(true * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_a_network_that_is_always_right_gets_a_bounded_temperature() -> None:
    assert 0.05 <= fit_temperature(np.eye(4) * 5, np.arange(4)) <= 20


def test_softmax_of_huge_logits_still_sums_to_1() -> None:
    huge = np.array([[1e30, -1e30, 0.0], [3e38, 3e38, -3e38], [-1e9, -1e9, -1e9]])
    got = softmax(huge, 1.0)
    assert got.sum(axis=-1) == pytest.approx([1, 1, 1])
    assert got[1] == pytest.approx([0.5, 0.5, 0])


def test_a_higher_temperature_is_less_certain_and_keeps_the_order() -> None:
    values = np.array([3.0, 1.0, 0.5, -2.0])
    sharp, soft = softmax(values, 0.5), softmax(values, 2.0)
    assert sharp.max() > soft.max()
    assert (np.argsort(sharp) == np.argsort(soft)).all()
    assert soft == pytest.approx(np.exp(values / 2) / np.exp(values / 2).sum())
