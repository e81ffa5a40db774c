"""The figures of a classifier and of its rejection rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support, recall_score, roc_auc_score, roc_curve

from model.config import ModelConfig
from model.decision.malignancy import malignant_labels, malignant_probability
from model.decision.rejection import rejection_margin
from train.evaluate.bootstrap import draw_weights, number_groups, ratio, share_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def classification_metrics(
    probabilities: Floats, labels: Ints, config: ModelConfig, unusualness: Floats | None = None
) -> dict[str, Any]:
    """Figures of argmax over calibrated probabilities, rejection ignored.

    Args:
        probabilities: (N, K). labels: true class numbers, (N,). config: names and thresholds.
        unusualness: of the same pictures, (N,); None without a detector.

    Returns:
        ``n``, ``accuracy``, ``balanced_accuracy`` (mean recall over the classes present), ``macro_f1`` (the
        same classes), ``top3_accuracy``, ``ece``, ``rejected`` (share) and ``per_class``; all shares 0 to 1.
    """
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=present, zero_division=0.0
    )
    return {
        "n": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "top3_accuracy": float(_in_top3(probabilities, labels).mean()),
        "ece": expected_calibration_error(probabilities, labels),
        "rejected": float((rejection_margin(probabilities, config, unusualness) > 0).mean()),
        "per_class": {
            config.labels[label]: {"n": int(n), "recall": float(r), "precision": float(p)}
            for label, n, r, p in zip(present, support, recall, precision, strict=True)
        },
    }


def expected_calibration_error(probabilities: Floats, labels: Ints, *, bins: int = 15) -> float:
    """Mean gap of confidence and accuracy over equal-width bins (Guo et al. 2017, equation 3), 0 to 1."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def bootstrap_intervals(
    probabilities: Floats, labels: Ints, groups: Sequence[str | None], *, resamples: int = 1000, seed: int = 0
) -> dict[str, list[float]]:
    """95 % percentile intervals, drawing whole groups with replacement (Efron and Tibshirani 1993).

    Args:
        probabilities: (N, K). labels: true class numbers, (N,).
        groups: pictures of one series or patient share a name; None is a group of its own.
        resamples: number of draws. seed: of the draws.

    Returns:
        ``[low, high]`` for ``accuracy``, ``balanced_accuracy`` and ``top3_accuracy``.
    """
    weights = draw_weights(number_groups(groups), resamples=resamples, seed=seed)
    member = labels[:, None] == np.unique(labels)  # (N, classes present)
    right = probabilities.argmax(axis=1) == labels
    recall = ratio(weights @ (member & right[:, None]), weights @ member)
    figures = {
        "accuracy": weights @ right / weights.sum(axis=1),
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "top3_accuracy": weights @ _in_top3(probabilities, labels) / weights.sum(axis=1),
    }
    return {name: [float(q) for q in np.quantile(values, (0.025, 0.975))] for name, values in figures.items()}


def warning_metrics(probabilities: Floats, labels: Ints, config: ModelConfig) -> dict[str, int] | None:
    """How often the advice to see a doctor comes first, by whether the true label may be cancer.

    Returns:
        ``malignant`` and ``others`` (pictures of each), ``malignant_warned`` and ``others_warned``;
        None where no label may be cancer.
    """
    ours = np.isin(np.asarray(config.labels)[labels], malignant_labels(config))
    if not malignant_labels(config):
        return None
    warned = malignant_probability(probabilities, config) >= config.malignant_from
    return {
        "malignant": int(ours.sum()),
        "malignant_warned": int((ours & warned).sum()),
        "others": int((~ours).sum()),
        "others_warned": int((~ours & warned).sum()),
    }


def accuracy_by(
    keys: Sequence[object],
    probabilities: Floats,
    labels: Ints,
    groups: Sequence[str | None],
    detected: NDArray[np.bool_],
) -> dict[str, dict[str, Any]]:
    """Figures of the rows that share a key, such as a source or a skin type; rows without one are left out.

    Args:
        keys: one a row, or None.
        probabilities: (N, K). labels: true class numbers, (N,). groups: as for ``bootstrap_intervals``.
        detected: which rows are turned away, rejected or called no condition, (N,).

    Returns:
        Key → ``n``, ``groups``, ``accuracy``, ``balanced_accuracy`` (mean recall over the classes present),
        ``detected`` (a count), and the 95 % bootstrap intervals ``interval`` of the accuracy and
        ``detected_interval`` of the share detected, both as ``share_interval`` gives them.
    """
    group_of = number_groups(groups)
    predicted = probabilities.argmax(axis=1)
    names = np.array(["" if key is None else str(key) for key in keys])
    result = {}
    for key in sorted(set(names) - {""}):
        rows = names == key
        right = predicted[rows] == labels[rows]
        result[str(key)] = {
            "n": int(rows.sum()),
            "groups": len(np.unique(group_of[rows])),
            "accuracy": float(right.mean()),
            "balanced_accuracy": float(
                recall_score(
                    labels[rows],
                    predicted[rows],
                    average="macro",
                    labels=np.unique(labels[rows]),
                    zero_division=0.0,
                )
            ),
            "detected": int(detected[rows].sum()),
            "interval": share_interval(right, group_of[rows]),
            "detected_interval": share_interval(detected[rows], group_of[rows]),
        }
    return result


def _in_top3(probabilities: Floats, labels: Ints) -> NDArray[np.bool_]:
    top3 = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    return (top3 == labels[:, None]).any(axis=1)


def detection_metrics(skin: Floats, other: Floats) -> dict[str, float | None]:
    """How well a score tells other pictures from skin; higher means more out of place.

    Args:
        skin, other: scores, (N,) and (M,).

    Returns:
        ``auroc``, and ``fpr95``: the share of the others accepted where 95 % of skin is accepted; None where
        either has no score.
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
