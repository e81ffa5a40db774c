"""Several pictures at once, as the HTML table that the Gradio page shows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from app.batch import Outcome, Row, csv_text, json_text, rows
from app.gradio_ui.pages import how_soon_html
from app.heatmap import preview
from app.pages import wording
from model.errors import ImageError

THUMBNAIL = 192
"""The longer side of a picture in the table, pixels: twice what the style sheet shows it at."""


def table_html(outcomes: Sequence[Outcome], pictures: Sequence[bytes], *, labels: Sequence[str]) -> str:
    """One row a picture, and links that save the table; what they save travels in the page.

    Args:
        outcomes: one for each picture.
        pictures: the encoded pictures.
        labels: of the checkpoint.
    """
    lines = "".join(
        _line(row, None if isinstance(outcome, ImageError) else preview(picture, side=THUMBNAIL))
        for row, outcome, picture in zip(rows(outcomes), outcomes, pictures, strict=True)
    )
    count = f"{len(outcomes)} {'picture' if len(outcomes) == 1 else 'pictures'}"
    saves = _save("CSV", "text/csv", csv_text(outcomes, labels))
    saves += _save("JSON", "application/json", json_text(outcomes))
    heads = "".join(
        f'<th role="columnheader" scope="col">{head}</th>' for head in ("Picture", "Answer", "Most probable")
    )
    # The roles keep it a table for screen readers where the style sheet stacks the cells on a phone.
    return (
        f'<section class="sdn-several"><h2 class="sdn-headline" tabindex="-1">{count}</h2>'
        f'<table role="table"><thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{lines}</tbody></table><p class="sdn-saves">{saves}</p></section>'
    )


def _line(row: Row, thumbnail: str | None) -> str:
    picture = f'<img src="{thumbnail}" alt="Picture {row.number}">' if thumbnail else ""
    answer = (
        (how_soon_html("soon", row.malignancy) if row.malignancy else "")
        + f"<p><strong>{escape(row.headline)}</strong></p>"
        + (f"<p>{escape(row.error)}</p>" if row.error else "")
        + (f'<p class="sdn-small">The photo is {escape(row.quality)}.</p>' if row.quality else "")
    )
    guesses = "".join(
        f'<li>{escape(ranked.title)} <span class="sdn-share">{escape(wording.percent(ranked.probability))}'
        "</span></li>"
        for ranked in row.top
    )
    guessed = f"<ol>{guesses}</ol>" if guesses else '<span class="sdn-small">No guess to rely on</span>'
    return (
        f'<tr role="row" data-verdict="{row.verdict}"><td role="cell" class="sdn-thumb">{picture}'
        f'<span class="sdn-small">{row.number}</span></td><td role="cell">{answer}</td>'
        f'<td role="cell">{guessed}</td></tr>'
    )


def _save(name: str, kind: str, text: str) -> str:
    data = base64.b64encode(text.encode()).decode("ascii")
    return (
        f'<a class="sdn-button" download="skindiseasenet.{name.lower()}" '
        f'href="data:{kind};charset=utf-8;base64,{data}">Save as {name}</a> '
    )
