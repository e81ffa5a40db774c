"""What CLINIC=yes adds to the OpenAPI document."""

from __future__ import annotations

import copy
from typing import Any

from app.web.clinic import DICOM, DICOM_JSON, FHIR, RELATED

_BINARY = {"type": "string", "format": "binary"}
_OBJECT = {"type": "object"}


def with_clinic(document: dict[str, Any]) -> dict[str, Any]:
    """The document with DICOM and FHIR in ``/api/v1/predict``, and with ``/dicomweb/studies``."""
    whole = copy.deepcopy(document)
    predict = whole["paths"]["/api/v1/predict"]["post"]
    predict["requestBody"]["content"][DICOM] = {"schema": _BINARY}
    predict["responses"]["200"]["content"] |= {FHIR: {"schema": _OBJECT}, RELATED: {"schema": _BINARY}}
    refusal = copy.deepcopy(predict["responses"]["400"])
    refusals = {
        **{status: found for status, found in predict["responses"].items() if status != "200"},
        "406": {**refusal, "description": "The answer cannot be had in any form that Accept names."},
    }
    predict["responses"] |= refusals
    whole["paths"]["/dicomweb/studies"] = {
        "post": {
            "operationId": "store",
            "summary": "Send the pictures of one study (STOW-RS), get the reports",
            "description": "Stores nothing: the reports are the only trace, and go to the caller.",
            "requestBody": {"required": True, "content": {RELATED: {"schema": _BINARY}}},
            "responses": {
                **{status: _reports(words) for status, words in _ANSWERED.items()},
                **refusals,
                "409": {
                    **refusal,
                    "description": "Several studies, or no instance that can be assessed.",
                },
            },
            "x-codeSamples": [
                {
                    "lang": "sh",
                    "source": f"curl -H 'Content-Type: {RELATED}; type=\"{DICOM}\"; boundary=B' "
                    "--data-binary @study.multipart {server}/dicomweb/studies",
                }
            ],
        }
    }
    return whole


_ANSWERED = {
    "200": "The reports; with application/dicom+json, what was taken.",
    "202": "The same, but some instances failed; Warning names them.",
}


def _reports(words: str) -> dict[str, Any]:
    content = {RELATED: {"schema": _BINARY}, DICOM_JSON: {"schema": _OBJECT}, FHIR: {"schema": _OBJECT}}
    return {"description": words, "content": content}
