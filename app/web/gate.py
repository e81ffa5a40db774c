"""Access control: bearer keys for programs, sessions for people, no requests from other sites' pages."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from flask import Flask, Request, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.wrappers import Response as AnyResponse

from app.pages.language import N_
from app.service.keys import Key, KeyStore
from app.service.sessions import SESSION_SECONDS, Sessions
from app.settings import Settings
from app.web.errors import RequestError, wants_json
from model.errors import ConfigError

logger = logging.getLogger(__name__)

# Health checks have no keys; the sign-in page needs its style sheet.
_OPEN_TO_ALL = {"static", "api.health", "api.ready", "access.sign_in", "access.enter"}
_SAFE = {"GET", "HEAD", "OPTIONS"}


class _Cookie(SecureCookieSessionInterface):
    """The session cookie: secure if the request came over HTTPS, and limited to this service's path."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def get_cookie_path(self, app: Flask) -> str:
        return request.script_root or "/"

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        try:
            return super().open_session(app, request)
        # validly signed by another program with the same secret: its content can be anything
        except Exception:
            logger.warning("A session cookie with unexpected content was ignored.", exc_info=True)
            return self.session_class()


class Gate:
    """Identifies the key of a request, as ``g.key``, and rejects requests without one.

    Args:
        app: gets the session cookie.
        settings: with the keys file.

    Raises:
        ConfigError: the keys file, the secret or the sessions folder is missing or cannot be used.
    """

    def __init__(self, app: Flask, settings: Settings) -> None:
        assert settings.keys_file is not None
        app.secret_key = settings.require_secret()
        app.session_interface = _Cookie()
        app.config.update(
            SESSION_COOKIE_HTTPONLY=True,
            SESSION_COOKIE_SAMESITE="Lax",
            PERMANENT_SESSION_LIFETIME=SESSION_SECONDS,
        )
        app.context_processor(lambda: {"signed_in": "session" in g})
        self.keys = KeyStore(settings.keys_file)
        self.sessions = Sessions(settings.sessions_folder)

    def recognise(self) -> None:
        """Store the name of this request's key, if it is valid; rejects nothing yet."""
        try:
            if (key := self._bearer() or self._signed_in()) is not None:
                g.key = key.name
        except ConfigError as error:
            # if the key cannot be looked up, the request counts as one without a key for now
            g.unrecognised = error

    def require_key(self) -> AnyResponse | None:
        """Reject a request without a valid key, or redirect a browser to the sign-in page.

        Raises:
            RequestError: 401, no valid key was sent.
            ConfigError: the keys or the sessions cannot be read.
        """
        if "key" in g or request.endpoint in _OPEN_TO_ALL:
            return None
        if "unrecognised" in g:
            raise g.unrecognised
        if request.method == "GET" and not wants_json():
            return redirect(
                url_for("access.sign_in", next=None if request.path == "/" else request.path), 303
            )
        wrong = request.authorization is not None
        raise RequestError(
            N_("A key is needed; an invalid or revoked one was sent.")
            if wrong
            else N_("A key is needed; none was sent."),
            hint="Sign in on the start page; programs send `Authorization: Bearer KEY`.",
            code="unauthorized",
            status=401,
            headers={"WWW-Authenticate": 'Bearer realm="SkinDiseaseNet"'},
        )

    def sign_in(self, secret: str) -> bool:
        """Start a session for this key, in place of the current one.

        Returns:
            Whether the key is valid.
        """
        if (key := self.keys.find(secret)) is None:
            return False
        self.sign_out()
        session["id"] = self.sessions.start(key)
        g.key = key.name
        return True

    def sign_out(self) -> None:
        """End this request's session: copies of its cookie become invalid."""
        self.sessions.end(session.get("id"))
        session.clear()

    def _bearer(self) -> Key | None:
        authorization = request.authorization
        if authorization is None or authorization.type != "bearer" or not authorization.token:
            return None
        return self.keys.find(authorization.token)

    def _signed_in(self) -> Key | None:
        if not session or request.authorization is not None:
            return None
        digest = self.sessions.digest(session.get("id"))
        key = None if digest is None else self.keys.with_digest(digest)
        if key is None:
            session.clear()
        else:
            g.session = session["id"]
        return key


def refuse_cross_site() -> None:
    """Reject posts from other sites: browsers send the origin; a bearer key is always sent on purpose."""
    if request.method in _SAFE or (request.authorization and request.authorization.type == "bearer"):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:  # browsers send Sec-Fetch-Site only over HTTPS or to localhost, but Origin always
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        raise RequestError(
            "This request was sent by a page of another site.",
            hint="Use this server's own pages, or send it from a program.",
            code="cross_site",
            status=403,
        )
