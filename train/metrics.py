"""The figures of a classifier and of its rejection rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score, roc_curve

from model.config import ModelConfig
from model.rejection import dual_margin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def classification_metrics(probabilities: Floats, labels: Ints, config: ModelConfig) -> dict[str, Any]:
    """Figures of argmax over calibrated probabilities, rejection ignored.

    Args:
        probabilities: (N, K). labels: true class numbers, (N,). config: names and thresholds.

    Returns:
        ``n``, ``accuracy``, ``balanced_accuracy`` (mean recall over the classes present), ``macro_f1`` (the
        same classes), ``top3_accuracy``, ``ece``, ``rejected`` (share) and ``per_class``; all shares 0 to 1.
    """
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=present, zero_division=0.0
    )
    top3 = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    return {
        "n": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "top3_accuracy": float((top3 == labels[:, None]).any(axis=1).mean()),
        "ece": expected_calibration_error(probabilities, labels),
        "rejected": float((dual_margin(probabilities, config) > 0).mean()),
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


def detection_metrics(skin: Floats, other: Floats) -> dict[str, float]:
    """How well a score tells other pictures from skin; higher means more out of place.

    Args:
        skin, other: scores, (N,) and (M,).

    Returns:
        ``auroc``, and ``fpr95``: the share of the others accepted where 95 % of skin is accepted.
    """
    truth = np.concatenate([np.ones(len(skin)), np.zeros(len(other))])
    acceptance = -np.concatenate([skin, other])
    accepted_other, accepted_skin, _ = roc_curve(truth, acceptance, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(truth, acceptance)),
        "fpr95": float(accepted_other[np.argmax(accepted_skin >= 0.95)]),
    }
