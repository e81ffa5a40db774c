"""Render the response to a picture that was sent from a page: a result or an error."""

from __future__ import annotations

from flask import Response, make_response, render_template, request
from markupsafe import Markup

from app.pages import render
from model.errors import SkinDiseaseNetError

PAGES = {"pages.answer": "index.html", "pages.batch_answer": "batch.html"}
"""Endpoint that takes pictures → the page that shows its results."""

_AGAIN = (401, 429, 500, 502, 503, 504)
"""Statuses after which trying the same picture again may succeed."""


def render_problem(error: SkinDiseaseNetError, status: int) -> Response:
    """Render a page with an error, and a button to try again if that may help."""
    response = render_part(render.problem(error, retry=status in _AGAIN), error=error)
    response.status_code = status
    return response


def render_part(part: Markup, **values: object) -> Response:
    """Render a part alone if the page's script asks for it (``?fragment=1``), otherwise within its page."""
    fragment = request.args.get("fragment") == "1"
    page = PAGES[str(request.endpoint)]
    response = make_response(str(part) if fragment else render_template(page, part=part, **values))
    if fragment:
        # Tells the script that this is a response of the app and not, say, a proxy's error page.
        response.headers["X-Fragment"] = "answer"
    return response
