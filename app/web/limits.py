"""How often one key or address may send something."""

from __future__ import annotations

import hashlib
import secrets
from typing import cast

from flask import Flask, g, request
from flask.typing import RouteCallable
from flask_limiter import Limiter
from limits.errors import ConfigurationError

from app.settings import Settings
from model.errors import ConfigError

SIGN_IN_LIMIT = "20/minute"
"""By address; nobody guesses a key, but nobody need be let try without end either."""


def add_limits(app: Flask, settings: Settings) -> None:
    """Counts every post; the answer over the limit is 429 with ``Retry-After``.

    Raises:
        ConfigError: the storage cannot be used.
    """
    salt = (settings.secret_key or secrets.token_hex(32)).encode()

    def address() -> str:
        # In the memory or in Redis, no address stands in clear.
        return hashlib.blake2b(
            (request.remote_addr or "").encode(), key=salt[:64], digest_size=16
        ).hexdigest()

    def who() -> str:
        return f"key:{g.key}" if "key" in g else address()

    shared = settings.rate_limit_storage != "memory://"
    try:
        limiter = Limiter(
            who,
            app=app,
            application_limits=[settings.rate_limit] if settings.rate_limit else [],
            application_limits_exempt_when=lambda: request.method in ("GET", "HEAD", "OPTIONS"),
            storage_uri=settings.rate_limit_storage,
            storage_options={"socket_timeout": 1, "socket_connect_timeout": 1} if shared else {},
            strategy="moving-window",
            headers_enabled=True,
            in_memory_fallback_enabled=shared,
        )
    except (ConfigurationError, ImportError) as error:
        raise ConfigError(
            f"RATE_LIMIT_STORAGE cannot be used ({error}).", hint="Install the Python package `redis`."
        ) from error
    if "access.enter" in app.view_functions:
        limited = limiter.limit(SIGN_IN_LIMIT, key_func=address)(app.view_functions["access.enter"])
        app.view_functions["access.enter"] = cast(RouteCallable, limited)
