"""gunicorn's threaded worker, with a bound on how long a client may take."""

from __future__ import annotations

import contextlib
import socket
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from app.settings import Settings

SPARE_THREADS = 46
"""On top of those that predict or wait to: they receive requests, and answer health checks meanwhile."""

HURRIED_SECONDS = 5
"""What a client still gets when nearly all threads are taken."""

ANSWER_SECONDS = 60
"""For waiting, predicting, and sending the answer."""


class BoundedWorker(ThreadWorker):
    """A thread reads a request, so whoever sends slowly holds one. Here each request has a time to arrive in.

    After ``Settings.request_seconds`` (``HURRIED_SECONDS`` when threads run short) the receiving half of the
    socket is shut down. That wakes a thread which waits for the client, and the app sees a request that broke
    off; it does nothing to a request that has arrived in full. ``ANSWER_SECONDS`` later both halves are, for
    clients that do not read their answer.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = Settings.from_environment(default_port=8000).request_seconds
        self._started: dict[Any, float] = {}

    def enqueue_req(self, conn: Any) -> None:
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        # A connection that has sent nothing yet waits in the selector, not in a thread.
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: Any) -> Any:
        self._started[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._started[conn]

    def murder_pending(self) -> None:
        """Called by the main loop every second or more often."""
        super().murder_pending()
        started = list(self._started.items())
        scarce = len(started) > self.cfg.threads - SPARE_THREADS // 4
        patience = min(HURRIED_SECONDS, self._patience) if scarce else self._patience
        now = time.monotonic()
        for conn, since in started:
            if now - since > self._patience + ANSWER_SECONDS:
                _shut(conn.sock, socket.SHUT_RDWR)
            elif now - since > patience:
                _shut(conn.sock, socket.SHUT_RD)


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it has been closed meanwhile
        sock.shutdown(how)
