"""A bound on the predictions of a worker: a few run, some wait, the rest are told to come back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from flask import g

from app.prediction import Prediction
from app.predictor import Predictor
from app.web import metrics
from app.web.errors import overloaded


class BoundedPredictor:
    """A ``Predictor`` of which not everybody may ask at once. It notes each answer for metrics and audit.

    Args:
        predictor: answers; what else it has is passed on as it is.
        running: predictions at the same time, 1 or more.
        waiting: requests that wait for their turn, 0 or more.
    """

    def __init__(self, predictor: Predictor, *, running: int, waiting: int) -> None:
        self._predictor = predictor
        self._room = threading.BoundedSemaphore(running + waiting)
        self._running = threading.BoundedSemaphore(running)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict(self, data: bytes, **options: Any) -> Prediction:
        """As ``Predictor.predict``.

        Raises:
            RequestError: 503, as many run and wait as may.
        """
        with self._turn():
            prediction = self._predictor.predict(data, **options)
        metrics.observe(prediction)
        g.setdefault("verdicts", []).append(prediction.verdict)
        return prediction

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise overloaded("More pictures are waiting than this server can look at soon.")
        try:
            with metrics.WAITING.track_inprogress():
                self._running.acquire()
            try:
                with metrics.RUNNING.track_inprogress():
                    yield
            finally:
                self._running.release()
        finally:
            self._room.release()
