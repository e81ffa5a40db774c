"""Who may use the Gradio app, and how much may be sent to it: checked before Gradio sees a request.

Gradio's ``auth`` protects the routes that it knows to be private. Not among them: the MCP server, the routes
that stand in for its uploads, and a session whose key was revoked. So with ``ACCESS=keys`` everything under
``/gradio_api`` needs a session, or the key itself as a bearer token, but for what a sign-in page needs.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import Key, KeyStore
from model.errors import ConfigError
from model.image import MAX_BYTES

MAX_BODY = MAX_BYTES * 4 // 3 + 64 * 1024
"""Bytes of a request other than an upload: a picture as a base64 data URI and a little around it."""

_API = "/gradio_api/"
_UPLOAD = "/gradio_api/upload"
# What the page asks for before anyone has signed in; nothing of a visitor is in their answers.
_PUBLIC = frozenset(
    _API + name for name in ("login_check", "user", "token", "app_id", "startup-events", "theme.css")
)


class Sessions:
    """Which key stands behind each session, so that a session ends when its key is revoked.

    Args:
        store: the keys that are valid now.
    """

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._signed_in: dict[str, Key] = {}
        self._keys: dict[str, Key] = {}
        self._bearers: dict[Key, str] = {}

    def sign_in(self, name: str, secret: str) -> bool:
        """Whether this is the name of a key and the key itself; Gradio's ``auth``."""
        key = self._store.find(secret)
        if key is None or not self._store.check(name, secret):
            return False
        with self._lock:
            self._signed_in[name] = key
        return True

    def holds(self, token: str, name: str) -> bool:
        """Whether the key is still valid with which ``name`` signed in when this token was first seen."""
        with self._lock:
            key = self._keys.get(token) or self._signed_in.get(name)
            if key is not None:
                self._keys[token] = key
        return key is not None and self._store.holds(key)

    def bearer(self, secret: str) -> tuple[str, str] | None:
        """A token, always the same for a key, and the key's name; None where there is no such key."""
        key = self._store.find(secret)
        if key is None:
            return None
        with self._lock:
            return self._bearers.setdefault(key, secrets.token_urlsafe(32)), key.name


class Guard:
    """ASGI middleware: bounds every body, and lets only people with a key in where keys are asked for.

    Args:
        app: what comes after it.
        sessions: None where anyone may come in.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions | None) -> None:
        self.app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(scope) if scope["type"] == "http" else None
        await (answer or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        request = Request(scope)
        path = request.url.path.rstrip("/")
        size = request.headers.get("content-length", "0")
        if path != _UPLOAD and "transfer-encoding" in request.headers:
            return _refuse(
                411,
                "length_required",
                "The request does not say how long it is.",
                "Send it with the header Content-Length.",
            )
        if path != _UPLOAD and int(size if size.isdecimal() else 0) > MAX_BODY:
            limit = f"At most {MAX_BODY} are accepted; send a smaller copy of the picture."
            return _refuse(413, "request_too_large", f"The request has {size} bytes.", limit)
        if self._sessions is None:
            return None
        try:
            known = self._identify(scope, request, self._sessions)
        except ConfigError as error:
            return _refuse(503, error.code, error.message, "Ask whoever runs this service.")
        if known or path in _PUBLIC or not (path + "/").startswith(_API):
            return None
        return _refuse(
            401,
            "not_signed_in",
            "A key is needed.",
            "Sign in on the page, or send the key in the header `Authorization: Bearer KEY`.",
        )

    def _identify(self, scope: Scope, request: Request, sessions: Sessions) -> bool:
        gradio: Any = scope["app"]
        cookies = [f"access-token-{gradio.cookie_id}", f"access-token-unsecure-{gradio.cookie_id}"]
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if (bearer := sessions.bearer(secret.strip())) is not None:
                token, name = bearer
                gradio.tokens[token] = name
                _set_cookies(scope, {**request.cookies, cookies[0]: token})
                request.state.key = name
                return True
        else:
            for token in filter(None, map(request.cookies.get, cookies)):
                if token in gradio.tokens and sessions.holds(token, gradio.tokens[token]):
                    request.state.key = gradio.tokens[token]
                    return True
        # Gradio itself would still know the session of a revoked key.
        _set_cookies(scope, {name: text for name, text in request.cookies.items() if name not in cookies})
        return False


def key_name(request: Any) -> str | None:
    """The name of the key with which a request came, for the audit trail; None where none was asked for.

    Args:
        request: as Gradio hands it to a function, or Starlette's, which it hands on from its MCP server.
    """
    return getattr(request.state, "key", None)


def _set_cookies(scope: Scope, cookies: dict[str, str]) -> None:
    others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
    line = "; ".join(f"{name}={value}" for name, value in cookies.items())
    scope["headers"] = [*others, (b"cookie", line.encode("latin-1"))] if line else others


def _refuse(status: int, code: str, message: str, hint: str) -> JSONResponse:
    return JSONResponse(
        {"error": {"code": code, "message": message, "hint": hint}},
        status_code=status,
        headers={"WWW-Authenticate": "Bearer"} if status == 401 else None,
    )
