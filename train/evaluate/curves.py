"""Calibration, selective prediction, decision curves, and the coverage of prediction sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.conformal import SET_LEVEL, in_prediction_set
from model.decision.malignancy import malignant_probability
from train.evaluate.bootstrap import number_groups, share_interval
from train.evaluate.metrics import expected_calibration_error
from train.predictions import Predictions, members
from train.report.schema import Coverage, DecisionCurve, PredictionSets, Reliability, RiskCoverage

Bools = NDArray[np.bool_]

BINS = 15
POINTS = 100
ACTION_THRESHOLDS = np.arange(1, 51) / 100


def curve_metrics(predictions: Predictions, config: ModelConfig) -> dict[str, Any]:
    """All metrics of this module, under their names in ``metrics.json``.

    Returns:
        ``reliability``, ``risk_coverage``, ``decision_curve``, and ``prediction_sets`` of the pictures that
        are not rejected, None if the checkpoint has no sets or every picture is rejected.
    """
    kept = predictions.take(~predictions.rejected(config))
    return {
        "reliability": reliability(predictions),
        "risk_coverage": risk_coverage(predictions),
        "decision_curve": decision_curve(predictions, config),
        "prediction_sets": set_metrics(kept, in_prediction_set(kept.probabilities, config))
        if len(kept) and config.set_quantile < 1
        else None,
    }


def reliability(predictions: Predictions) -> Reliability:
    """The reliability diagram (Guo et al. 2017, section 2) and expected calibration errors, all 0 to 1.

    Args:
        predictions: calibrated, with logits.
    """
    confidence, right = predictions.confidence, predictions.right
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return {
        "bins": [
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "n": int((bin_of == number).sum()),
                "confidence": float(confidence[bin_of == number].mean()),
                "accuracy": float(right[bin_of == number].mean()),
            }
            for number in np.unique(bin_of).tolist()
        ],
        "ece": expected_calibration_error(predictions, bins=BINS),
        "ece_uncalibrated": expected_calibration_error(predictions.at_temperature(1.0), bins=BINS),
        "ece_by_source": {
            source: {
                "n": int(own.sum()),
                "ece": expected_calibration_error(predictions.take(own), bins=BINS),
            }
            for source, own in members(predictions.sources).items()
        },
    }


def risk_coverage(predictions: Predictions) -> RiskCoverage:
    """The share of wrong answers among those kept, when the least confident are deferred.

    Selective risk (Geifman and El-Yaniv 2017) at ``POINTS`` coverages at most, and its mean over all N;
    answers of equal confidence are kept or deferred together.
    """
    confidence, wrong = predictions.confidence, ~predictions.right
    order = np.argsort(-confidence, kind="stable")
    kept = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) + 1
    risk = np.cumsum(wrong[order])[kept - 1] / kept
    shown = np.unique(np.linspace(0, len(kept) - 1, POINTS).round().astype(int))
    return {
        "coverage": (kept[shown] / len(predictions)).tolist(),
        "risk": risk[shown].tolist(),
        "aurc": float(np.average(risk, weights=np.diff(kept, prepend=0))),
    }


def decision_curve(predictions: Predictions, config: ModelConfig) -> DecisionCurve | None:
    """Net benefit of sending pictures that may be cancer to a doctor (Vickers and Elkin 2006).

    At a threshold t of the summed probability, one missed cancer weighs as much as (1 - t) / t unnecessary
    visits. None where no picture's class may be cancer.
    """
    ours = predictions.malignant
    if not ours.any():
        return None
    summed = malignant_probability(predictions.probabilities, config)
    acted = summed[:, None] >= ACTION_THRESHOLDS  # (N, thresholds)
    odds = ACTION_THRESHOLDS / (1 - ACTION_THRESHOLDS)
    return {
        "thresholds": ACTION_THRESHOLDS.tolist(),
        "net_benefit": (
            (acted & ours[:, None]).mean(axis=0) - (acted & ~ours[:, None]).mean(axis=0) * odds
        ).tolist(),
        "treat_all": (ours.mean() - (~ours).mean() * odds).tolist(),
    }


def set_metrics(predictions: Predictions, inside: Bools) -> PredictionSets:
    """Coverage and size of prediction sets.

    Args:
        predictions: of N pictures, N above 0.
        inside: which classes are in a picture's set, (N, K).
    """
    group_of = number_groups(predictions.groups)
    held, size = inside[np.arange(len(inside)), predictions.targets], inside.sum(axis=1)

    def figures(own: Bools) -> Coverage:
        return {
            "n": int(own.sum()),
            "coverage": float(held[own].mean()),
            "interval": share_interval(held[own], group_of[own]),
            "mean_size": float(size[own].mean()),
        }

    return {
        "level": SET_LEVEL,
        **figures(np.ones(len(inside), dtype=bool)),
        "empty_or_single": float((size <= 1).mean()),
        "per_source": {key: figures(own) for key, own in members(predictions.sources).items()},
        "per_skin_type": {key: figures(own) for key, own in members(predictions.skin_types).items()},
    }
