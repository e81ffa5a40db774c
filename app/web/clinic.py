"""Answers in the formats of clinics: DICOM and FHIR beside JSON. Imported where CLINIC is yes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Flask, Response, jsonify, request

from app.clinic.dicom import is_dicom, read_study
from app.clinic.dicom_report import dicom_reports, to_bytes
from app.clinic.fhir import Answered, bundle, operation_outcome
from app.prediction import Prediction
from app.web.errors import RequestError
from model.errors import SkinDiseaseNetError

JSON, FHIR = "application/json", "application/fhir+json"
DICOM, DICOM_JSON = "application/dicom", "application/dicom+json"
RELATED = "multipart/related"
_VERSIONS = ("4.0", "4.3")
"""Of FHIR: R4, and R4B, from which these resources do not differ."""


def answer(prediction: Prediction, data: bytes) -> Response:
    """Write the answer to one picture as the caller accepts it: JSON, FHIR or DICOM.

    Args:
        prediction: the answer.
        data: the file that was sent.

    Raises:
        RequestError: 406, the caller accepts none of them, or DICOM for a picture that was not DICOM.
        ImageError: the DICOM file lacks what ties a report to its study.
    """
    dicom = is_dicom(data)
    kind = chosen([JSON, FHIR, RELATED] if dicom else [JSON, FHIR])
    if kind == JSON:
        return jsonify(prediction.to_json())
    study = read_study(data) if dicom else None
    if kind == FHIR or study is None:
        return as_fhir(bundle([Answered(prediction, data, study)]))
    return as_related(to_bytes(report) for report in dicom_reports(prediction, study))


def chosen(offered: Sequence[str]) -> str:
    """The media type among those offered that the caller likes best; the first one if nothing is said.

    Raises:
        RequestError: 406, the caller accepts none of them.
    """
    accepted = list(request.accept_mimetypes) or [("*/*", 1)]
    for kind, quality in accepted:  # the best first
        base, *options = (part.strip().lower() for part in kind.split(";"))
        versions = [option[12:].strip('"') for option in options if option.startswith("fhirversion=")]
        if quality <= 0 or any(version not in _VERSIONS for version in versions):
            continue
        for offer in offered:
            if base in (offer, "*/*", f"{offer.partition('/')[0]}/*"):
                return offer
    raise RequestError(
        "The answer cannot be had in any form that Accept names.",
        hint=f"Accept one of {', '.join(offered)}; FHIR is of version 4.0.",
        code="not_acceptable",
        status=406,
    )


def as_fhir(resource: dict[str, Any], status: int = 200) -> Response:
    """A resource as a response."""
    response = jsonify(resource)
    response.status_code = status
    response.content_type = f"{FHIR}; fhirVersion=4.0; charset=utf-8"
    return response


def as_related(files: Iterable[bytes], status: int = 200) -> Response:
    """DICOM files as the parts of one response, as WADO-RS returns them (PS3.18, 8.6.1.2)."""
    boundary = secrets.token_hex(16)
    parts = [f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode() + file + b"\r\n" for file in files]
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Response(body, status, content_type=f'{RELATED}; type="{DICOM}"; boundary={boundary}')


def add_outcomes(app: Flask) -> None:
    """Turn errors into OperationOutcomes for callers that accept FHIR.

    Must come before whatever may replace the response.
    """

    def as_outcome(response: Response) -> Response:
        if response.status_code < 400 or response.mimetype != JSON or not _wants_fhir():
            return response
        told = (response.get_json() or {}).get("error")
        if not told:
            return response
        error = SkinDiseaseNetError(told["message"], hint=told["hint"], code=told["code"])
        converted = as_fhir(operation_outcome(error, response.status_code))
        response.data, response.content_type = converted.data, converted.content_type
        return response

    app.after_request(as_outcome)


def _wants_fhir() -> bool:
    try:
        return chosen([JSON, FHIR]) == FHIR
    except RequestError:
        return False
