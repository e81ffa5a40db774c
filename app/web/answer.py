"""What stands on the page after a picture was sent: an answer or an error, from one template."""

from __future__ import annotations

from flask import Response, make_response, render_template, request

from app.predictor import Prediction
from app.wording import advice
from model.errors import SkinDiseaseNetError

TOP = 5
"""How many conditions are listed at once; the rest unfolds."""


def render_answer(prediction: Prediction, *, picture: str) -> Response:
    """The page with an answer on it.

    Args:
        prediction: with its heat map.
        picture: what it was made of, as a data URI.
    """
    return _render(prediction=prediction, picture=picture, advice=advice(prediction), top=TOP)


def render_problem(error: SkinDiseaseNetError) -> Response:
    """The page with an error on it; the status is the caller's to set."""
    return _render(error=error)


def _render(**values: object) -> Response:
    """The answer alone where the page's script asks for it (``?fragment=1``), otherwise on the whole page."""
    fragment = request.args.get("fragment") == "1"
    response = make_response(render_template("_answer.html" if fragment else "index.html", **values))
    if fragment:
        # Tells the script that this is an answer and not, say, a proxy's page about a server that is down.
        response.headers["X-Fragment"] = "answer"
    return response
