"""The HTTP API for programs, in JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST

from app.case import find_case
from app.pages.batch import predict_all
from app.prediction import Prediction
from app.predictor import AUTO, Predictor
from app.web import metrics
from app.web.answers import Label, Labels, Loaded, Ready, Status
from app.web.bounded import BoundedPredictor
from app.web.errors import RequestError
from app.web.upload import read_choice, read_form_pictures, read_picture, read_switch
from model.errors import ImageError
from model.labels import URGENCY, condition
from model.schema import CheckpointId

Submit: TypeAlias = Callable[[bytes, Prediction], str]
"""Stores a picture for review, and returns the number of the case."""


def as_json(prediction: Prediction, data: bytes) -> Response:
    """The answer to a picture as every caller gets it, unless the formats of clinics are switched on."""
    return jsonify(prediction.to_json())


def build_api(
    predictor: BoundedPredictor,
    *,
    opened: Callable[[bytes], bytes] | None = None,
    answer: Callable[[Prediction, bytes], Response] = as_json,
    submit: Submit | None = None,
    document: dict[str, Any],
) -> Blueprint:
    """Build the routes under ``/api/v1``, the two health checks, and the OpenAPI document.

    Args:
        predictor: predicts every picture.
        opened: takes the picture out of what was sent; None if only pictures are accepted.
        answer: writes the answer to what was sent, in a form that the caller accepts.
        submit: called for a picture that may be kept; None where nothing is stored.
        document: the OpenAPI document.
    """
    api = Blueprint("api", __name__)
    answering = [AUTO, *(member.id for member in predictor.members)]

    @api.post("/api/v1/predict")
    def predict() -> Response:
        heatmap = read_switch(request, "heatmap")
        consent = read_switch(request, "consent")
        if consent and submit is None:
            raise RequestError(
                "consent is 1, but this server keeps no pictures.",
                hint="Leave consent out; nothing is stored.",
                code="invalid_parameter",
            )
        checkpoint = read_choice(request, "checkpoint", answering)
        data = read_picture(request)
        prediction = predictor.predict(data, opened=opened, heatmap=heatmap, checkpoint=checkpoint)
        response = answer(prediction, data)
        if consent and submit is not None:
            # only the picture: the rest of a DICOM file names the patient
            picture = data if opened is None else opened(data)
            response.headers["X-Review-Case"] = submit(picture, prediction)
        return response

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
