"""Several pictures at once: a table, and CSV and JSON to download. Pictures have numbers, not names."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence

from app.pages import language, wording
from app.pages.language import gettext as _
from app.prediction import Prediction, RankedCondition
from model.errors import ConfigError, ImageError

MAX_BATCH = 12
"""The largest number of pictures in one batch."""

MAX_BATCH_BYTES = 60_000_000
"""The largest size of a batch, bytes."""

Outcome = Prediction | ImageError
"""The result for one picture."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One picture's row in the table; texts that do not apply are empty.

    Attributes:
        number: of the picture, from 1, in upload order.
        verdict: as in the prediction, or ``error``.
        headline: the verdict in a few words.
        top: the three most probable labels; empty if the picture was rejected or could not be read.
        malignancy: the advice to see a doctor, if labels that may be cancer are probable enough.
        caution: that such a label cannot be ruled out, if they are not, but the prediction set holds one.
        modality: which kind of picture it is and what to do, if the model was trained on another kind.
        quality: what is wrong with the photo, a few words.
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
    """Predict each picture; one that cannot be read does not affect the others.

    Args:
        predict: one picture's bytes to its prediction.
        pictures: at most ``MAX_BATCH``.

    Raises:
        ConfigError: with the code ``too_many_images``; no picture was predicted.
    """
    if len(pictures) > MAX_BATCH:
        raise ConfigError(
            "{got} photos were sent; at most {most} are accepted at once.",
            hint="Send them in smaller groups.",
            code="too_many_images",
            values={"got": len(pictures), "most": MAX_BATCH},
        )
    outcomes: list[Outcome] = []
    for picture in pictures:
        try:
            outcomes.append(predict(picture))
        except ImageError as error:
            outcomes.append(error)
    return outcomes


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Make the table, one row per picture, in order."""
    return [_row(number, outcome) for number, outcome in enumerate(outcomes, start=1)]


def _row(number: int, outcome: Outcome) -> Row:
    if isinstance(outcome, ImageError):
        words = " ".join(wording.error_words(outcome))
        return Row(number, "error", _("We can't open this picture"), (), "", "", "", "", words)
    rejected = outcome.verdict == "rejected"
    return Row(
        number=number,
        verdict=outcome.verdict,
        headline=wording.headline(outcome),
        top=() if rejected else outcome.conditions[:3],
        malignancy=(words := wording.malignancy_words(outcome)),
        caution="" if words else wording.advice(outcome).caution or "",
        modality=(outcome.modality and outcome.modality.message) or "",
        quality=", ".join(_(wording.QUALITY_WORDS[warning.name]) for warning in outcome.quality),
        error="",
    )


def csv_text(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    """Write CSV for a spreadsheet, one line per picture and one column per label; line ends follow RFC 4180.
    It is English in every language, since programs read it.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP advises.

    Args:
        outcomes: in the order of the pictures.
        labels: of every checkpoint, in the order of their columns ``probability_LABEL``.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    head = ["number", "verdict", "headline", *(f"probability_{name}" for name in labels)]
    head += ["malignancy_probability", "malignancy_fired", "quality", "checkpoint", "revision"]
    writer.writerow([*head, "error_code", "error"])
    with language.use(language.ENGLISH):
        table = rows(outcomes)
    for row, outcome in zip(table, outcomes, strict=True):
        start: list[object] = [row.number, row.verdict, row.headline]
        if isinstance(outcome, ImageError):
            cells = [*start, *[""] * (len(head) - len(start)), outcome.code, row.error]
        else:
            shares = {ranked.name: ranked.probability for ranked in outcome.conditions}
            summed = outcome.malignancy
            cells = [*start, *(f"{shares[name]:.6f}" if name in shares else "" for name in labels)]
            cells += [f"{summed.probability:.6f}", str(summed.fired).lower()] if summed else ["", ""]
            cells += [row.quality, outcome.checkpoint["id"], outcome.checkpoint["revision"], "", ""]
        writer.writerow([_harmless(cell) for cell in cells])
    return buffer.getvalue()


def json_text(outcomes: Sequence[Outcome]) -> str:
    """Write a JSON list of predictions (without heat maps) and errors as in the API, in order."""
    plain = (
        outcome if isinstance(outcome, ImageError) else dataclasses.replace(outcome, heatmap=None)
        for outcome in outcomes
    )
    return json.dumps([outcome.to_json() for outcome in plain], indent=2, allow_nan=False) + "\n"


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n")  # so that scripts/answer.js finds the lines
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
