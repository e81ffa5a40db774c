"""What a doctor says about a case, and what the readings of a case amount to."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from model.errors import SkinDiseaseNetError

Decision = Literal["accept", "correct", "reject"]
OTHER = "(other)"
"""The outcome of a reading that names something which is not among the labels."""
REJECTED = "(rejected)"
DISPUTED = "(no agreement)"
"""The outcome of a case whose three readers all differ."""

MAX_NOTE = 200
"""The longest text of "other" or of a reason, characters."""


class ReviewError(SkinDiseaseNetError):
    """A request to the review queue that cannot be met."""

    code = "invalid_reading"


@dataclasses.dataclass(frozen=True)
class Reading:
    """A doctor's decision about one case.

    Attributes:
        decision: accept the model's most probable label, correct it, or reject the picture.
        outcome: a label, ``OTHER`` or ``REJECTED``.
        note: what "other" is, or the reason for rejecting; empty for the rest.
    """

    decision: Decision
    outcome: str
    note: str = ""


def reading(decision: str, label: str, note: str, *, labels: Sequence[str]) -> Reading:
    """Check what a doctor sent.

    Args:
        decision: accept, correct or reject.
        label: for correct: one of ``labels``, or ``OTHER``.
        note: needed with ``OTHER`` and with reject; ignored otherwise.
        labels: of the prediction, most probable first.

    Raises:
        ReviewError: it is none of these, or a text is missing or too long.
    """
    note = " ".join(note.split())
    if decision not in get_args(Decision):
        raise ReviewError(
            f"The decision is {decision[:40]!r}; accept, correct or reject is expected.",
            hint="Choose one of the three.",
        )
    if decision == "accept":
        return Reading("accept", labels[0])
    if decision == "correct" and label != OTHER:
        if label not in labels:
            raise ReviewError(
                f"The label is {label[:40]!r}, which the model does not have.",
                hint="Choose a label from the list, or other.",
            )
        return Reading("correct", label)
    if not 0 < len(note) <= MAX_NOTE:
        what = "reason" if decision == "reject" else "name of the other condition"
        raise ReviewError(
            f"The {what} has {len(note)} characters; 1 to {MAX_NOTE} are expected.",
            hint="Say it in a few words, without anything about the person.",
        )
    return Reading("reject", REJECTED, note) if decision == "reject" else Reading("correct", OTHER, note)


def settle(outcomes: Sequence[str]) -> str | None:
    """The outcome that two of up to three readings share; ``DISPUTED`` if all three differ; None before."""
    for outcome, count in Counter(outcomes).items():
        if count > 1:
            return outcome
    return DISPUTED if len(outcomes) > 2 else None
