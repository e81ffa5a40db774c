"""A predictor with a bounded queue, shared by the requests of a worker, that records each result."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import g

from app.drift import Window, signals
from app.prediction import Prediction
from app.predictor import Predictor
from app.queue import Queue
from app.web import metrics


class BoundedPredictor:
    """A ``Predictor`` behind a bounded queue. It records each result for metrics and audit.

    Args:
        predictor: the wrapped predictor; its other attributes are passed through.
        running: concurrent predictions, 1 or more.
        waiting: requests that wait for their turn, 0 or more.
    """

    def __init__(self, predictor: Predictor, *, running: int, waiting: int) -> None:
        self._predictor = predictor
        self._windows = {
            member.id: Window(member.drift, partial(metrics.show_drift, member.id))
            for member in predictor.members
            if member.drift is not None
        }
        self._queue = Queue(
            running=running,
            waiting=waiting,
            while_waiting=metrics.WAITING.track_inprogress,
            while_running=metrics.RUNNING.track_inprogress,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict(
        self, data: bytes, *, opened: Callable[[bytes], bytes] | None = None, **options: Any
    ) -> Prediction:
        """As ``Predictor.predict``.

        Args:
            data: what was sent.
            opened: takes the picture out of it, once it is its turn; None if it is the picture.
            options: for ``Predictor.predict``.

        Raises:
            OverloadedError: the queue is full.
        """
        with self._queue.turn():
            picture = data if opened is None else opened(data)
            prediction = self._predictor.predict(picture, **options)
        metrics.observe(prediction)
        g.setdefault("verdicts", []).append(prediction.verdict)
        g.checkpoint = prediction.checkpoint
        seen = signals(prediction)
        g.setdefault("signals", []).append(seen._asdict())
        if (window := self._windows.get(prediction.checkpoint["id"])) is not None:
            window.add(seen)
        return prediction
