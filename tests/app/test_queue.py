"""The queue of bounded work: who runs, who waits, who is refused, and that every turn comes back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.queue import OverloadedError, Queue


class Count:
    """How many are inside at the moment."""

    def __init__(self) -> None:
        self.now, self.changed = 0, threading.Condition()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def reach(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.now == number, timeout=60)

    def _add(self, number: int) -> None:
        with self.changed:
            self.now += number
            self.changed.notify_all()


def test_some_run_some_wait_and_the_rest_is_refused() -> None:
    running, waiting, go_on = Count(), Count(), threading.Event()
    queue = Queue(running=2, waiting=1, while_running=running.entered, while_waiting=waiting.entered)

    def work() -> bool:
        with queue.turn():
            return go_on.wait(60)

    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(work) for _ in range(3)]
        try:
            running.reach(2)
            waiting.reach(1)
            with pytest.raises(OverloadedError) as refused, queue.turn():
                pass
        finally:
            go_on.set()
        assert [each.result() for each in done] == [True] * 3
    assert refused.value.code == "overloaded"
    assert "Try again" in refused.value.hint
    assert (running.now, waiting.now) == (0, 0)


def fail() -> None:
    raise ValueError


@pytest.mark.parametrize("work", [fail, lambda: None])
def test_a_turn_comes_back_whatever_becomes_of_the_work(work: Callable[[], None]) -> None:
    queue = Queue(running=1, waiting=0)
    for _ in range(3):
        with contextlib.suppress(ValueError), queue.turn():
            work()
    with queue.turn(), pytest.raises(OverloadedError), queue.turn():
        pass
