"""How often one key or address may send something."""

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
"""By address; nobody guesses a key, but nobody need be let try without end either."""


def add_limits(app: Flask, settings: Settings) -> Callable[[RouteCallable], RouteCallable]:
    """Counts every post, also those that are refused later on; the answer over the limit is 429 with
    ``Retry-After``.

    Returns:
        A decorator that puts ``SIGN_IN_LIMIT`` on a view.

    Raises:
        ConfigError: the storage cannot be used.
    """
    salt = (settings.secret_key or secrets.token_hex(32)).encode()

    def address() -> str:
        # In the memory or in Redis, no address stands in clear.
        told = visitor(request.remote_addr or "")
        return hashlib.blake2b(told.encode(), key=salt[:64], digest_size=16).hexdigest()

    shared = settings.rate_limit_storage != "memory://"
    try:
        limiter = Limiter(
            lambda: f"key:{g.key}" if "key" in g else address(),
            app=app,
            application_limits=[settings.rate_limit] if settings.rate_limit else [],
            application_limits_exempt_when=lambda: request.method in ("GET", "HEAD", "OPTIONS"),
            # An address without a page behind it has no endpoint, and would not count.
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
    """Whom an address stands for: IPv4 itself, IPv6 its /64, the least that one subscriber is given.

    Args:
        told: an address as a server or a proxy has it: with a port, in brackets, with a zone, or none at all.

    Returns:
        The address or network; "unknown" for whatever is no address.
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
