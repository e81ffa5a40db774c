"""The OpenAPI 3.1 document of the HTTP API."""

from __future__ import annotations

from typing import Any

from model.image import FORMATS, MAX_BYTES
from model.labels import URGENCY

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_STRING: Schema = {"type": "string"}


def _object(properties: dict[str, Schema], description: str = "") -> Schema:
    schema: Schema = {"type": "object", "required": list(properties), "properties": properties}
    return {**schema, "description": description} if description else schema


def _list(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _errors(*statuses: str) -> dict[str, Schema]:
    meanings = {
        "400": "No picture, several pictures, an empty one, or a wrong parameter.",
        "413": f"Over {MAX_BYTES / 1e6:.0f} MB or too many pixels.",
        "415": "A Content-Type or a picture format that is not supported.",
        "422": "A picture that is damaged, too small or too narrow.",
        "500": "A fault of the server.",
    }
    return {status: _json(meanings[status], _ref("Error")) for status in statuses}


_SCHEMAS = {
    "Prediction": _object(
        {
            "verdict": {"type": "string", "enum": ["condition", "uncertain", "no_condition", "rejected"]},
            "reason": {"type": "string", "description": "One plain sentence."},
            "conditions": _list(
                _object({"name": _STRING, "title": _STRING, "probability": _NUMBER}),
                "All labels, most probable first; the calibrated probabilities sum to 1.",
            ),
            "criteria": _list(
                _object(
                    {"name": _STRING, "value": _NUMBER, "threshold": _NUMBER, "fired": {"type": "boolean"}}
                ),
                "The rejection rule: `rejected` where one of them fired.",
            ),
            "malignancy": {
                "anyOf": [
                    _object({"probability": _NUMBER, "threshold": _NUMBER, "fired": {"type": "boolean"}}),
                    {"type": "null"},
                ],
                "description": "The summed probability of the labels that may be cancer; where it fired, the "
                "advice to see a doctor stands first. Null where the checkpoint has no such label.",
            },
            "quality": _list(
                _object(
                    {
                        "name": {
                            "type": "string",
                            "enum": ["too_small", "too_dark", "blurred", "too_bright"],
                        },
                        "value": {"type": "number"},
                        "threshold": {"type": "number"},
                        "message": _STRING,
                        "advice": _STRING,
                    }
                ),
                "What about the photo could be better. A warning: the answer is given all the same.",
            ),
            "prediction_set": {
                "type": ["array", "null"],
                "items": _STRING,
                "description": "Names that cannot be ruled out; null where the checkpoint has no set.",
            },
            "checkpoint": _ref("Checkpoint"),
            "timings_ms": _object(
                {stage: {"type": "number"} for stage in ("decode", "transform", "forward", "total")}
            ),
            "heatmap": {
                "type": ["string", "null"],
                "description": "The picture with the evidence laid over it, a data:image/png URI.",
            },
        }
    ),
    "Labels": _object(
        {
            "labels": _list(
                _object(
                    {
                        "name": _STRING,
                        "title": _STRING,
                        "summary": _STRING,
                        "urgency": {"type": "string", "enum": list(URGENCY)},
                        "urgency_text": _STRING,
                        "malignant": {"type": "boolean"},
                    }
                )
            ),
            "checkpoint": _ref("Checkpoint"),
        }
    ),
    "Checkpoint": _object({"id": _STRING, "revision": _STRING}),
    "Error": _object(
        {
            "error": _object(
                {
                    "code": {"type": "string", "description": "A stable word for programs."},
                    "message": {"type": "string", "description": "What was got and what was expected."},
                    "hint": {"type": "string", "description": "What to do."},
                }
            )
        }
    ),
}

_BINARY: Schema = {"type": "string", "format": "binary"}
_PREDICT = {
    "operationId": "predict",
    "summary": "Look at one picture",
    "description": f"Takes {', '.join(FORMATS)} of at most {MAX_BYTES / 1e6:.0f} MB, as the multipart field "
    "`image` or as the bare body. The status is 200 whatever the verdict. The picture is held in memory "
    "until the answer is sent, and nowhere else.",
    "parameters": [
        {
            "name": "heatmap",
            "in": "query",
            "description": "1 adds the heat map of the most probable label.",
            "schema": {"type": "string", "enum": ["0", "1", "false", "true"], "default": "0"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _object({"image": _BINARY})},
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
        },
    },
    "responses": {
        "200": _json("The answer.", _ref("Prediction")),
        **_errors("400", "413", "415", "422", "500"),
    },
    "x-codeSamples": [
        {"lang": "sh", "source": "curl -F image=@photo.jpg '{server}/api/v1/predict?heatmap=1'"},
        {
            "lang": "sh",
            "source": "curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg {server}/api/v1/predict",
        },
    ],
}


def _get(operation: str, path: str, summary: str, schema: Schema) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "responses": {"200": _json("The answer.", schema), **_errors("500")},
            "x-codeSamples": [{"lang": "sh", "source": f"curl {{server}}{path}"}],
        }
    }


def build_document() -> dict[str, Any]:
    """The document as plain dicts and lists; ``{server}`` in its samples stands for the server's address."""
    status = _object({"status": _STRING})
    ready = _object({"status": _STRING, "checkpoint": _ref("Checkpoint")})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SkinDiseaseNet",
            "version": "1",
            "description": "Which of a few skin conditions does a photo look like? "
            "For education and decision support; never a diagnosis.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/api/v1/predict": {"post": _PREDICT},
            "/api/v1/labels": _get(
                "labels", "/api/v1/labels", "The labels that the checkpoint knows", _ref("Labels")
            ),
            "/healthz": _get("healthz", "/healthz", "Whether the process answers", status),
            "/readyz": _get("readyz", "/readyz", "Whether a checkpoint is loaded, and which", ready),
            "/openapi.json": _get("openapi", "/openapi.json", "This document", {"type": "object"}),
        },
        "components": {"schemas": _SCHEMAS},
    }
