"""The language of the Gradio pages: each is built once per language, and this chooses which is served."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.gradio_ui.frame import PAGES
from app.pages import language

_PATHS = {f"/{path}": path for path, _ in PAGES}


def route(path: str, code: str) -> str:
    """The path under which Gradio knows a page in a language; visitors see the page's own."""
    return path if code == language.ENGLISH else f"{code}-{path}" if path else code


class Speech:
    """ASGI middleware: serves a page in the language that was chosen, or that the browser prefers.

    A choice comes in the query of an address, ``?lang=hi``, and is remembered in a cookie.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, prefix = Headers(scope=scope), scope.get("root_path", "")
        asked = parse_qs(scope["query_string"].decode("latin-1")).get(language.QUERY, [""])[-1]
        code = language.choose(
            asked=asked, remembered=_remembered(headers), accepted=headers.get("accept-language")
        )
        path = scope["path"].removeprefix(prefix) or "/"
        if path not in _PATHS:
            with language.use(code if path == "/report" else language.ENGLISH):
                await self.app(scope, receive, send)
            return
        inner = f"{prefix}/{route(_PATHS[path], code)}"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Accept-Language")
                answer.add_vary_header("Cookie")
                if asked in language.NAMES:
                    answer.append("Set-Cookie", _cookie(asked, prefix, secure=scope["scheme"] == "https"))
            await send(message)

        with language.use(code):
            await self.app({**scope, "path": inner, "raw_path": inner.encode()}, receive, sending)


def _remembered(headers: Headers) -> str | None:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(language.COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie else None


def _cookie(code: str, prefix: str, *, secure: bool) -> str:
    parts = [f"{language.COOKIE}={code}", f"Path={prefix or '/'}", f"Max-Age={language.COOKIE_SECONDS}"]
    parts += ["HttpOnly", "SameSite=Lax", *(["Secure"] if secure else [])]
    return "; ".join(parts)
