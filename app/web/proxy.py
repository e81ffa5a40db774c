"""What proxies in front tell about a visitor, as far as they are trusted."""

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
    """Believes the last ``count`` proxies: the visitor's address, HTTPS or not, the path they show it under.

    Args:
        app: its ``wsgi_app`` is wrapped.
        count: 0 or more; with 0 no header is believed.
    """
    checked = _CheckedPrefix(app.wsgi_app)
    # Each proxy adds to X-Forwarded-For; the others are set by the first one that people meet.
    app.wsgi_app = ProxyFix(checked, x_for=count, x_proto=min(count, 1), x_prefix=min(count, 1))  # type: ignore[method-assign]


class _CheckedPrefix:
    """A prefix goes into every link: one that is no plain path (``//elsewhere``, ``/..``) is left out."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        prefix = environ.get("SCRIPT_NAME", "").rstrip("/")
        plain = _PREFIX.fullmatch(prefix) and not {".", ".."} & set(prefix.split("/"))
        environ["SCRIPT_NAME"] = prefix if plain else ""
        return self._app(environ, start_response)
