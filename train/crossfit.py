"""How well a fitted rule holds on pictures that it was not fitted on, by group-wise cross-fitting."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from model.calibration import softmax
from model.config import ModelConfig
from model.conformal import in_prediction_set
from model.rejection import dual_margin, max_probability
from train.curves import members, set_metrics
from train.metrics import expected_calibration_error, warning_metrics
from train.rule import Aims, Answers, fit_rule

FOLDS = 5


def cross_fitted(answers: Answers, model_config: ModelConfig, aims: Aims) -> dict[str, Any] | None:
    """Figures of the rule, each picture under a rule that was fitted without its part.

    The pictures are divided into ``FOLDS`` parts (fewer where they are few) that share no group and hold the
    classes alike; the rule is fitted on all parts but one and measured on that one.

    Args:
        answers: of a split that the network was not trained on.
        model_config, aims: as for ``fit_rule``.

    Returns:
        ``n``; ``folds``; ``ece``: ``before`` and ``after`` the temperature, also ``by_source``; ``rejected``,
        share of all; ``not_uncertain``: ``n`` and ``accuracy`` of the answers neither rejected nor called
        uncertain; ``malignant_warning``, as ``warning_metrics`` counts; ``prediction_sets``, as
        ``set_metrics`` has them, of the pictures not rejected, None where MAPIE is not installed or the
        pictures are too few. None in all where they are too few to be divided.
    """
    labels = answers.labels
    folds = min(FOLDS, len(set(answers.groups)), int(np.bincount(labels).max()))
    if folds < 2:
        return None
    probabilities = np.empty_like(answers.logits)
    inside = np.empty(answers.logits.shape, dtype=bool)
    kept, certain = (np.empty(len(labels), dtype=bool) for _ in range(2))
    quantiles: list[float] = []
    warned: Counter[str] = Counter()
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():  # a class with fewer pictures than parts is in as many as it can be
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(splitter.split(labels, labels, answers.groups))
    for fitted, held in parts:
        rule = fit_rule(answers.take(fitted), model_config, aims)
        probabilities[held] = softmax(answers.logits[held], rule.temperature)
        kept[held] = dual_margin(probabilities[held], rule) <= 0
        certain[held] = max_probability(probabilities[held]) >= rule.uncertain_below
        inside[held] = in_prediction_set(probabilities[held], rule)
        quantiles.append(rule.set_quantile)
        warned.update(warning_metrics(probabilities[held], labels[held], rule) or {})
    certain &= kept
    right = probabilities.argmax(axis=1) == labels
    return {
        "n": len(labels),
        "folds": folds,
        "ece": _calibration_errors(answers, probabilities),
        "rejected": float((~kept).mean()),
        "not_uncertain": {
            "n": int(certain.sum()),
            "accuracy": float(right[certain].mean()) if certain.any() else None,
        },
        "malignant_warning": dict(warned) or None,
        "prediction_sets": set_metrics(
            inside[kept], labels[kept], answers.sources[kept], answers.skin_types[kept]
        )
        if kept.any() and max(quantiles) < 1
        else None,
    }


def _calibration_errors(answers: Answers, probabilities: np.ndarray) -> dict[str, Any]:
    before, after = softmax(answers.logits, 1.0), probabilities

    def errors(own: np.ndarray) -> dict[str, float]:
        labels = answers.labels[own]
        return {
            "before": expected_calibration_error(before[own], labels),
            "after": expected_calibration_error(after[own], labels),
        }

    return {
        **errors(np.ones(len(after), dtype=bool)),
        "by_source": {
            source: {"n": int(own.sum()), **errors(own)} for source, own in members(answers.sources)
        },
    }
