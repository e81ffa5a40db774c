"""The HTTP API for programs, in JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST

from app.case import find_case
from app.pages.batch import predict_all
from app.prediction import Prediction
from app.predictor import AUTO, Predictor
from app.web import metrics
from app.web.answers import Label, Labels, Loaded, Ready, Status
from app.web.errors import RequestError
from app.web.openapi import build_document
from app.web.upload import read_choice, read_form_pictures, read_picture, read_switch
from model.errors import ImageError
from model.labels import URGENCY, condition
from model.schema import CheckpointId


def build_api(predictor: Predictor, *, submit: Callable[[bytes, Prediction], str] | None = None) -> Blueprint:
    """Build the routes under ``/api/v1``, the two health checks, and the OpenAPI document.

    Args:
        predictor: predicts every picture.
        submit: stores a picture for review, by consent, and returns the id of the case; None where nothing
            is kept.
    """
    api = Blueprint("api", __name__)
    answering = [AUTO, *(member.id for member in predictor.members)]
    document = build_document(review=submit is not None)

    @api.post("/api/v1/predict")
    def predict() -> tuple[dict[str, Any], dict[str, str]]:
        heatmap = read_switch(request, "heatmap")
        consent = read_switch(request, "consent")
        if consent and submit is None:
            raise RequestError(
                "consent is 1, but this server keeps no pictures.",
                hint="Leave consent out; nothing is stored.",
                code="invalid_parameter",
            )
        checkpoint = read_choice(request, "checkpoint", answering)
        picture = read_picture(request)
        prediction = predictor.predict(picture, heatmap=heatmap, checkpoint=checkpoint)
        headers = {"X-Review-Case": submit(picture, prediction)} if consent and submit else {}
        return prediction.to_json(), headers

    @api.post("/api/v1/case")
    def predict_case() -> dict[str, Any]:
        heatmap = read_switch(request, "heatmap")
        checkpoint = read_choice(request, "checkpoint", answering)
        pictures = read_form_pictures(request)
        predict = partial(predictor.predict, checkpoint=predictor.named(checkpoint).id)
        outcomes = predict_all(predict, pictures)
        case = find_case(predictor.predict, predictor.combine, outcomes, pictures, heatmap=heatmap)
        if case is None:
            raise next(outcome for outcome in outcomes if isinstance(outcome, ImageError))
        return {
            "answer": case.prediction.to_json(),
            "pictures": [outcome.to_json() for outcome in outcomes],
        }

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
