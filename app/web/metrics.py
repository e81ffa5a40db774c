"""Metrics for Prometheus; under gunicorn all workers share a folder for them."""

from __future__ import annotations

import os
from typing import cast

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from app.prediction import Prediction

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter(
    "skindiseasenet_requests", "Requests by endpoint, method and status.", ["endpoint", "method", "status"]
)
LATENCY = Histogram(
    "skindiseasenet_request_seconds",
    "From the headers of a request to its response, including receiving and waiting.",
    ["endpoint"],
    buckets=_SECONDS,
)
STAGES = Histogram(
    "skindiseasenet_prediction_seconds",
    "Stages of a prediction; total is the whole, without receiving and waiting.",
    ["stage"],
    buckets=_SECONDS,
)
VERDICTS = Counter("skindiseasenet_verdicts", "Predictions by verdict.", ["verdict"])
REJECTIONS = Counter(
    "skindiseasenet_rejections", "Rejected pictures by the criterion that fired.", ["criterion"]
)
DRIFT = Gauge(
    "skindiseasenet_drift_psi",
    "Population stability index of the latest predictions against the validation pictures.",
    ["checkpoint", "signal"],
    multiprocess_mode="livemax",
)
RUNNING = Gauge(
    "skindiseasenet_predictions_running", "Predictions that are running.", multiprocess_mode="livesum"
)
WAITING = Gauge(
    "skindiseasenet_predictions_waiting",
    "Predictions that wait for their turn: the depth of the queue.",
    multiprocess_mode="livesum",
)


def observe(prediction: Prediction) -> None:
    """Counts an answer and how long its stages took."""
    for stage, milliseconds in cast(dict[str, float], prediction.timings_ms).items():
        STAGES.labels(stage).observe(milliseconds / 1e3)
    VERDICTS.labels(prediction.verdict).inc()
    if prediction.verdict == "rejected":
        for criterion in prediction.criteria:
            if criterion.fired:
                REJECTIONS.labels(criterion.name).inc()


def show_drift(checkpoint: str, psi: dict[str, float]) -> None:
    """Show how far a checkpoint's latest predictions in this process are from its validation pictures."""
    for signal, value in psi.items():
        DRIFT.labels(checkpoint, signal).set(value)


def exposition() -> bytes:
    """All metrics in Prometheus' text format; under gunicorn, those of all workers together."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)
