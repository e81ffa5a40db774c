"""Rate limits per key or address."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Callable
from typing import cast

from flask import Flask, g, request
from flask.typing import RouteCallable
from flask_limiter import Limiter
from limits.errors import ConfigurationError

from app.settings import Settings
from model.errors import ConfigError

SIGN_IN_LIMIT = "20/minute"
"""Per address; keys cannot be guessed, but there is no reason to allow endless attempts."""


def add_limits(app: Flask, settings: Settings) -> Callable[[RouteCallable], RouteCallable]:
    """Count every post, even if it is rejected later; over the limit the response is 429 with
    ``Retry-After``.

    Returns:
        A decorator that puts ``SIGN_IN_LIMIT`` on a view.

    Raises:
        ConfigError: the storage cannot be used.
    """
    salt = (settings.secret_key or secrets.token_hex(32)).encode()

    def address() -> str:
        # Neither memory nor Redis holds an address in plain text.
        told = visitor(request.remote_addr or "")
        return hashlib.blake2b(told.encode(), key=salt[:64], digest_size=16).hexdigest()

    shared = settings.rate_limit_storage != "memory://"
    try:
        limiter = Limiter(
            lambda: f"key:{g.key}" if "key" in g else address(),
            app=app,
            application_limits=[settings.rate_limit] if settings.rate_limit else [],
            application_limits_exempt_when=lambda: request.method in ("GET", "HEAD", "OPTIONS"),
            # A path without a page has no endpoint, and would not be counted.
            request_identifier=lambda: request.endpoint or "none",
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
    return cast(Callable[[RouteCallable], RouteCallable], limiter.limit(SIGN_IN_LIMIT, key_func=address))


def visitor(told: str) -> str:
    """Map an address to a visitor: IPv4 to itself, IPv6 to its /64, the smallest block for one subscriber.

    Args:
        told: an address from a server or a proxy: with a port, in brackets, with a zone, or none of these.

    Returns:
        The address or network; "unknown" for anything else.
    """
    host = told.strip().partition("%")[0]
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
