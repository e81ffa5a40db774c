"""The OpenAPI 3.1 document of the HTTP API."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from app.pages.batch import MAX_BATCH, MAX_BATCH_BYTES
from app.prediction import Prediction
from app.web import openapi_examples as examples
from app.web.answers import CaseAnswer, Error, Labels, Ready, Status
from app.web.statuses import MEANINGS
from model.image import MAX_BYTES
from model.image.formats import names

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}


class _Untitled(GenerateJsonSchema):
    """Without titles that say the names of the fields again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _schemas() -> dict[str, Schema]:
    """What the answers hold, from their types."""
    kinds: tuple[Any, ...] = (Prediction, CaseAnswer, Labels, Status, Ready, Error)
    _, found = TypeAdapter.json_schemas(
        [(kind, "serialization", TypeAdapter(kind)) for kind in kinds],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    # Descriptions are docstrings, whose lines end where the source's do.
    return json.loads(json.dumps(found["$defs"], allow_nan=False).replace("\\n", " "))


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: Schema, example: Any) -> Schema:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "examples": {"one": {"value": example}}}},
    }


def _errors(*statuses: str) -> dict[str, Schema]:
    responses = {}
    for status in statuses:
        meaning, example = MEANINGS[status]
        responses[status] = _json(meaning, _ref("Error"), examples.error(*example))
        if status in ("429", "503"):
            responses[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}
            }
    return responses


_BINARY: Schema = {"type": "string", "format": "binary"}
_FORM: Schema = {"type": "object", "required": ["image"], "properties": {"image": _BINARY}}
_FORMS: Schema = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": {"type": "array", "items": _BINARY, "minItems": 1, "maxItems": MAX_BATCH}},
}
_CHECKPOINT: Schema = {
    "name": "checkpoint",
    "in": "query",
    "description": "Which checkpoint answers, by its id, where the server has several; auto: the one that "
    "learned from this kind of picture.",
    "schema": {"type": "string", "default": "auto"},
}
_CONSENT: Schema = {
    "name": "consent",
    "in": "query",
    "description": "1 stores the picture for review by doctors: the person in it has agreed to that. The "
    "header X-Review-Case then has the number of the case.",
    "schema": {"type": "string", "enum": ["0", "1", "false", "true"], "default": "0"},
}
_PREDICT: Schema = {
    "operationId": "predict",
    "summary": "Predict one picture",
    "description": f"Takes {names(last='and')} of at most {MAX_BYTES / 1e6:.0f} MB, as the multipart field "
    "`image` or as the raw body. The status is 200 whatever the verdict. The picture is kept only in memory, "
    "until the response is sent.",
    "parameters": [
        {
            "name": "heatmap",
            "in": "query",
            "description": "1 adds the heat map for the most probable label.",
            "schema": {"type": "string", "enum": ["0", "1", "false", "true"], "default": "0"},
        },
        _CHECKPOINT,
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
        },
    },
    "responses": {
        "200": _json("The result.", _ref("Prediction"), examples.PREDICTION),
        **_errors("400", "401", "403", "405", "408", "413", "415", "422", "429", "500", "503"),
    },
    "x-codeSamples": [
        {"lang": "sh", "source": "curl -F image=@photo.jpg '{server}/api/v1/predict?heatmap=1'"},
        {
            "lang": "sh",
            "source": "curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg {server}/api/v1/predict",
        },
    ],
}

_CASE = {
    **_PREDICT,
    "operationId": "predict_case",
    "summary": "Predict several pictures of one spot",
    "description": f"Takes 1 to {MAX_BATCH} pictures of the same spot, each as a multipart field `image`, at "
    f"most {MAX_BATCH_BYTES / 1e6:.0f} MB in total. The answer averages the calibrated probabilities of all "
    "pictures that can be read; verdict, set and advice follow from the averages as for one picture.",
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": _FORMS}},
    },
    "responses": {
        "200": _json("The result.", _ref("CaseAnswer"), examples.CASE),
        **_errors("400", "401", "403", "405", "408", "413", "415", "422", "429", "500", "503"),
    },
    "x-codeSamples": [
        {"lang": "sh", "source": "curl -F image=@one.jpg -F image=@two.jpg {server}/api/v1/case"},
    ],
}


def _get(operation: str, path: str, summary: str, schema: Schema, example: Any) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "responses": {
                "200": _json("The result.", schema, example),
                **_errors("401", "405", "500", "503"),
            },
            "x-codeSamples": [{"lang": "sh", "source": f"curl {{server}}{path}"}],
        }
    }


def _metrics() -> dict[str, Any]:
    operation = _get("metrics", "/metrics", "Metrics for Prometheus", _STRING, "")
    text = {"schema": _STRING, "examples": {"one": {"value": examples.METRICS}}}
    operation["get"]["responses"]["200"] = {"description": "The result.", "content": {"text/plain": text}}
    return operation


def build_document(*, review: bool = False) -> dict[str, Any]:
    """The document as plain dicts and lists; ``{server}`` in its samples stands for the server's address.

    Args:
        review: whether pictures may be stored for review.
    """
    predict = {**_PREDICT, "parameters": [*_PREDICT["parameters"], _CONSENT]} if review else _PREDICT
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SkinDiseaseNet",
            "version": "1",
            "description": "Which of a few skin conditions does a photo look like? "
            "A learning aid, never a diagnosis.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/api/v1/predict": {"post": predict},
            "/api/v1/case": {"post": _CASE},
            "/api/v1/labels": _get(
                "labels",
                "/api/v1/labels",
                "The labels that the checkpoint knows",
                _ref("Labels"),
                examples.LABELS,
            ),
            "/healthz": _get(
                "healthz", "/healthz", "Whether the process answers", _ref("Status"), {"status": "ok"}
            ),
            "/readyz": _get(
                "readyz",
                "/readyz",
                "Whether a checkpoint is loaded, and which",
                _ref("Ready"),
                examples.READY,
            ),
            "/metrics": _metrics(),
            "/openapi.json": _get(
                "openapi", "/openapi.json", "This document", {"type": "object"}, {"openapi": "3.1.0"}
            ),
        },
        # No key if access is open, otherwise one.
        "security": [{}, {"key": []}],
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
