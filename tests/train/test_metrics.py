"""The figures, against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from model.config import ModelConfig
from train.evaluate.metrics import (
    accuracy_by,
    bootstrap_intervals,
    classification_metrics,
    detection_metrics,
    expected_calibration_error,
)
from train.predictions import Predictions

NAMES = ("a", "b", "c", "d", "e")
CONFIG = ModelConfig(labels=NAMES, min_max_probability=0.45, max_normalized_entropy=0.9)

WORKED = np.array(
    [
        [0.60, 0.20, 0.10, 0.06, 0.04],  # a, right
        [0.50, 0.30, 0.10, 0.06, 0.04],  # a, is b: second
        [0.10, 0.70, 0.10, 0.06, 0.04],  # b, right
        [0.40, 0.35, 0.15, 0.06, 0.04],  # a, is c: third; rejected: 0.40 < 0.45
        [0.30, 0.25, 0.20, 0.15, 0.10],  # a, is d: fourth; rejected
        [0.06, 0.04, 0.80, 0.05, 0.05],  # c, is b: last
    ]
)
TARGETS = np.array([0, 1, 1, 2, 3, 1])


def told(probabilities: np.ndarray, targets: object, groups: list[str] | None = None) -> Predictions:
    """Of the five classes, as arrays have them."""
    return Predictions.of(NAMES, probabilities, np.asarray(targets), groups=groups)


def drawn_arrays(seed: int, *, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (rows, classes) that lean towards the targets, and the targets (rows,)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * 1.5
    targets = rng.integers(0, classes, rows)
    logits[np.arange(rows), targets] += 1
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), targets


def drawn(seed: int, rows: int = 300) -> Predictions:
    return told(*drawn_arrays(seed, rows=rows, classes=5))


def test_a_worked_example() -> None:
    figures = classification_metrics(told(WORKED, TARGETS), CONFIG)
    assert figures["n"] == 6
    assert figures["accuracy"] == pytest.approx(2 / 6)
    assert figures["balanced_accuracy"] == pytest.approx((1 + 1 / 3 + 0 + 0) / 4)
    # f1 of a: precision 1/4, recall 1; of b: precision 1, recall 1/3; c and d: 0. e is not present.
    assert figures["macro_f1"] == pytest.approx((0.4 + 0.5 + 0 + 0) / 4)
    assert figures["top3_accuracy"] == pytest.approx(4 / 6)
    assert figures["rejected"] == pytest.approx(2 / 6)
    assert figures["per_class"] == {
        "a": {"n": 1, "recall": 1.0, "precision": 0.25},
        "b": {"n": 3, "recall": pytest.approx(1 / 3), "precision": 1.0},
        "c": {"n": 1, "recall": 0.0, "precision": 0.0},
        "d": {"n": 1, "recall": 0.0, "precision": 0.0},
    }


def test_ece_of_a_worked_example() -> None:
    """Fifteen equal bins: 0.30 and 0.32 share one, 0.60 and 0.65 another, 0.95 is alone."""
    top = np.array([0.30, 0.32, 0.60, 0.65, 0.95])
    probabilities = np.stack([top, *[(1 - top) / 4] * 4], axis=1)
    targets = np.array([0, 1, 0, 0, 1])
    gaps = [abs(1 - 0.62), abs(2 - 1.25), abs(0 - 0.95)]
    assert expected_calibration_error(told(probabilities, targets)) == pytest.approx(sum(gaps) / 5)


def test_ece_is_nothing_where_confidence_is_accuracy_and_counts_certainty() -> None:
    certain = np.eye(5)[[0, 1, 2, 3]]
    assert expected_calibration_error(told(certain, [0, 1, 2, 3])) == 0
    assert expected_calibration_error(told(certain, [1, 2, 3, 4])) == 1
    half = np.tile([0.5, 0.3, 0.1, 0.05, 0.05], (4, 1))
    assert expected_calibration_error(told(half, [0, 0, 1, 2])) == pytest.approx(0)


@pytest.mark.parametrize("present", [(0, 1, 2, 3, 4), (0, 2, 3)])
def test_figures_agree_with_scikit_learn(present: tuple[int, ...]) -> None:
    predictions = drawn(1)
    predictions = predictions.take(np.isin(predictions.targets, present))
    targets, predicted = predictions.targets, predictions.probabilities.argmax(axis=1)
    figures = classification_metrics(predictions, CONFIG)
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(targets, predicted))
    recalls = [(predicted[targets == number] == number).mean() for number in present]
    assert figures["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert figures["macro_f1"] == pytest.approx(
        reference.f1_score(targets, predicted, labels=list(present), average="macro")
    )
    assert figures["top3_accuracy"] == pytest.approx(
        reference.top_k_accuracy_score(targets, predictions.probabilities, k=3, labels=range(5))
    )
    assert list(figures["per_class"]) == [NAMES[number] for number in present]


def test_fpr95_is_the_share_of_others_accepted_where_95_percent_of_skin_is() -> None:
    """Twenty pictures of skin with scores 1 to 20: 95 % of them are those up to 19."""
    skin = np.arange(1.0, 21.0)
    figures = detection_metrics(skin, np.array([0.5, 18.9, 19.0, 19.1, 20.0, 30.0, 40.0, 50.0]))
    assert figures["fpr95"] == 3 / 8
    # Pairs in which the other scores higher, a tie counting half, over all 20 * 8.
    assert figures["auroc"] == pytest.approx((0 + 18 + 18.5 + 19 + 19.5 + 20 * 3) / 160)


@pytest.mark.parametrize("rows", [20, 21, 39, 100, 333])
def test_fpr95_against_its_definition(rows: int) -> None:
    rng = np.random.default_rng(rows)
    skin, other = rng.normal(0, 1, rows), rng.normal(1, 1, 57)
    threshold = min(value for value in skin if (skin <= value).mean() >= 0.95)
    figures = detection_metrics(skin, other)
    assert figures["fpr95"] == pytest.approx((other <= threshold).mean())
    pairs = (other[:, None] > skin).mean() + 0.5 * (other[:, None] == skin).mean()
    assert figures["auroc"] == pytest.approx(pairs)


def test_detection_at_its_best_its_worst_and_without_knowledge() -> None:
    low, high = np.zeros(10), np.ones(10)
    assert detection_metrics(low, high) == {"auroc": 1.0, "fpr95": 0.0}
    assert detection_metrics(high, low) == {"auroc": 0.0, "fpr95": 1.0}
    assert detection_metrics(low, low) == {"auroc": 0.5, "fpr95": 1.0}
    for skin, other in ((low, low[:0]), (low[:0], low), (low[:0], low[:0])):
        assert detection_metrics(skin, other) == {"auroc": None, "fpr95": None}


def test_intervals_hold_the_figures_and_are_the_same_each_time() -> None:
    predictions = drawn(2)
    figures = classification_metrics(predictions, CONFIG)
    intervals = bootstrap_intervals(predictions)
    assert set(intervals) == {"accuracy", "balanced_accuracy", "top3_accuracy"}
    for name, (low, high) in intervals.items():
        assert low < figures[name] < high
    # The normal approximation of a share's interval.
    low, high = intervals["accuracy"]
    wanted = 2 * 1.96 * (figures["accuracy"] * (1 - figures["accuracy"]) / len(predictions)) ** 0.5
    assert high - low == pytest.approx(wanted, rel=0.15)
    assert bootstrap_intervals(predictions) == intervals


def test_intervals_draw_whole_groups() -> None:
    """Each picture ten times over, its copies in one group, tells no more than the picture alone."""
    few = drawn(3, rows=60)
    alone = bootstrap_intervals(told(few.probabilities, few.targets))["accuracy"]
    copies = np.repeat(few.probabilities, 10, axis=0), np.repeat(few.targets, 10)
    grouped = bootstrap_intervals(told(*copies, [str(row // 10) for row in range(600)]))["accuracy"]
    loose = bootstrap_intervals(told(*copies))["accuracy"]
    assert grouped[1] - grouped[0] == pytest.approx(alone[1] - alone[0], rel=0.1)
    assert loose[1] - loose[0] < 0.5 * (grouped[1] - grouped[0])


def test_accuracy_by_source_counts_each_on_its_own() -> None:
    whole = drawn(3, rows=120)
    targets, predicted = whole.targets, whole.probabilities.argmax(axis=1)
    keys = ["big"] * 80 + ["small"] * 30 + [None] * 10
    groups = [f"g{row // 4}" for row in range(120)]
    detected = np.arange(120) % 8 == 0
    found = accuracy_by(keys, told(whole.probabilities, targets, groups), detected)
    assert set(found) == {"big", "small"}
    right = predicted == targets
    assert found["big"]["accuracy"] == pytest.approx(right[:80].mean())
    assert (found["big"]["n"], found["big"]["groups"]) == (80, 20)
    low, high = found["big"]["interval"]
    assert low <= found["big"]["accuracy"] <= high
    expected = reference.balanced_accuracy_score(targets[80:110], predicted[80:110])
    assert found["small"]["balanced_accuracy"] == pytest.approx(expected)
    assert found["small"]["groups"] == 8
    assert found["small"]["interval"] is None, "eight groups allow no interval"
    assert (found["big"]["detected"], found["small"]["detected"]) == (10, 4)
    low, high = found["big"]["detected_interval"]
    assert low < 10 / 80 < high
    assert found["small"]["detected_interval"] is None
