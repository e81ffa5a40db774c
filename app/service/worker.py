"""gunicorn's threaded worker, with bounds on how long clients may take and how many they may be."""

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
"""On top of those that predict or wait to: they receive requests, and answer health checks meanwhile."""

HURRIED_SECONDS = 5
"""What a client still gets when nearly all threads are taken, or as many connections are open as may be."""

IDLE_SECONDS = 0.5
"""How long a connection may say nothing when as many are open as may be; else gunicorn's ``keepalive``."""

ANSWER_SECONDS = 60
"""For waiting, predicting, and sending the answer."""

GOODBYE_SECONDS = 1
"""For reading the last of an answer, once it was sent."""

SPARE_FILES = 16
"""Files that the worker opens beside connections and what requests need: metrics, modules, its own."""

LARGE_BLOCK = 4 << 20
"""Bytes; more than any layer of the network takes for one picture."""

_M_MMAP_THRESHOLD = -3
_TOO_MANY = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS = 1


class BoundedWorker(ThreadWorker):
    """A thread reads a request, so whoever sends slowly holds one. Here each request has a time to arrive in.

    After ``Settings.request_seconds`` (``HURRIED_SECONDS`` when threads or connections run short) the
    receiving half of the socket is shut down. That wakes a thread which waits for the client, and the app
    sees a request that broke off; it does nothing to a request that has arrived in full. ``ANSWER_SECONDS``
    later both halves are, for clients that do not read their answer.

    There are only as many connections as the limit of open files leaves room for. Beyond them, those that say
    nothing make room after ``IDLE_SECONDS``, and others wait in the system's queue until there is some.
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
            logger.error("No connection is taken for a second (%s).", error.strerror)
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
        """As gunicorn's, which would log the client's address."""
        super().handle_error(req, client, None, exc)

    def murder_pending(self) -> None:
        """Called by the main loop every second or more often."""
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
    """Lets glibc give blocks of this size or more back to the system as soon as they are freed.

    By itself it does so only until the first large one is freed (``man 3 mallopt``, M_MMAP_THRESHOLD), and
    keeps hundreds of megabytes after many uploads at once. Other C libraries have nothing of the kind.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def _room_for_connections(threads: int) -> int:
    """How many there may be: each is an open file, and each that a thread answers may open one more.

    Exits with status 4, which gunicorn reads as "do not try again", where there is room for none.
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
    """Waits in this thread for the client to have read the answer; gunicorn's main loop would wait itself."""
    with contextlib.suppress(OSError):
        util.close_graceful(sock.dup(), timeout=GOODBYE_SECONDS)
    _shut(sock, socket.SHUT_RDWR)


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it has been closed meanwhile
        sock.shutdown(how)
