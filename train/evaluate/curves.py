"""Is a probability what it says, what does deferring buy, is acting on it worth it, do the sets hold?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.calibration import softmax
from model.decision.conformal import SET_LEVEL, in_prediction_set
from model.decision.malignancy import malignant_labels, malignant_probability
from model.decision.rejection import rejection_margin
from train.evaluate.bootstrap import number_groups, share_interval
from train.evaluate.metrics import expected_calibration_error

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BINS = 15
POINTS = 100
ACTION_THRESHOLDS = np.arange(1, 51) / 100


def curve_metrics(
    logits: Floats,
    labels: Ints,
    groups: Iterable[str | None],
    sources: Iterable[str | None],
    skin_types: Iterable[int | None],
    config: ModelConfig,
    unusualness: Floats | None = None,
) -> dict[str, Any]:
    """All figures of this file, as ``metrics.json`` names them.

    Args:
        logits: (N, K). labels: true class numbers, (N,). groups: as ``number_groups`` takes them.
        sources, skin_types: of the pictures, or None, (N,).
        config: of the checkpoint.
        unusualness: of the pictures, (N,); None without a detector.

    Returns:
        ``reliability``, ``risk_coverage``, ``decision_curve``, and ``prediction_sets`` of the pictures that
        are not rejected, None where the checkpoint has no sets or every picture is rejected.
    """
    probabilities = softmax(logits, config.temperature)
    kept = rejection_margin(probabilities, config, unusualness) <= 0
    inside = in_prediction_set(probabilities, config)
    own_groups, own_sources, own_types = (
        np.asarray(list(keys), dtype=object) for keys in (groups, sources, skin_types)
    )
    return {
        "reliability": reliability(probabilities, softmax(logits, 1.0), labels, own_sources),
        "risk_coverage": risk_coverage(probabilities, labels),
        "decision_curve": decision_curve(probabilities, labels, config),
        "prediction_sets": set_metrics(
            inside[kept], labels[kept], own_groups[kept], own_sources[kept], own_types[kept]
        )
        if kept.any() and config.set_quantile < 1
        else None,
    }


def reliability(
    probabilities: Floats, uncalibrated: Floats, labels: Ints, sources: Iterable[str | None]
) -> dict[str, Any]:
    """The reliability diagram (Guo et al. 2017, section 2) and expected calibration errors, all 0 to 1.

    Args:
        probabilities: calibrated, (N, K). uncalibrated: the same at temperature 1.
        labels: true class numbers, (N,). sources: where a picture is from, or None, (N,).

    Returns:
        ``bins``: of equal width, those that hold a picture, each with ``low``, ``high``, ``n``, mean
        ``confidence`` and ``accuracy``; ``ece``; ``ece_uncalibrated``; ``ece_by_source``.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
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
        "ece": expected_calibration_error(probabilities, labels, bins=BINS),
        "ece_uncalibrated": expected_calibration_error(uncalibrated, labels, bins=BINS),
        "ece_by_source": {
            source: {
                "n": int(own.sum()),
                "ece": expected_calibration_error(probabilities[own], labels[own], bins=BINS),
            }
            for source, own in members(sources)
        },
    }


def risk_coverage(probabilities: Floats, labels: Ints) -> dict[str, Any]:
    """Share of wrong answers among those kept, as the least confident are deferred.

    Selective risk (Geifman and El-Yaniv 2017); answers of equal confidence are kept or deferred together.

    Args:
        probabilities: (N, K). labels: true class numbers, (N,).

    Returns:
        ``coverage``, rising to 1, and ``risk``, at most ``POINTS`` of each; ``aurc``, the mean risk over all
        N coverages; all 0 to 1.
    """
    confidence, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    order = np.argsort(-confidence, kind="stable")
    kept = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) + 1
    risk = np.cumsum(wrong[order])[kept - 1] / kept
    shown = np.unique(np.linspace(0, len(kept) - 1, POINTS).round().astype(int))
    return {
        "coverage": (kept[shown] / len(labels)).tolist(),
        "risk": risk[shown].tolist(),
        "aurc": float(np.average(risk, weights=np.diff(kept, prepend=0))),
    }


def decision_curve(probabilities: Floats, labels: Ints, config: ModelConfig) -> dict[str, list[float]] | None:
    """Net benefit of sending pictures that may be cancer to a doctor (Vickers and Elkin 2006).

    At a threshold t, one missed cancer weighs as much as (1 - t) / t needless visits.

    Args:
        probabilities: calibrated, (N, K). labels: true class numbers, (N,). config: names the labels.

    Returns:
        ``thresholds`` of the summed probability, ``net_benefit`` of acting from there on, ``treat_all`` of
        always acting, both in true cases found a picture; None where no picture's label may be cancer.
    """
    ours = np.isin(np.asarray(config.labels)[labels], malignant_labels(config))
    if not ours.any():
        return None
    acted = malignant_probability(probabilities, config)[:, None] >= ACTION_THRESHOLDS  # (N, thresholds)
    odds = ACTION_THRESHOLDS / (1 - ACTION_THRESHOLDS)
    return {
        "thresholds": ACTION_THRESHOLDS.tolist(),
        "net_benefit": (
            (acted & ours[:, None]).mean(axis=0) - (acted & ~ours[:, None]).mean(axis=0) * odds
        ).tolist(),
        "treat_all": (ours.mean() - (~ours).mean() * odds).tolist(),
    }


def set_metrics(
    inside: Bools,
    labels: Ints,
    groups: Iterable[str | None],
    sources: Iterable[str | None],
    skin_types: Iterable[int | None],
) -> dict[str, Any]:
    """How often prediction sets hold the true label, and how large they are.

    Args:
        inside: which labels are in a picture's set, (N, K), N above 0.
        labels: true class numbers, (N,). groups: as ``number_groups`` takes them.
        sources, skin_types: of the pictures, or None, (N,).

    Returns:
        ``level``, what was promised; ``n``; ``coverage``, share of sets with the true label, and its
        ``interval``; ``mean_size``; ``empty_or_single``, share of sets of one label or none; ``per_source``
        and ``per_skin_type``: key → ``n``, ``coverage``, ``interval`` and ``mean_size``.
    """
    group_of = number_groups(groups)
    held, size = inside[np.arange(len(labels)), labels], inside.sum(axis=1)

    def figures(own: Bools) -> dict[str, Any]:
        return {
            "n": int(own.sum()),
            "coverage": float(held[own].mean()),
            "interval": share_interval(held[own], group_of[own]),
            "mean_size": float(size[own].mean()),
        }

    return {
        "level": SET_LEVEL,
        **figures(np.ones(len(labels), dtype=bool)),
        "empty_or_single": float((size <= 1).mean()),
        "per_source": {key: figures(own) for key, own in members(sources)},
        "per_skin_type": {key: figures(own) for key, own in members(skin_types)},
    }


def members(keys: Iterable[object]) -> Iterator[tuple[str, Bools]]:
    """Each key as text, in order, with the rows (N,) that have it; rows without one are in none."""
    texts = [None if key is None else str(key) for key in keys]
    for key in sorted({text for text in texts if text is not None}):
        yield key, np.asarray([text == key for text in texts])
