"""FHIR R4 out: answers as a Bundle of resources, errors as an OperationOutcome."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import pydicom
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome

from app.heatmap import png_bytes
from app.pages import wording
from app.prediction import Prediction, RankedCondition
from model.errors import SkinDiseaseNetError
from model.labels import condition

NAME = "SkinDiseaseNet"
TITLE = "Which groups of skin conditions a photograph resembles, by a machine"
NOTICE = "A learning aid, never a diagnosis; nobody has verified it."

_SNOMED_CT, _ICD_10 = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10"
_UIDS, _UNITS = "urn:dicom:uid", "http://unitsofmeasure.org"

_ISSUES = {
    **{401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported"},
    **{408: "timeout", 409: "conflict", 413: "too-long", 415: "not-supported", 429: "throttled"},
    **{500: "exception", 503: "transient"},
}
"""HTTP status → the type of the issue, a code of FHIR's; ``invalid`` for all others."""

Resource = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Answered:
    """An answer and the picture that it is about.

    Attributes:
        prediction: the answer.
        data: the file that was sent.
        study: of a DICOM file, from ``read_study``; None for other pictures.
    """

    prediction: Prediction
    data: bytes
    study: pydicom.Dataset | None


def bundle(
    answers: Sequence[Answered], failures: Sequence[tuple[SkinDiseaseNetError, int]] = ()
) -> dict[str, Any]:
    """Write answers as a Bundle of the type "collection".

    For each answer it has a DiagnosticReport (preliminary), an Observation for each label, a Device (the
    model) and a Media (the picture's size and hash, not the picture; a second one with the heat map where
    there is one). The labels of a rejected picture have no probability, but a ``dataAbsentReason``. Codes are
    those of SNOMED CT and ICD-10 that mean the same as the label; where there are none, text stands alone.

    Args:
        answers: any number.
        failures: errors of pictures without an answer, each with the HTTP status that it would have alone.

    Returns:
        JSON, valid by R4B, of whose changes from R4 these resources have none.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entries = [entry for answered in answers for entry in _entries(answered, now)]
    entries += [_entry(operation_outcome(error, status)) for error, status in failures]
    whole = {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": uuid.uuid4().urn},
        "type": "collection",
        "timestamp": now,
        "entry": entries,
    }
    return Bundle.model_validate(whole).model_dump(mode="json")


def operation_outcome(error: SkinDiseaseNetError, status: int) -> dict[str, Any]:
    """Write an error as an OperationOutcome with its code, message and hint.

    Args:
        error: what went wrong.
        status: its HTTP status, which decides the type of the issue.
    """
    issue = {
        "severity": "error",
        "code": _ISSUES.get(status, "invalid"),
        "details": {"coding": [{"code": error.code}], "text": error.message},
        "diagnostics": error.hint,
    }
    whole = {"resourceType": "OperationOutcome", "issue": [issue]}
    return OperationOutcome.model_validate(whole).model_dump(mode="json")


def _entry(resource: Resource) -> dict[str, Any]:
    return {"fullUrl": uuid.uuid4().urn, "resource": resource}


def _to(*entries: dict[str, Any]) -> list[dict[str, str]]:
    return [{"reference": entry["fullUrl"]} for entry in entries]


def _entries(answered: Answered, now: str) -> list[dict[str, Any]]:
    prediction, study = answered.prediction, answered.study
    subject = _subject(study)
    device = _entry(_device(prediction))
    picture = _entry({**_picture(answered), **subject})
    media = [picture]
    if prediction.heatmap is not None:
        media.append(_entry({**_heat_map(prediction.heatmap), **subject}))
    common = {
        **subject,
        "device": _to(device)[0],
        "derivedFrom": _to(picture),
        "issued": now,
    }
    rejected = prediction.verdict == "rejected"
    observations = [
        _entry({**_observation(ranked, rejected=rejected), **common}) for ranked in prediction.conditions
    ]
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "code": {"text": TITLE},
        **subject,
        "issued": now,
        "result": _to(*observations),
        "media": [{"link": link} for link in _to(*media)],
        "conclusion": _conclusion(prediction),
    }
    if study is not None:
        report["imagingStudy"] = [
            {"type": "ImagingStudy", "identifier": _uid(study.StudyInstanceUID)},
        ]
    return [_entry(report), *observations, device, *media]


def _subject(study: pydicom.Dataset | None) -> dict[str, Any]:
    """The patient's identifier, which ties the resources to a record; no name."""
    if study is None or not study.PatientID:
        return {}
    return {"subject": {"type": "Patient", "identifier": {"value": str(study.PatientID)}}}


def _uid(value: str) -> dict[str, str]:
    return {"system": _UIDS, "value": f"urn:oid:{value}"}


def _device(prediction: Prediction) -> Resource:
    return {
        "resourceType": "Device",
        "status": "active",
        "deviceName": [{"name": NAME, "type": "user-friendly-name"}],
        "modelNumber": prediction.checkpoint["id"],
        "version": [{"value": prediction.checkpoint["revision"]}],
        "type": {"text": "Software: a classifier of photographs of skin"},
        "note": [{"text": NOTICE}],
    }


def _picture(answered: Answered) -> Resource:
    content: dict[str, Any] = {
        "title": "The picture that was assessed",
        "size": len(answered.data),
        # the algorithm that FHIR prescribes
        "hash": base64.b64encode(hashlib.sha1(answered.data, usedforsecurity=False).digest()).decode(),
    }
    media: Resource = {"resourceType": "Media", "status": "completed", "content": content}
    if answered.study is not None:
        content["contentType"] = "application/dicom"
        media["identifier"] = [_uid(answered.study.SOPInstanceUID)]
    return media


def _heat_map(heatmap: str) -> Resource:
    content = {
        "title": "Where the evidence for the most probable label lies (Grad-CAM)",
        "contentType": "image/png",
        "data": base64.b64encode(png_bytes(heatmap)).decode(),
    }
    return {"resourceType": "Media", "status": "completed", "content": content}


def _observation(ranked: RankedCondition, *, rejected: bool) -> Resource:
    codes = condition(ranked.name).codes
    coding = []
    if codes.snomed_ct is not None:
        coding.append({"system": _SNOMED_CT, "code": codes.snomed_ct})
    if codes.icd10 is not None and "-" not in codes.icd10:  # a range is no code
        coding.append({"system": _ICD_10, "code": codes.icd10})
    observation: Resource = {
        "resourceType": "Observation",
        "status": "preliminary",
        "code": {"text": ranked.title, **({"coding": coding} if coding else {})},
        "method": {"text": "Calibrated probability that the photograph belongs to this group"},
    }
    if rejected:
        observation["dataAbsentReason"] = {"text": "The picture was rejected: it cannot be assessed"}
    else:
        observation["valueQuantity"] = {
            "value": round(ranked.probability, 6),
            "unit": "probability",
            "system": _UNITS,
            "code": "1",
        }
    return observation


def _conclusion(prediction: Prediction) -> str:
    told = wording.advice(prediction)
    modality = prediction.modality.message if prediction.modality else None
    quality = " ".join(warning.message for warning in prediction.quality)
    sentences = [prediction.reason, told.how_soon, told.caution, told.text, modality, quality, NOTICE]
    return "\n".join(sentence for sentence in sentences if sentence)
