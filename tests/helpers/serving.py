"""gunicorn as `make serve` starts it, for tests that need real sockets, signals and processes."""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from conftest import encode, make_picture
from processes import free_port, running

COMMAND = [sys.executable, "-m", "gunicorn", "flask_app:app"]
QUICK = encode(make_picture())
HEAD = b"POST /api/v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


class Server:
    """A gunicorn that this process started: its address, its process, and what it wrote."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log
        (self.master,) = (
            child for child in psutil.Process().children() if child.environ().get("PORT") == str(port)
        )

    def workers(self) -> list[psutil.Process]:
        return [child for child in self.master.children() if child.status() != psutil.STATUS_ZOMBIE]

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status 0 where the connection was cut."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "image/png"} if body else {})
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        except (ConnectionError, http.client.HTTPException):
            return 0, {}, b""
        finally:
            connection.close()

    def predict(self, picture: bytes) -> tuple[int, dict[str, str], bytes]:
        return self.ask("POST", "/api/v1/predict", picture)

    def open(self, first: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(first)
        return connection


def started(
    checkpoint: Path, log: Path, *, command: Sequence[str] = COMMAND, **environment: str
) -> Iterator[Server]:
    """Yields a server once it is ready, and ends it."""
    port = free_port()
    environment = {
        "CHECKPOINT": str(checkpoint),
        "PORT": str(port),
        "RATE_LIMIT": "off",
        "AUDIT_LOG": str(log.with_name("audit.log")),
        **environment,
    }
    with running(list(command), port=port, log=log, environment=environment, ready="/readyz"):
        yield Server(port, log)


def status_of(connection: socket.socket) -> int:
    """Status of the answer to what was sent; 0 where the connection was cut."""
    answer = http.client.HTTPResponse(connection)
    try:
        answer.begin()
    except (ConnectionError, http.client.HTTPException):
        return 0
    return answer.status
