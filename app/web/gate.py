"""Who gets in: bearer keys for programs, a sign-in form for people, nothing that another site's page sent."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from werkzeug.wrappers import Response as AnyResponse

from app.access import Key, KeyStore
from app.settings import Settings
from app.web.errors import RequestError, wants_json

SESSION_SECONDS = 12 * 3600
# Health checks come from machines without keys; the sign-in page needs its style.
_OPEN_TO_ALL = {"static", "api.health", "api.ready", "access.sign_in", "access.enter"}
_SAFE = {"GET", "HEAD", "OPTIONS"}


class _SecureOverTls(SecureCookieSessionInterface):
    """The session cookie never travels in clear where the visitor came over TLS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def add_gate(app: Flask, settings: Settings) -> Blueprint | None:
    """Puts the checks before every request.

    Returns:
        The sign-in pages, to be registered; None where access is open.

    Raises:
        ConfigError: keys are asked for, and the file or the secret is missing.
    """
    app.before_request(_refuse_cross_site)
    app.context_processor(lambda: {"signed_in": "key" in session if settings.access == "keys" else False})
    if settings.keys_file is None:
        return None
    app.secret_key = settings.require_secret()
    app.session_interface = _SecureOverTls()
    app.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=SESSION_SECONDS,
    )
    store = KeyStore(settings.keys_file)

    def ask_for_a_key() -> AnyResponse | None:
        if (key := _bearer(store) or _signed_in(store)) is not None:
            g.key = key.name
        elif request.endpoint not in _OPEN_TO_ALL:
            return _turn_away()
        return None

    app.before_request(ask_for_a_key)
    return _build_pages(store)


def _refuse_cross_site() -> None:
    """A browser says where a post comes from; who sends a bearer key does so on purpose."""
    if request.method in _SAFE or (request.authorization and request.authorization.type == "bearer"):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:  # sent over HTTPS and to this machine only; the origin is sent everywhere
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        raise RequestError(
            "This request was sent by a page of another site.",
            hint="Use this server's own pages, or send it from a program.",
            code="cross_site",
            status=403,
        )


def _bearer(store: KeyStore) -> Key | None:
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        return None
    return store.find(authorization.token)


def _signed_in(store: KeyStore) -> Key | None:
    stored = session.get("key")
    if stored is None or request.authorization is not None:
        return None
    key = Key(**stored)
    if store.holds(key):
        return key
    session.clear()
    return None


def _turn_away() -> AnyResponse:
    if request.method == "GET" and not wants_json():
        target = request.full_path.rstrip("?")
        return redirect(url_for("access.sign_in", next=None if target == "/" else target), 303)
    got = "a wrong or revoked one came" if request.authorization is not None else "none came"
    raise RequestError(
        f"A key is needed; {got}.",
        hint="Sign in on the start page; a program sends `Authorization: Bearer KEY`.",
        code="unauthorized",
        status=401,
        headers={"WWW-Authenticate": 'Bearer realm="SkinDiseaseNet"'},
    )


def _build_pages(store: KeyStore) -> Blueprint:
    pages = Blueprint("access", __name__)

    @pages.get("/sign-in")
    def sign_in() -> AnyResponse:
        return redirect(_next(), 303) if "key" in g else _form()

    @pages.post("/sign-in")
    def enter() -> AnyResponse:
        key = store.find(request.form.get("key", "").strip())
        if key is None:
            return _form(wrong=True)
        session.clear()
        session["key"] = dataclasses.asdict(key)
        g.key = key.name
        return redirect(_next(), 303)

    @pages.post("/sign-out")
    def leave() -> AnyResponse:
        session.clear()
        return redirect(url_for("access.sign_in"), 303)

    return pages


def _form(*, wrong: bool = False) -> Response:
    page = make_response(render_template("sign_in.html", wrong=wrong, next=_next()))
    page.status_code = 401 if wrong else 200
    return page


def _next() -> str:
    """Where to go after signing in: a page of this server, whatever the address says."""
    target = request.values.get("next", "/")
    local = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if local else current_app.url_for("pages.index")
