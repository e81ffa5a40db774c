"""What STOW-RS says of the instances of a study (DICOM PS3.18, 10.5.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pydicom

from app.clinic.dicom import KINDS
from app.prediction import Prediction
from model.errors import ImageError

# Failure reasons of PS3.4, B.2.3
_NOT_THIS_CLASS, _TOO_LARGE, _NOT_UNDERSTOOD = 0x0122, 0xA700, 0xC000


@dataclasses.dataclass
class Instance:
    """One DICOM file of a request, and what became of it: prediction (and reports), or error."""

    data: bytes
    study: pydicom.Dataset | None = None
    prediction: Prediction | None = None
    reports: list[bytes] = dataclasses.field(default_factory=list)
    error: ImageError | None = None


def store_response(instances: Sequence[Instance]) -> pydicom.Dataset:
    """Which instances were taken and which failed, and why (PS3.18, table I.1-1)."""
    taken: list[pydicom.Dataset] = []
    failed: list[pydicom.Dataset] = []
    unnamed: list[pydicom.Dataset] = []
    for instance in instances:
        item = pydicom.Dataset()
        if (study := instance.study) is not None:
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = (
                study.SOPClassUID,
                study.SOPInstanceUID,
            )
        if instance.error is None:
            taken.append(item)
        else:
            item.FailureReason = _reason(instance)
            (unnamed if study is None else failed).append(item)
    response = pydicom.Dataset()
    if taken:
        response.ReferencedSOPSequence = taken
    if failed:
        response.FailedSOPSequence = failed
    if unnamed:
        response.OtherFailuresSequence = unnamed
    return response


def _reason(instance: Instance) -> int:
    if instance.study is not None and instance.study.SOPClassUID not in KINDS:
        return _NOT_THIS_CLASS
    too_large = instance.error is not None and instance.error.code == "image_too_large"
    return _TOO_LARGE if too_large else _NOT_UNDERSTOOD
