"""A bound on the work of this process: some runs, some waits for its turn, the rest is refused at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

from model.errors import SkinDiseaseNetError


class OverloadedError(SkinDiseaseNetError):
    """As much work runs and waits as may."""

    code = "overloaded"


class Queue:
    """Gives turns; ``with queue.turn():`` waits for one and gives it back.

    Args:
        running: turns at the same time, 1 or more.
        waiting: callers that wait for a turn, 0 or more.
        while_waiting, while_running: entered for as long as a caller waits for its turn, or has it.
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
        """Waits for a turn.

        Raises:
            OverloadedError: as many run and wait as may.
        """
        if not self._room.acquire(blocking=False):
            raise OverloadedError(
                "More pictures are waiting than this server can look at soon.", hint="Try again in a moment."
            )
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
