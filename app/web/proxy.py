"""Handling of the headers that trusted proxies set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def trust_proxies(app: Flask, count: int) -> None:
    """Trust the last ``count`` proxies for the visitor's address, the scheme and the path prefix.

    Args:
        app: its ``wsgi_app`` is wrapped.
        count: 0 or more; with 0, their headers are ignored.
    """
    checked = _CheckedPrefix(app.wsgi_app)
    # Each proxy appends to X-Forwarded-For; the other headers are set by the outermost one.
    app.wsgi_app = ProxyFix(checked, x_for=count, x_proto=min(count, 1), x_prefix=min(count, 1))  # type: ignore[method-assign]


class _CheckedPrefix:
    """Ignores a prefix that is not a plain path (``//elsewhere``, ``/..``), since it goes into every link."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        prefix = environ.get("SCRIPT_NAME", "").rstrip("/")
        plain = _PREFIX.fullmatch(prefix) and not {".", ".."} & set(prefix.split("/"))
        environ["SCRIPT_NAME"] = prefix if plain else ""
        return self._app(environ, start_response)
