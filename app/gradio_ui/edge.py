"""ASGI middleware in front of Gradio: limits on size and time, allowed routes, and trusted proxies."""

from __future__ import annotations

from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.pages.batch import MAX_BATCH_BYTES
from model.image import MAX_BYTES

MAX_BODY = MAX_BYTES * 4 // 3 + 64 * 1024
"""Most bytes of a request other than an upload: a picture as a base64 data URI, with some margin."""
MAX_UPLOAD = MAX_BATCH_BYTES + 64 * 1024
"""Most bytes of an upload: its pictures and the multipart boundaries."""
MAX_IN_FLIGHT = 128_000_000
"""Most bytes of all bodies together that are being received or handled."""

_API = "/gradio_api/"
# The routes that the pages, gradio_client, plain HTTP and MCP use. Gradio has more: it fetches addresses,
# saves page content, takes recordings, watches code.
_OFFERED = {
    "api",
    "app_id",
    "call",
    "cancel",
    "heartbeat",
    "info",
    "login_check",
    "mcp",
    "openapi.json",
    "queue",
}
_OFFERED |= {"reset", "run", "startup-events", "theme.css", "upload", "upload_progress", "user"}
_STATIC = ("/assets/", "/scripts/", "/static/", "/svelte/", "/favicon.ico", "/theme.css", _API + "theme.css")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_FRAMED_BY_NOBODY = {"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY"}
_FRAMED_BY_THE_HUB = {
    "Content-Security-Policy": "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co"
}


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, hint: str, **headers: str) -> None:
        error = {"code": code, "message": message, "hint": hint}
        self.answer = JSONResponse(
            {"error": error}, status, {name.replace("_", "-"): text for name, text in headers.items()}
        )


class Edge:
    """Receives each body completely, in time and within a memory budget, before passing it to Gradio.

    Args:
        app: the wrapped app.
        seconds: time limit for receiving a body.
        proxies: number of trusted proxies in front; with 0, no proxy header is trusted.
        space: whether this is a Hugging Face Space, whose proxy Gradio knows and whose pages may frame the
            app.
    """

    def __init__(self, app: ASGIApp, *, seconds: float, proxies: int, space: bool) -> None:
        self.app = app
        self._seconds, self._proxies, self._space = seconds, proxies, space
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            if not self._space:
                _forget_forwarded(scope, trusted=self._proxies > 0)
            await self._answer(scope, receive, self._with_headers(scope, send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, size = bytearray(), 0
        try:
            _check_offered(scope)
            _check_site(scope)
            if await self._receive(scope, receive, body):
                size, replaying = len(body), _replaying(bytes(body), receive)
                body.clear()  # Gradio has its own copy
                await self.app(scope, replaying, send)
        except _RefusedError as refused:
            await refused.answer(scope, receive, send)
        finally:
            self._in_flight -= size + len(body)

    async def _receive(self, scope: Scope, receive: Receive, body: bytearray) -> bool:
        """Fill ``body``, counting its bytes in flight; return False if the client disconnected."""
        declared = Headers(scope=scope).get("content-length", "")
        self._check_size(int(declared) if declared.isdecimal() else 0, scope)
        with anyio.move_on_after(self._seconds):
            while (message := await receive())["type"] == "http.request":
                piece = message.get("body", b"")
                self._check_size(len(body) + len(piece), scope, counted=len(body))
                body += piece
                self._in_flight += len(piece)
                if not message.get("more_body", False):
                    return True
            return False
        error = f"The request did not arrive within {self._seconds:g} seconds."
        hint = "Use a faster connection, or send a smaller copy of the picture."
        raise _RefusedError(408, "too_slow", error, hint, Connection="close")

    def _check_size(self, size: int, scope: Scope, *, counted: int = 0) -> None:
        limit = MAX_UPLOAD if _path(scope) == _API + "upload" else MAX_BODY
        if size > limit:
            hint = f"At most {limit} are accepted; send a smaller copy of the picture, or fewer."
            raise _RefusedError(413, "request_too_large", f"The request has more than {limit} bytes.", hint)
        if self._in_flight + size - counted > MAX_IN_FLIGHT:
            error = "The server is receiving as much as it can handle at once."
            raise _RefusedError(503, "overloaded", error, "Try again in a moment.", Retry_After="3")

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS | (_FRAMED_BY_THE_HUB if self._space else _FRAMED_BY_NOBODY))
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                if not _path(scope).startswith(_STATIC):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        return sending


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _forget_forwarded(scope: Scope, *, trusted: bool) -> None:
    """Remove proxy headers; the scheme from the nearest proxy is kept if it is trusted."""
    scheme = Headers(scope=scope).get("x-forwarded-proto", "").rpartition(",")[2].strip()
    scope["headers"] = [
        (name, value)
        for name, value in scope["headers"]
        if not name.startswith(b"x-forwarded-") and name not in (b"forwarded", b"x-gradio-server")
    ]
    if trusted and scheme in ("http", "https"):
        scope["scheme"] = scheme


def _check_offered(scope: Scope) -> None:
    name = _path(scope).removeprefix(_API).partition("/")[0]
    if _path(scope).startswith(_API) and name not in _OFFERED and not name.startswith("file="):
        raise _RefusedError(404, "not_found", "There is nothing here.", f"See {_API}info for what there is.")


def _check_site(scope: Scope) -> None:
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:  # browsers send Sec-Fetch-Site only over HTTPS or to localhost, but Origin always
        hosts = (headers.get("host"), headers.get("x-forwarded-host"))
        foreign = origin is not None and urlsplit(origin).netloc not in hosts
    if foreign and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
        error = "This request was sent by a page of another site."
        hint = "Use this server's own pages, or send it from a program."
        raise _RefusedError(403, "cross_site", error, hint)


def _replaying(body: bytes, receive: Receive) -> Receive:
    waiting = [body]
    del body

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed
