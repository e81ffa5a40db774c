"""The address that a server listens on."""

from __future__ import annotations

import errno
import socket

from model.errors import ConfigError


def netloc(host: str, port: int) -> str:
    """Host and port as in a URL, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_free(host: str, port: int) -> None:
    """Make sure that a server can listen there, before anything slow is loaded.

    Raises:
        ConfigError: another program uses the address, or this machine does not have it.
    """
    where = netloc(host, port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
                probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"{where} is already in use.", hint="Choose another PORT, or stop that program."
            ) from error
        raise ConfigError(
            f"{where} cannot be listened on ({error.strerror}).", hint="Correct HOST or PORT."
        ) from error
