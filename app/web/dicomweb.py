"""STOW-RS: the pictures of one study in, reports out (DICOM PS3.18, 10.5). Imported where CLINIC is yes."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Request, Response, jsonify, request

from app.clinic.dicom import picture_in, read_study
from app.clinic.dicom_report import dicom_reports, to_bytes
from app.clinic.fhir import Answered, bundle
from app.clinic.stow import Instance, store_response
from app.pages.batch import MAX_BATCH
from app.web.bounded import BoundedPredictor
from app.web.clinic import DICOM, DICOM_JSON, FHIR, RELATED, as_fhir, as_related, chosen
from app.web.errors import RequestError, status_of
from app.web.upload import MAX_BATCH_BODY, read_body
from model.errors import ImageError

_HOW = f'Send {RELATED}; type="{DICOM}"; boundary=..., each part one DICOM file.'


def build_dicomweb(predictor: BoundedPredictor) -> Blueprint:
    """Build the route ``/dicomweb/studies``, which answers with the reports and stores nothing."""
    dicomweb = Blueprint("dicomweb", __name__)

    @dicomweb.post("/dicomweb/studies")
    def store() -> Response:
        kind = chosen([RELATED, DICOM_JSON, FHIR])
        instances = [_opened(data) for data in _read_parts(request)]
        _require_one_study(instances)
        for instance in instances:
            _assess(instance, predictor, reports=kind == RELATED)
        return _answer(instances, kind)

    return dicomweb


def _read_parts(request: Request) -> list[bytes]:
    """The parts of a multipart/related body: between 1 and ``MAX_BATCH``.

    Raises:
        RequestError: the body is something else.
        werkzeug.exceptions.RequestEntityTooLarge: it is over ``MAX_BATCH_BODY``.
    """
    options = request.mimetype_params
    if request.mimetype != RELATED or options.get("type", DICOM).lower() != DICOM:
        raise RequestError(
            f"The Content-Type is {request.content_type or 'missing'}; {RELATED} of the type {DICOM} is "
            "expected.",
            hint=_HOW,
            code="unsupported_content_type",
            status=415,
        )
    if not (boundary := options.get("boundary")):
        raise RequestError("The Content-Type names no boundary.", hint=_HOW, code="invalid_multipart")
    request.max_content_length = MAX_BATCH_BODY
    _, *parts, end = (b"\r\n" + read_body(request)).split(b"\r\n--" + boundary.encode())
    if not parts or not end.startswith(b"--"):
        raise RequestError(
            "The body is cut off, or has no part between its boundaries.", hint=_HOW, code="invalid_multipart"
        )
    if len(parts) > MAX_BATCH:
        raise RequestError(
            f"{len(parts)} instances were sent; at most {MAX_BATCH} are accepted at once.",
            hint="Send the study in smaller groups.",
            code="too_many_images",
        )
    return [part.partition(b"\r\n\r\n")[2] for part in parts]


def _opened(data: bytes) -> Instance:
    try:
        return Instance(data, study=read_study(data))
    except ImageError as error:
        return Instance(data, error=error)


def _require_one_study(instances: Sequence[Instance]) -> None:
    studies = {instance.study.StudyInstanceUID for instance in instances if instance.study is not None}
    if len(studies) > 1:
        raise RequestError(
            f"The instances belong to {len(studies)} studies; one is expected.",
            hint="Send each study in a request of its own.",
            code="several_studies",
            status=409,
        )


def _assess(instance: Instance, predictor: BoundedPredictor, *, reports: bool) -> None:
    if instance.study is None:
        return
    try:
        prediction = predictor.predict(instance.data, opened=picture_in, heatmap=reports)
        if reports:
            instance.reports = [to_bytes(report) for report in dicom_reports(prediction, instance.study)]
        instance.prediction = prediction
    except ImageError as error:
        instance.error = error


def _answer(instances: Sequence[Instance], kind: str) -> Response:
    failed = [(number, one.error) for number, one in enumerate(instances, 1) if one.error is not None]
    if kind == DICOM_JSON:
        status = 200 if not failed else 202 if len(failed) < len(instances) else 409
        response = jsonify(store_response(instances).to_json_dict())
        response.status_code, response.content_type = status, DICOM_JSON
        return response
    if len(failed) == len(instances):
        number, error = failed[0]
        raise RequestError(
            f"None of the {len(instances)} instances can be assessed. The first: {error.message}",
            hint=error.hint,
            code=error.code,
            status=status_of(error),
        )
    status = 202 if failed else 200
    if kind == FHIR:
        answers = [
            Answered(one.prediction, one.data, one.study) for one in instances if one.prediction is not None
        ]
        return as_fhir(bundle(answers, [(error, status_of(error)) for _, error in failed]), status)
    response = as_related((report for one in instances for report in one.reports), status)
    for number, error in failed:
        response.headers.add("Warning", f'299 - "instance {number}: {error.code}"')
    return response
