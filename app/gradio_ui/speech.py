"""The language of the Gradio pages: each is built once per language, and this chooses which is served."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.gradio_ui.frame import PAGES, WAY
from app.pages import language


def route(path: str, code: str) -> str:
    """The path of a page in a language: ``learn`` in English, ``hi-learn`` in Hindi."""
    return path if code == language.ENGLISH else f"{code}-{path}" if path else code


_NEUTRAL = {f"/{path}": path for path, _ in PAGES}
"""The addresses to which links lead; in another language than English they redirect to the page in it."""
_SPOKEN = {f"/{route(path, code)}": code for path, _ in PAGES for code in language.NAMES}


class Speech:
    """ASGI middleware: leads a visitor to a page in the language that was chosen, or the browser prefers.

    A choice comes in the query of an address, ``?lang=hi``, and is remembered in a cookie.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        asked = request.query_params.get(language.QUERY)
        code = language.choose(
            asked=asked,
            remembered=request.cookies.get(language.COOKIE),
            accepted=request.headers.get("accept-language"),
        )
        path = str(scope["path"]).removeprefix(scope.get("root_path", "")) or "/"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and path in _NEUTRAL:
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Accept-Language")
                answer.add_vary_header("Cookie")
                if asked in language.NAMES:
                    answer.append("Set-Cookie", _cookie(asked, scope))
            await send(message)

        if path in _NEUTRAL and code != language.ENGLISH and scope["method"] in ("GET", "HEAD"):
            # Relative, so that it holds behind a proxy's prefix.
            rest = request.url.remove_query_params(language.QUERY).query
            there = route(_NEUTRAL[path], code) + (f"?{rest}" if rest else "")
            await RedirectResponse(there)(scope, receive, sending)
            return
        # The addresses of pages say their language; the report follows the visitor, the API is English.
        with language.use(code if path == f"/{WAY.report}" else _SPOKEN.get(path, language.ENGLISH)):
            await self.app(scope, receive, sending)


def _cookie(code: str, scope: Scope) -> str:
    parts = [f"{language.COOKIE}={code}", f"Path={scope.get('root_path') or '/'}"]
    parts += [f"Max-Age={language.COOKIE_SECONDS}", "HttpOnly", "SameSite=Lax"]
    return "; ".join([*parts, *(["Secure"] if scope["scheme"] == "https" else [])])
