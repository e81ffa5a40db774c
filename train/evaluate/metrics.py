"""Metrics of a classifier and its rejection rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support, recall_score, roc_auc_score, roc_curve

from model.config import ModelConfig
from model.labels import condition
from train.evaluate.bootstrap import draw_weights, number_groups, ratio, share_by_group, share_interval
from train.predictions import Predictions, members
from train.report.schema import Reached, Subgroup, Warned

Floats = NDArray[np.float64]


def classification_metrics(predictions: Predictions, config: ModelConfig) -> dict[str, Any]:
    """Metrics of the most probable class, ignoring rejection; ``config`` has the thresholds.

    Returns:
        ``n``, ``accuracy``, ``balanced_accuracy`` (mean recall over the classes present), ``macro_f1`` (the
        same classes), ``top3_accuracy``, ``ece``, ``rejected`` (share) and ``per_class``; all shares 0 to 1.
    """
    present = np.unique(predictions.targets)
    precision, recall, f1, support = precision_recall_fscore_support(
        predictions.targets, predictions.answers, labels=present, zero_division=0.0
    )
    return {
        "n": len(predictions),
        "accuracy": float(predictions.right.mean()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "top3_accuracy": float(in_top3(predictions).mean()),
        "ece": expected_calibration_error(predictions),
        "rejected": float(predictions.rejected(config).mean()),
        "per_class": {
            predictions.class_names[number]: {"n": int(n), "recall": float(r), "precision": float(p)}
            for number, n, r, p in zip(present, support, recall, precision, strict=True)
        },
    }


def expected_calibration_error(predictions: Predictions, *, bins: int = 15) -> float:
    """Mean gap of confidence and accuracy over equal-width bins (Guo et al. 2017, equation 3), 0 to 1."""
    confidence = predictions.confidence
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=predictions.right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(predictions))


def bootstrap_intervals(
    predictions: Predictions, *, resamples: int = 1000, seed: int = 0
) -> dict[str, list[float]]:
    """95 % percentile intervals, drawing whole groups with replacement (Efron and Tibshirani 1993).

    Args:
        predictions: with the groups.
        resamples: number of draws. seed: of the draws.

    Returns:
        ``[low, high]`` for ``accuracy``, ``balanced_accuracy`` and ``top3_accuracy``.
    """
    weights = draw_weights(number_groups(predictions.groups), resamples=resamples, seed=seed)
    targets, right = predictions.targets, predictions.right
    member = targets[:, None] == np.unique(targets)  # (N, classes present)
    recall = ratio(weights @ (member & right[:, None]), weights @ member)
    figures = {
        "accuracy": weights @ right / weights.sum(axis=1),
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "top3_accuracy": weights @ in_top3(predictions) / weights.sum(axis=1),
    }
    return {name: [float(q) for q in np.quantile(values, (0.025, 0.975))] for name, values in figures.items()}


def warning_metrics(predictions: Predictions, warned: NDArray[np.bool_]) -> Warned | None:
    """How often the advice to see a doctor comes first, by whether the true label may be cancer.

    Args:
        predictions: of all pictures.
        warned: for which of them it does, (N,).

    Returns:
        ``malignant`` and ``others`` (pictures of each), ``malignant_warned`` and ``others_warned``;
        ``sensitivity``, the share of the former that it reaches, and ``specificity``, the share of the others
        that it spares, each group of related pictures counting as one, with ``sensitivity_interval`` and
        ``specificity_interval`` as ``share_by_group`` gives them; ``per_source`` and ``per_skin_type``: key →
        the same. None where no label may be cancer.
    """
    if not any(condition(name).malignant for name in predictions.class_names):
        return None
    ours, group_of = predictions.malignant, number_groups(predictions.groups)

    def figures(own: NDArray[np.bool_]) -> Reached:
        found, others = own & ours, own & ~ours
        sensitivity, sensitivity_interval = share_by_group(warned[found], group_of[found])
        specificity, specificity_interval = share_by_group(~warned[others], group_of[others])
        return {
            "malignant": int(found.sum()),
            "malignant_warned": int((found & warned).sum()),
            "others": int(others.sum()),
            "others_warned": int((others & warned).sum()),
            "sensitivity": sensitivity,
            "sensitivity_interval": sensitivity_interval,
            "specificity": specificity,
            "specificity_interval": specificity_interval,
        }

    return {
        **figures(np.ones(len(ours), dtype=bool)),
        "per_source": {key: figures(own) for key, own in members(predictions.sources).items()},
        "per_skin_type": {key: figures(own) for key, own in members(predictions.skin_types).items()},
    }


def accuracy_by(
    keys: Sequence[object] | NDArray[np.object_], predictions: Predictions, detected: NDArray[np.bool_]
) -> dict[str, Subgroup]:
    """Metrics by key, such as source or skin type; rows without a key are skipped.

    Args:
        keys: one per row, or None, (N,).
        predictions: of all rows.
        detected: which rows are rejected or called no condition, (N,).
    """
    group_of = number_groups(predictions.groups)
    result: dict[str, Subgroup] = {}
    for key, rows in members(keys).items():
        own = predictions.take(rows)
        right = own.right
        result[key] = {
            "n": len(own),
            "groups": len(np.unique(group_of[rows])),
            "accuracy": float(right.mean()),
            "balanced_accuracy": mean_recall(own),
            "detected": int(detected[rows].sum()),
            "interval": share_interval(right, group_of[rows]),
            "detected_interval": share_interval(detected[rows], group_of[rows]),
        }
    return result


def mean_recall(predictions: Predictions) -> float:
    """Balanced accuracy: the mean recall over the classes that are there, 0 to 1."""
    targets = predictions.targets
    return float(
        recall_score(
            targets, predictions.answers, average="macro", labels=np.unique(targets), zero_division=0.0
        )
    )


def in_top3(predictions: Predictions) -> NDArray[np.bool_]:
    """Whether the true class is among the three most probable, (N,)."""
    top3 = np.argsort(-predictions.probabilities, axis=1, kind="stable")[:, :3]
    return (top3 == predictions.targets[:, None]).any(axis=1)


def detection_metrics(skin: Floats, other: Floats) -> dict[str, float | None]:
    """How well a score separates other pictures from skin; higher means more unusual.

    Args:
        skin, other: scores, (N,) and (M,).

    Returns:
        ``auroc``, and ``fpr95``: the share of the others accepted where 95 % of skin is accepted; None if
        either is empty.
    """
    if not len(skin) or not len(other):
        return {"auroc": None, "fpr95": None}
    truth = np.concatenate([np.ones(len(skin)), np.zeros(len(other))])
    acceptance = -np.concatenate([skin, other])
    accepted_other, accepted_skin, _ = roc_curve(truth, acceptance, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(truth, acceptance)),
        "fpr95": float(accepted_other[np.argmax(accepted_skin >= 0.95)]),
    }
