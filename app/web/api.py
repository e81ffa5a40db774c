"""The HTTP API for programs, in JSON."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST

from app.predictor import AUTO, Predictor
from app.web import metrics
from app.web.answers import Label, Labels, Loaded, Ready, Status
from app.web.openapi import build_document
from app.web.upload import read_choice, read_picture, read_switch
from model.labels import URGENCY, condition
from model.schema import CheckpointId


def build_api(predictor: Predictor) -> Blueprint:
    """Build the routes under ``/api/v1``, the two health checks, and the OpenAPI document."""
    api = Blueprint("api", __name__)
    answering = [AUTO, *(member.id for member in predictor.members)]
    document = build_document()

    @api.post("/api/v1/predict")
    def predict() -> dict[str, Any]:
        heatmap = read_switch(request, "heatmap")
        checkpoint = read_choice(request, "checkpoint", answering)
        picture = read_picture(request)
        return predictor.predict(picture, heatmap=heatmap, checkpoint=checkpoint).to_json()

    @api.get("/api/v1/labels")
    def list_labels() -> Labels:
        chosen = predictor.named(read_choice(request, "checkpoint", answering))
        return {"labels": [_label(name) for name in chosen.config.labels], "checkpoint": _id(chosen)}

    @api.get("/healthz")
    def health() -> Status:
        return {"status": "ok"}

    @api.get("/readyz")
    def ready() -> Ready:
        # The app exists only once its checkpoint is loaded, so an answer at all means ready.
        usual, *others = [
            Loaded(checkpoint=_id(member), precision=member.runtime.precision) for member in predictor.members
        ]
        return {"status": "ready", **usual, "others": others}

    @api.get("/metrics")
    def read_metrics() -> Response:
        return Response(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)

    @api.get("/openapi.json")
    def openapi() -> dict[str, Any]:
        return document

    return api


def _id(predictor: Predictor) -> CheckpointId:
    return {"id": predictor.id, "revision": predictor.revision}


def _label(name: str) -> Label:
    text = condition(name)
    return {
        "name": name,
        "title": text.title,
        "summary": text.summary,
        "urgency": text.urgency,
        "urgency_text": URGENCY[text.urgency],
        "malignant": text.malignant,
    }
