"""A bounded queue for this process: some work runs, some waits, the rest is rejected at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

from model.errors import SkinDiseaseNetError


class OverloadedError(SkinDiseaseNetError):
    """The queue is full."""

    code = "overloaded"


class Queue:
    """Hands out turns; ``with queue.turn():`` waits for one and releases it.

    Args:
        running: concurrent turns, 1 or more.
        waiting: callers that wait for a turn, 0 or more.
        while_waiting, while_running: context managers entered while a caller waits for its turn, or has it.
    """

    def __init__(
        self,
        *,
        running: int,
        waiting: int,
        while_waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
        while_running: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._room = threading.BoundedSemaphore(running + waiting)
        self._running = threading.BoundedSemaphore(running)
        self._while_waiting, self._while_running = while_waiting, while_running

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn.

        Raises:
            OverloadedError: the queue is full.
        """
        if not self._room.acquire(blocking=False):
            raise OverloadedError("The server is busy: its queue is full.", hint="Try again in a moment.")
        try:
            with self._while_waiting():
                self._running.acquire()
            try:
                with self._while_running():
                    yield
            finally:
                self._running.release()
        finally:
            self._room.release()
