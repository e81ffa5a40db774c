"""Several pictures at once: a table for people, CSV and JSON to download. Pictures have numbers, no names."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence

from app.pages import wording
from app.prediction import Prediction, RankedCondition
from model.errors import ConfigError, ImageError

MAX_BATCH = 12
"""Pictures in one go."""

MAX_BATCH_BYTES = 60_000_000
"""All of them together, bytes."""

Outcome = Prediction | ImageError
"""What became of one picture."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One picture's line in the table; a text that does not apply is empty.

    Attributes:
        number: of the picture, from 1, in the order of sending.
        verdict: as in the prediction, or ``error``.
        headline: the few words that stand above everything else.
        top: the three most probable labels; none where the picture was rejected or could not be read.
        malignancy: where a label which may be cancer is probable enough: the advice to see a doctor.
        caution: where it is not, but such a label cannot be ruled out: that it cannot.
        modality: where the picture is of another kind than the model knows: which, and what to do.
        quality: what about the photo could be better, a few words.
        error: why it could not be read, and what to do.
    """

    number: int
    verdict: str
    headline: str
    top: tuple[RankedCondition, ...]
    malignancy: str
    caution: str
    modality: str
    quality: str
    error: str


def predict_all(predict: Callable[[bytes], Prediction], pictures: Sequence[bytes]) -> list[Outcome]:
    """Looks at each picture; one that cannot be read does not cost the others their answer.

    Args:
        predict: one picture's bytes to its prediction.
        pictures: at most ``MAX_BATCH``.

    Raises:
        ConfigError: with the code ``too_many_images``; nothing was looked at.
    """
    if len(pictures) > MAX_BATCH:
        raise ConfigError(
            f"{len(pictures)} pictures were sent; at most {MAX_BATCH} at once are accepted.",
            hint="Send them in smaller groups.",
            code="too_many_images",
        )
    outcomes: list[Outcome] = []
    for picture in pictures:
        try:
            outcomes.append(predict(picture))
        except ImageError as error:
            outcomes.append(error)
    return outcomes


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """The table, one row a picture, in their order."""
    return [_row(number, outcome) for number, outcome in enumerate(outcomes, start=1)]


def _row(number: int, outcome: Outcome) -> Row:
    if isinstance(outcome, ImageError):
        return Row(number, "error", "This picture could not be read", (), "", "", "", "", str(outcome))
    rejected = outcome.verdict == "rejected"
    return Row(
        number=number,
        verdict=outcome.verdict,
        headline=wording.headline(outcome),
        top=() if rejected else outcome.conditions[:3],
        malignancy=(words := wording.malignancy_words(outcome)),
        caution="" if words else wording.advice(outcome).caution or "",
        modality=(outcome.modality and outcome.modality.message) or "",
        quality=", ".join(wording.QUALITY_WORDS[warning.name] for warning in outcome.quality),
        error="",
    )


def csv_text(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    """One line a picture and one column a label, for a spreadsheet; lines end as RFC 4180 has it.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP advises.

    Args:
        outcomes: in the order of the pictures.
        labels: of the checkpoint, in the order of their columns ``probability_LABEL``.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    head = ["number", "verdict", "headline", *(f"probability_{name}" for name in labels)]
    head += ["malignancy_probability", "malignancy_fired", "quality", "checkpoint", "revision"]
    writer.writerow([*head, "error_code", "error"])
    for row, outcome in zip(rows(outcomes), outcomes, strict=True):
        start: list[object] = [row.number, row.verdict, row.headline]
        if isinstance(outcome, ImageError):
            cells = [*start, *[""] * (len(head) - len(start)), outcome.code, row.error]
        else:
            shares = {ranked.name: ranked.probability for ranked in outcome.conditions}
            summed = outcome.malignancy
            cells = [*start, *(f"{shares[name]:.6f}" for name in labels)]
            cells += [f"{summed.probability:.6f}", str(summed.fired).lower()] if summed else ["", ""]
            cells += [row.quality, outcome.checkpoint["id"], outcome.checkpoint["revision"], "", ""]
        writer.writerow([_harmless(cell) for cell in cells])
    return buffer.getvalue()


def json_text(outcomes: Sequence[Outcome]) -> str:
    """A list of predictions, without heat maps, and errors, as the API has them, in the pictures' order."""
    plain = (
        outcome if isinstance(outcome, ImageError) else dataclasses.replace(outcome, heatmap=None)
        for outcome in outcomes
    )
    return json.dumps([outcome.to_json() for outcome in plain], indent=2, allow_nan=False) + "\n"


def _harmless(cell: object) -> object:
    return (
        f"'{cell}"
        if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        else cell
    )
