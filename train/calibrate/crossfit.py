"""Group-wise cross-fitting: how well a rule holds on pictures that it was not fitted on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from model.config import ModelConfig
from model.decision.conformal import in_prediction_set
from train.calibrate.conformal import adaptive_sets
from train.calibrate.rule import Aims, fit_rule
from train.evaluate.curves import set_metrics
from train.evaluate.metrics import expected_calibration_error, warning_metrics
from train.predictions import Predictions, members
from train.report.schema import PredictionSets

FOLDS = 5
Bools = NDArray[np.bool_]


def cross_fitted(predictions: Predictions, model_config: ModelConfig, aims: Aims) -> dict[str, Any] | None:
    """Metrics of the rule, each picture under a rule that was fitted without its fold.

    The pictures are split into ``FOLDS`` folds (fewer if there are few pictures), by group and stratified by
    class; the rule is fitted on all folds but one and measured on that one.

    Args:
        predictions: of a split that the network was not trained on.
        model_config, aims: as for ``fit_rule``.

    Returns:
        ``n``; ``folds``; ``ece``: ``before`` and ``after`` the temperature, also ``by_source``; ``rejected``,
        share of all; ``skin``: ``n`` pictures that show a condition, and how many of them are ``detected``
        (rejected or called ``no_condition``); ``not_uncertain``: ``n`` and ``accuracy`` of the answers
        neither rejected nor called uncertain; ``malignant_warning``, as ``warning_metrics`` has it;
        ``prediction_sets``, as ``set_metrics`` has them, of the pictures not rejected, and ``adaptive_sets``,
        the same of the sets that were not chosen; None if MAPIE is not installed or there are too few
        pictures or classes. The whole result is None if there are too few pictures to split.
    """
    targets, groups = predictions.targets, predictions.groups
    folds = min(FOLDS, len(set(groups)), int(np.bincount(targets).max()))
    if folds < 2:
        return None
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():  # a class with fewer pictures than folds is in as many as possible
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(splitter.split(targets, targets, groups))
    rules, judged, masks, adaptive = [], [], [], []
    for fitted, held in parts:
        rule = fit_rule(predictions.take(fitted), model_config, aims)
        part = predictions.take(held).at_temperature(rule.temperature)
        inside = in_prediction_set(part.probabilities, rule)
        masks.append(
            (
                ~part.rejected(rule),
                part.detected(rule),
                part.confidence >= rule.uncertain_below,
                part.warned(rule),
                inside,
            )
        )
        adaptive.append(_adaptive(rule, predictions.take(fitted), part))
        rules.append(rule)
        judged.append(part)
    every = Predictions.joined(judged)
    kept, detected, certain, warned, inside = (np.concatenate(mask) for mask in zip(*masks, strict=True))
    certain &= kept
    skin = every.has_condition
    sets = inside if all(rule.set_quantile < 1 for rule in rules) else None
    return {
        "n": len(every),
        "folds": folds,
        "ece": _calibration_errors(every),
        "rejected": float((~kept).mean()),
        "skin": {"n": int(skin.sum()), "detected": int((detected & skin).sum())},
        "not_uncertain": {
            "n": int(certain.sum()),
            "accuracy": float(every.right[certain].mean()) if certain.any() else None,
        },
        "malignant_warning": warning_metrics(every, warned),
        "prediction_sets": _set_figures(every, kept, sets),
        "adaptive_sets": _set_figures(every, kept, _joined(adaptive)),
    }


def _adaptive(rule: ModelConfig, fitted: Predictions, held: Predictions) -> Bools | None:
    """The sets of the alternative score, fitted on the same pictures."""
    if rule.set_quantile >= 1:
        return None
    fitted = fitted.at_temperature(rule.temperature)
    return adaptive_sets(fitted.take(~fitted.rejected(rule)), held.probabilities)


def _joined(parts: list[Bools | None]) -> Bools | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if len(there) == len(parts) else None


def _set_figures(predictions: Predictions, kept: Bools, inside: Bools | None) -> PredictionSets | None:
    if inside is None or not kept.any():
        return None
    return set_metrics(predictions.take(kept), inside[kept])


def _calibration_errors(predictions: Predictions) -> dict[str, Any]:
    def errors(own: Predictions) -> dict[str, float]:
        return {
            "before": expected_calibration_error(own.at_temperature(1.0)),
            "after": expected_calibration_error(own),
        }

    return {
        **errors(predictions),
        "by_source": {
            source: {"n": int(own.sum()), **errors(predictions.take(own))}
            for source, own in members(predictions.sources).items()
        },
    }
