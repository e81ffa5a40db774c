"""gunicorn's threaded worker with limits on the time that clients may take, and on their number."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import resource
import socket
import sys
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

from app.settings import Settings

logger = logging.getLogger(__name__)

SPARE_THREADS = 46
"""Threads besides those that predict or wait: they receive requests and answer health checks."""

HURRIED_SECONDS = 5
"""Time limit for a client when threads or connections run short."""

IDLE_SECONDS = 0.5
"""How long a connection may be idle at the connection limit; otherwise gunicorn's ``keepalive``."""

ANSWER_SECONDS = 60
"""Time limit for waiting, predicting and sending the response."""

GOODBYE_SECONDS = 1
"""Time limit for a client to read the end of a response after it was sent."""

SPARE_FILES = 16
"""Open files besides connections and those of requests: metrics, modules, the worker's own."""

LARGE_BLOCK = 4 << 20
"""Bytes; more than any layer of the network needs for one picture."""

_M_MMAP_THRESHOLD = -3
_TOO_MANY = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS = 1


class BoundedWorker(ThreadWorker):
    """A threaded worker that limits how long a request may take to arrive, since each one occupies a thread.

    After ``Settings.request_seconds`` (``HURRIED_SECONDS`` when threads or connections run short) the
    receiving half of the socket is shut down. That wakes a thread that waits for the client, and the app sees
    a truncated request; it does not affect a request that has arrived completely. ``ANSWER_SECONDS`` later
    both halves are shut down, for clients that do not read their response.

    The number of connections is bounded by the limit on open files. At the limit, idle ones are closed after
    ``IDLE_SECONDS``, and new ones wait in the system's queue.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = Settings.from_environment(default_port=8000).request_seconds
        self._started: dict[Any, float] = {}
        self._paused_until = 0.0

    def init_process(self) -> None:
        _return_large_blocks()
        super().init_process()

    def run(self) -> None:
        self.worker_connections: int = min(
            self.cfg.worker_connections, _room_for_connections(self.cfg.threads)
        )
        super().run()

    def accept(self, listener: socket.socket) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in _TOO_MANY:
                raise
            logger.error("No connections are accepted for a second (%s).", error.strerror)
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
            self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled and time.monotonic() >= self._paused_until)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, IDLE_SECONDS) if self._full() else timeout)

    def _full(self) -> bool:
        return self.nr_conns >= self.worker_connections

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
            keep = super().handle(conn)
            if keep is False:
                _say_goodbye(conn.sock)
            return keep
        finally:
            del self._started[conn]

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """As gunicorn's, but without logging the client's address."""
        super().handle_error(req, client, None, exc)

    def murder_pending(self) -> None:
        """Close slow and idle connections; called by the main loop at least once a second."""
        now, full = time.monotonic(), self._full()
        if full:
            for conn in (*self.pending_conns, *self.keepalived_conns):
                if conn.timeout - self.cfg.keepalive + IDLE_SECONDS < now:
                    conn.timeout = now
            self.murder_keepalived()
        super().murder_pending()
        started = list(self._started.items())
        scarce = full or len(started) > self.cfg.threads - SPARE_THREADS // 4
        patience = min(HURRIED_SECONDS, self._patience) if scarce else self._patience
        for conn, since in started:
            if now - since > self._patience + ANSWER_SECONDS:
                _shut(conn.sock, socket.SHUT_RDWR)
            elif now - since > patience:
                _shut(conn.sock, socket.SHUT_RD)


def _return_large_blocks() -> None:
    """Let glibc return blocks of this size or more to the system as soon as they are freed.

    By default it does so only until the first large one is freed (``man 3 mallopt``, M_MMAP_THRESHOLD), and
    keeps hundreds of megabytes after many concurrent uploads. Other C libraries have no such option.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def _room_for_connections(threads: int) -> int:
    """The largest number of connections: each is an open file, and each active one may open one more.

    Exits with status 4, which gunicorn takes as "do not retry", if not even one is possible.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    free = limit - len(os.listdir("/dev/fd")) - SPARE_FILES
    room = max(free // 2, free - threads)
    if room < 1:
        print(
            f"error: This process may open {limit} files; at least {limit - free + 2} are needed. "
            "Raise the limit (`ulimit -n 1024`).",
            file=sys.stderr,
        )
        sys.exit(4)
    return room


def _say_goodbye(sock: socket.socket) -> None:
    """Wait for the client to read the response, in this thread rather than in gunicorn's main loop."""
    with contextlib.suppress(OSError):
        util.close_graceful(sock.dup(), timeout=GOODBYE_SECONDS)
    _shut(sock, socket.SHUT_RDWR)


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it has been closed in the meantime
        sock.shutdown(how)
