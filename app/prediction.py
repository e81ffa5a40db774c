"""``Prediction``: the answer to one picture, the same over every interface."""

from __future__ import annotations

import dataclasses
from typing import Any

from app.quality import QualityWarning
from model.decision.malignancy import Malignancy
from model.decision.modality import Modality
from model.decision.rejection import Criterion, Verdict


@dataclasses.dataclass(frozen=True)
class RankedCondition:
    """A label, its title for people, and its calibrated probability, 0 to 1."""

    name: str
    title: str
    probability: float


@dataclasses.dataclass(frozen=True)
class Seen:
    """What kind of picture was sent.

    Attributes:
        name: ``clinical`` or ``dermoscopy``, whichever is the more probable.
        probability: of it, 0.5 to 1.
        expected: what the checkpoint learned from.
        message: one or two sentences where that is something else; otherwise None.
    """

    name: Modality
    probability: float
    expected: Modality
    message: str | None


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer to one picture; ``to_json`` is its form over every door.

    Attributes:
        verdict: ``condition``, ``uncertain``, ``no_condition`` or ``rejected``.
        reason: one plain sentence.
        conditions: all labels, most probable first; the probabilities sum to 1.
        criteria: the rejection rule's values and thresholds.
        malignancy: whether the labels that may be cancer matter here; None where the checkpoint has none.
        quality: what about the photo could be better; a warning, never a block.
        advice: what to do, in words: ``urgency``, a key of ``model.labels.URGENCY``, and as
            ``app.pages.wording.Advice`` has them ``how_soon``, ``caution`` and ``text``.
        modality: whether the picture looks like a clinical photograph or like dermoscopy; None where the
            checkpoint cannot tell.
        prediction_set: names that cannot be ruled out, most probable first; None where the checkpoint has no
            quantile for it, and for a rejected picture, of which it would promise nothing.
        checkpoint: ``id`` and ``revision``.
        timings_ms: ``decode``, ``transform``, ``forward`` and ``total``, milliseconds.
        heatmap: the overlay as a data URI, if it was asked for.
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
    advice: dict[str, str | None] = dataclasses.field(default_factory=dict)
    modality: Seen | None = None
    heatmap: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings, ready for ``json.dumps``."""
        values = dataclasses.asdict(self)
        for name in ("conditions", "criteria", "quality"):
            values[name] = list(values[name])
        if self.prediction_set is not None:
            values["prediction_set"] = list(self.prediction_set)
        return values
