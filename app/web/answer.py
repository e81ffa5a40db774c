"""What stands on the page after a picture was sent: an answer or an error."""

from __future__ import annotations

from flask import Response, make_response, render_template, request
from markupsafe import Markup

from app.pages import render
from model.errors import SkinDiseaseNetError

PAGES = {"pages.answer": "index.html", "pages.batch_answer": "batch.html"}
"""Endpoint that takes pictures → the page that its answers stand on."""

_AGAIN = (401, 429, 500, 502, 503, 504)
"""Statuses after which the same picture may well be answered."""


def render_problem(error: SkinDiseaseNetError, status: int) -> Response:
    """The page with an error on it, and a button to try again where that may help."""
    response = render_part(render.problem(error, retry=status in _AGAIN), error=error)
    response.status_code = status
    return response


def render_part(part: Markup, **values: object) -> Response:
    """A part alone where the page's script asks for it (``?fragment=1``), otherwise on its page."""
    fragment = request.args.get("fragment") == "1"
    page = PAGES[str(request.endpoint)]
    response = make_response(str(part) if fragment else render_template(page, part=part, **values))
    if fragment:
        # Tells the script that this is an answer and not, say, a proxy's page about a server that is down.
        response.headers["X-Fragment"] = "answer"
    return response
