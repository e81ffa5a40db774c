"""The pages to sign in with a key, and to sign out."""

from __future__ import annotations

from collections.abc import Callable

from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import RouteCallable
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.web.gate import Gate


def build_sign_in(gate: Gate, limited: Callable[[RouteCallable], RouteCallable]) -> Blueprint:
    """Build the routes ``/sign-in`` and ``/sign-out``.

    Args:
        gate: starts and ends sessions.
        limited: decorator that limits the rate of the view that takes a key.
    """
    pages = Blueprint("access", __name__)

    @pages.get("/sign-in")
    def sign_in() -> AnyResponse:
        return redirect(_next(), 303) if "key" in g else _form()

    @pages.post("/sign-in")
    @limited
    def enter() -> AnyResponse:
        if not gate.sign_in(request.form.get("key", "").strip()):
            return _form(wrong=True)
        return redirect(_next(), 303)

    @pages.post("/sign-out")
    def leave() -> AnyResponse:
        gate.sign_out()
        return redirect(url_for("access.sign_in"), 303)

    return pages


def _form(*, wrong: bool = False) -> Response:
    page = make_response(render_template("sign_in.html", wrong=wrong, next=request.values.get("next", "/")))
    page.status_code = 401 if wrong else 200
    return page


def _next() -> str:
    """Where to go after signing in: always one of this service's own pages."""
    path = request.values.get("next", "/").partition("?")[0]
    try:
        endpoint, values = current_app.url_map.bind("localhost").match(path, method="GET")
    except HTTPException:  # there is no such page
        endpoint, values = "pages.index", {}
    return url_for(endpoint if endpoint.startswith(("pages.", "review.")) else "pages.index", **values)
