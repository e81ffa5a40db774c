"""What stands on the page after a picture was sent: an answer or an error, from one template each."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from flask import Response, make_response, render_template, request

from app.batch import Outcome, csv_text, json_text, rows
from app.heatmap import preview
from app.pages.wording import advice
from app.prediction import Prediction
from model.errors import ImageError, SkinDiseaseNetError

TOP = 5
"""How many conditions are listed at once; the rest unfolds."""

THUMBNAIL = 192
"""The longer side of a picture in a table, pixels: twice what the style sheet shows it at."""

PAGES = {"pages.answer": "index.html", "pages.batch_answer": "batch.html"}
"""Endpoint that takes pictures → the page that its answers stand on."""

_AGAIN = (401, 429, 500, 502, 503, 504)
"""Statuses after which the same picture may well be answered."""


def render_answer(prediction: Prediction, *, picture: str) -> Response:
    """The page with an answer on it.

    Args:
        prediction: with its heat map.
        picture: what it was made of, as a data URI.
    """
    return render_part(
        "_answer.html", prediction=prediction, picture=picture, advice=advice(prediction), top=TOP
    )


def render_table(
    outcomes: Sequence[Outcome], pictures: Sequence[bytes], *, labels: Sequence[str]
) -> Response:
    """The page with the answers to several pictures on it, and links that save them.

    Args:
        outcomes: one for each picture.
        pictures: the encoded pictures.
        labels: of the checkpoint.
    """
    thumbnails = [
        None if isinstance(outcome, ImageError) else preview(picture, side=THUMBNAIL)
        for outcome, picture in zip(outcomes, pictures, strict=True)
    ]
    return render_part(
        "_table.html",
        rows=list(zip(rows(outcomes), thumbnails, strict=True)),
        downloads={
            "skindiseasenet.csv": _data_uri("text/csv", csv_text(outcomes, labels)),
            "skindiseasenet.json": _data_uri("application/json", json_text(outcomes)),
        },
    )


def render_problem(error: SkinDiseaseNetError, status: int) -> Response:
    """The page with an error on it, and a button to try again where that may help."""
    response = render_part("_problem.html", error=error, retry=status in _AGAIN)
    response.status_code = status
    return response


def render_part(part: str, **values: object) -> Response:
    """A part alone where the page's script asks for it (``?fragment=1``), otherwise on its page."""
    fragment = request.args.get("fragment") == "1"
    template = part if fragment else PAGES[str(request.endpoint)]
    response = make_response(render_template(template, part=part, **values))
    if fragment:
        # Tells the script that this is an answer and not, say, a proxy's page about a server that is down.
        response.headers["X-Fragment"] = "answer"
    return response


def _data_uri(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode('ascii')}"
