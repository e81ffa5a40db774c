"""Each class against the others and cancer against the rest, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference
from test_metrics import CONFIG, TARGETS, WORKED, drawn, told

from model.config import ModelConfig
from model.labels import LABELS as NAMES
from train.evaluate.per_class import confusion, malignant_sensitivity, per_class_metrics
from train.predictions import Predictions

TWO = ModelConfig(labels=("Eczema", "SkinCancer"))


def two_classes(scores: list[float], targets: object, groups: list[str] | None = None) -> Predictions:
    """Of a model that knows eczema and cancer; the scores are those of cancer."""
    probabilities = np.stack([1 - np.array(scores), scores], axis=1)
    return Predictions.of(TWO.labels, probabilities, np.asarray(targets), groups=groups)


def test_confusion_counts_true_class_by_answer() -> None:
    assert confusion(told(WORKED, TARGETS)) == [
        [1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]


def test_a_worked_example() -> None:
    figures = per_class_metrics(told(WORKED, TARGETS, ["p", "q", "q", "r", "s", "t"]))
    assert list(figures) == ["a", "b", "c", "d"]
    # b: one of three found, named once and rightly; of the nine pairs with another picture, its 0.30, 0.70
    # and 0.04 are the higher one in 2, 3 and 0.
    assert figures["b"] == {
        "n": 3,
        "groups": 2,
        "recall": pytest.approx(1 / 3),
        "precision": 1.0,
        "specificity": 1.0,
        "auroc": pytest.approx(5 / 9),
        "intervals": None,
    }
    assert figures["a"]["specificity"] == pytest.approx(2 / 5)
    assert (figures["c"]["precision"], figures["d"]["precision"]) == (0, 0)


def test_figures_agree_with_scikit_learn_and_lie_in_their_intervals() -> None:
    exact = drawn(4)
    probabilities, targets = np.round(exact.probabilities, 2), exact.targets  # many ties
    predicted = probabilities.argmax(axis=1)
    figures = per_class_metrics(told(probabilities, targets))
    for number, name in enumerate(CONFIG.labels):
        ours, found = targets == number, figures[name]
        assert found["recall"] == pytest.approx(reference.recall_score(ours, predicted == number))
        assert found["precision"] == pytest.approx(reference.precision_score(ours, predicted == number))
        assert found["specificity"] == pytest.approx(reference.recall_score(~ours, predicted != number))
        assert found["auroc"] == pytest.approx(reference.roc_auc_score(ours, probabilities[:, number]))
        for figure, (low, high) in found["intervals"].items():
            assert low < found[figure] < high
        # The normal approximation of a share's interval.
        low, high = found["intervals"]["recall"]
        wanted = 2 * 1.96 * (found["recall"] * (1 - found["recall"]) / ours.sum()) ** 0.5
        assert high - low == pytest.approx(wanted, rel=0.2)


def test_an_interval_needs_ten_groups_behind_its_own_figure() -> None:
    """Cancer, thirty pictures of thirty people, is named for two pictures only."""
    about = [0.2] * 29 + [0.9] + [0.3] * 29 + [0.9], np.repeat([0, 1], 30)
    figures = per_class_metrics(two_classes(*about))["SkinCancer"]
    assert figures["precision"] == 0.5
    assert figures["intervals"]["precision"] is None
    assert figures["intervals"]["recall"][0] == 0 < figures["intervals"]["recall"][1]
    few = [f"g{row % 9}" for row in range(60)]
    assert per_class_metrics(two_classes(*about, few))["SkinCancer"]["intervals"] is None


def test_a_class_without_others_has_neither_specificity_nor_auroc() -> None:
    figures = per_class_metrics(two_classes([0.9] * 12, np.ones(12)))["SkinCancer"]
    assert (figures["recall"], figures["specificity"], figures["auroc"]) == (1, None, None)
    assert figures["intervals"]["auroc"] is None


def test_sensitivity_at_a_specificity_is_a_point_of_the_curve() -> None:
    """Of ten others, two may be flagged at 0.8, one at 0.9 and none at 0.95; ties are flagged together."""
    others = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.6, 0.7]
    predictions = two_classes([*others, 0.4, 0.5, 0.65, 0.8], [0] * 10 + [1] * 4)
    figures = malignant_sensitivity(predictions, TWO)
    assert figures is not None
    assert [(f["specificity"], f["threshold"], f["sensitivity"]) for f in figures] == [
        (0.8, 0.5, 0.75),
        (0.9, 0.65, 0.5),
        (0.95, 0.8, 0.25),
    ]
    assert all(figure["interval"] is None for figure in figures), "four groups allow none"


def test_sensitivity_agrees_with_scikit_learn_and_lies_in_its_interval() -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 2, 200)
    scores = np.round(rng.beta(2, 3, 200) * 0.6 + 0.15 * targets, 2)
    figures = malignant_sensitivity(two_classes(list(scores), targets), TWO)
    false_alarms, found, _ = reference.roc_curve(targets, scores, drop_intermediate=False)
    assert figures is not None
    for figure in figures:
        allowed = false_alarms <= 1 - figure["specificity"] + 1e-9
        assert figure["sensitivity"] == pytest.approx(found[allowed].max())
        assert figure["interval"][0] < figure["sensitivity"] < figure["interval"][1]
        assert (scores[targets == 0] < figure["threshold"]).mean() >= figure["specificity"]


def test_where_even_the_highest_score_is_not_cancer_nothing_is_found() -> None:
    figures = malignant_sensitivity(two_classes([0.9, 0.9, 0.9], [0, 0, 1]), TWO)
    assert figures is not None
    assert [figure["sensitivity"] for figure in figures] == [0, 0, 0]
    assert all(0.9 < figure["threshold"] < 0.91 for figure in figures)


@pytest.mark.parametrize("label", ["Acne", "SkinCancer"])
def test_cancer_alone_or_none_has_no_sensitivity_at_a_specificity(label: str) -> None:
    config = ModelConfig(labels=NAMES)
    predictions = Predictions.of(NAMES, np.full((5, 22), 1 / 22), np.full(5, NAMES.index(label)))
    assert malignant_sensitivity(predictions, config) is None
