"""``Prediction``: the result for one picture, the same for every interface."""

from __future__ import annotations

import dataclasses
from typing import Any

from app.quality import QualityWarning
from model.decision.malignancy import Malignancy
from model.decision.rejection import Criterion, Verdict


@dataclasses.dataclass(frozen=True)
class RankedCondition:
    """A label, its title for people, and its calibrated probability, 0 to 1."""

    name: str
    title: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The result for one picture; ``to_json`` gives the form that every interface returns.

    Attributes:
        verdict: ``condition``, ``uncertain``, ``no_condition`` or ``rejected``.
        reason: one plain sentence.
        conditions: all labels, most probable first; the probabilities sum to 1.
        criteria: the rejection rule's values and thresholds.
        malignancy: whether the labels that may be cancer are probable enough to matter; None if there are
            none.
        quality: warnings about the photo; they never block a result.
        prediction_set: names that cannot be ruled out, most probable first; None if the checkpoint has no
            quantile, and for a rejected picture, for which the coverage does not hold.
        checkpoint: ``id`` and ``revision``.
        timings_ms: ``decode``, ``transform``, ``forward`` and ``total``, milliseconds.
        heatmap: the overlay as a data URI, if requested.
    """

    verdict: Verdict
    reason: str
    conditions: tuple[RankedCondition, ...]
    criteria: tuple[Criterion, ...]
    malignancy: Malignancy | None
    quality: tuple[QualityWarning, ...]
    prediction_set: tuple[str, ...] | None
    checkpoint: dict[str, str]
    timings_ms: dict[str, float]
    heatmap: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to plain dicts, lists, numbers and strings for ``json.dumps``."""
        values = dataclasses.asdict(self)
        for name in ("conditions", "criteria", "quality"):
            values[name] = list(values[name])
        if self.prediction_set is not None:
            values["prediction_set"] = list(self.prediction_set)
        return values
