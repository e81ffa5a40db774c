"""How well a fitted rule holds on pictures that it was not fitted on, by group-wise cross-fitting."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from model.config import ModelConfig
from model.decision.calibration import softmax
from model.decision.conformal import in_prediction_set
from model.decision.rejection import detection_margin, max_probability, rejection_margin
from model.labels import NO_CONDITION
from train.calibrate.conformal import adaptive_sets
from train.calibrate.rule import Aims, Answers, fit_rule
from train.evaluate.curves import members, set_metrics
from train.evaluate.metrics import expected_calibration_error, warning_metrics

FOLDS = 5
Bools = NDArray[np.bool_]


class _Held(NamedTuple):
    """Pictures of one part, or of all, under rules that were fitted without them.

    Attributes:
        probabilities: calibrated, (n, K).
        kept, detected, certain: not rejected; rejected or called ``no_condition``; not below the bound of an
            uncertain answer; (n,).
        inside: which labels are in the prediction set, (n, K).
    """

    probabilities: NDArray[np.float64]
    kept: Bools
    detected: Bools
    certain: Bools
    inside: Bools


def cross_fitted(answers: Answers, model_config: ModelConfig, aims: Aims) -> dict[str, Any] | None:
    """Figures of the rule, each picture under a rule that was fitted without its part.

    The pictures are divided into ``FOLDS`` parts (fewer where they are few) that share no group and hold the
    classes alike; the rule is fitted on all parts but one and measured on that one.

    Args:
        answers: of a split that the network was not trained on.
        model_config, aims: as for ``fit_rule``.

    Returns:
        ``n``; ``folds``; ``ece``: ``before`` and ``after`` the temperature, also ``by_source``; ``rejected``,
        share of all; ``skin``: ``n`` pictures that show a condition, and how many of them are ``detected``
        (rejected or called ``no_condition``); ``not_uncertain``: ``n`` and ``accuracy`` of the answers
        neither rejected nor called uncertain; ``malignant_warning``, as ``warning_metrics`` counts;
        ``prediction_sets``, as ``set_metrics`` has them, of the pictures not rejected, and ``adaptive_sets``,
        the same of the sets that were not chosen; None where MAPIE is not installed or the pictures or
        classes are too few. None in all where the pictures are too few to be divided.
    """
    folds = min(FOLDS, len(set(answers.groups)), int(np.bincount(answers.labels).max()))
    if folds < 2:
        return None
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():  # a class with fewer pictures than parts is in as many as it can be
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(splitter.split(answers.labels, answers.labels, answers.groups))
    rules, judged, adaptive = [], [], []
    warned: Counter[str] = Counter()
    for fitted, held in parts:
        rule = fit_rule(answers.take(fitted), model_config, aims)
        part = _judge(rule, answers.take(held))
        warned.update(warning_metrics(part.probabilities, answers.labels[held], rule) or {})
        adaptive.append(_adaptive(rule, answers.take(fitted), part.probabilities))
        rules.append(rule)
        judged.append(part)
    every = _Held(*(np.concatenate(arrays) for arrays in zip(*judged, strict=True)))
    answers = answers.take(np.concatenate([held for _, held in parts]))
    certain = every.kept & every.certain
    skin = np.asarray(model_config.labels)[answers.labels] != NO_CONDITION
    right = every.probabilities.argmax(axis=1) == answers.labels
    sets = every.inside if all(rule.set_quantile < 1 for rule in rules) else None
    return {
        "n": len(right),
        "folds": folds,
        "ece": _calibration_errors(answers, every.probabilities),
        "rejected": float((~every.kept).mean()),
        "skin": {"n": int(skin.sum()), "detected": int((every.detected & skin).sum())},
        "not_uncertain": {
            "n": int(certain.sum()),
            "accuracy": float(right[certain].mean()) if certain.any() else None,
        },
        "malignant_warning": dict(warned) or None,
        "prediction_sets": _set_figures(answers, every.kept, sets),
        "adaptive_sets": _set_figures(answers, every.kept, _joined(adaptive)),
    }


def _judge(rule: ModelConfig, held: Answers) -> _Held:
    probabilities = softmax(held.logits, rule.temperature)
    return _Held(
        probabilities=probabilities,
        kept=rejection_margin(probabilities, rule, held.unusualness) <= 0,
        detected=detection_margin(probabilities, rule, held.unusualness) > 0,
        certain=max_probability(probabilities) >= rule.uncertain_below,
        inside=in_prediction_set(probabilities, rule),
    )


def _adaptive(rule: ModelConfig, fitted: Answers, held: NDArray[np.float64]) -> Bools | None:
    """The sets of another score that the same pictures teach."""
    if rule.set_quantile >= 1:
        return None
    probabilities = softmax(fitted.logits, rule.temperature)
    kept = rejection_margin(probabilities, rule, fitted.unusualness) <= 0
    return adaptive_sets(probabilities[kept], fitted.labels[kept], held)


def _joined(parts: list[Bools | None]) -> Bools | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if len(there) == len(parts) else None


def _set_figures(answers: Answers, kept: Bools, inside: Bools | None) -> dict[str, Any] | None:
    if inside is None or not kept.any():
        return None
    own = answers.take(np.flatnonzero(kept))
    return set_metrics(inside[kept], own.labels, own.groups, own.sources, own.skin_types)


def _calibration_errors(answers: Answers, probabilities: NDArray[np.float64]) -> dict[str, Any]:
    uncalibrated = softmax(answers.logits, 1.0)

    def errors(own: Bools) -> dict[str, float]:
        labels = answers.labels[own]
        return {
            "before": expected_calibration_error(uncalibrated[own], labels),
            "after": expected_calibration_error(probabilities[own], labels),
        }

    return {
        **errors(np.ones(len(probabilities), dtype=bool)),
        "by_source": {
            source: {"n": int(own.sum()), **errors(own)} for source, own in members(answers.sources)
        },
    }
