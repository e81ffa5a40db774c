"""DICOM out: a structured report (TID 1500) and the heat map as a secondary capture, of the same study."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sc import SCImage
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from PIL import Image
from pydicom import uid
from pydicom.sr.codedict import codes

from app.heatmap import png_bytes
from app.prediction import Prediction
from model.errors import ImageError
from model.labels import URGENCY, condition

NAME = "SkinDiseaseNet"
SCHEME = "99SKINDISEASENET"
"""Of the codes for labels that no public scheme has a code for, and for what only this model says."""

# So high that cameras and archives have not given them to series of the study.
_REPORT_SERIES, _HEAT_MAP_SERIES = 9201, 9202
_NOTICE = "preliminary, not a diagnosis"


def dicom_reports(prediction: Prediction, study: pydicom.Dataset) -> list[pydicom.Dataset]:
    """Write an answer as DICOM objects of the study that the picture came from.

    Args:
        prediction: the answer.
        study: of the picture, from ``read_study``.

    Returns:
        A structured report and, where the answer has a heat map, a secondary capture. Each has a new UID in a
        series of its own. Both say that they are preliminary, and the report that nobody verified it.

    Raises:
        ImageError: ``invalid_image``, values of the study cannot stand in a report.
    """
    try:
        reports = [_structured_report(prediction, study)]
        if prediction.heatmap is not None:
            reports.append(_heat_map(prediction.heatmap, prediction, study))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # not its message, which quotes the values
        raise ImageError(
            f"The DICOM file has values about patient or study that a report cannot repeat "
            f"({type(error).__name__}).",
            hint="Correct identifier, birth date, sex and study date of the file, or ask for JSON.",
            code="invalid_image",
        ) from None
    return reports


def to_bytes(report: pydicom.Dataset) -> bytes:
    """The object as a DICOM file."""
    file = io.BytesIO()
    pydicom.dcmwrite(file, report, enforce_file_format=True)
    return file.getvalue()


def label_code(name: str) -> CodedConcept:
    """The code of a label: in SNOMED CT or ICD-10 where one means the same, otherwise one of our own."""
    text = condition(name)
    if text.codes.snomed_ct is not None:
        return CodedConcept(text.codes.snomed_ct, "SCT", text.title[:64])
    if text.codes.icd10 is not None and "-" not in text.codes.icd10:
        return CodedConcept(text.codes.icd10, "I10", text.title[:64])
    return _own(name, text.title)


def _own(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, SCHEME, meaning[:64])


def _structured_report(prediction: Prediction, study: pydicom.Dataset) -> pydicom.Dataset:
    model, revision = prediction.checkpoint["id"][:64], prediction.checkpoint["revision"]
    observer = DeviceObserverIdentifyingAttributes(
        uid=uid.generate_uid(entropy_srcs=[NAME, model, revision]), name=NAME, model_name=model
    )
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(codes.DCM.Device, observer)
        ),
        procedure_reported=codes.SCT.PhotographyOfPatient,
        imaging_measurements=_findings(prediction, study),
    )
    return EnhancedSR(
        evidence=[study],
        content=report[0],
        series_instance_uid=uid.generate_uid(),
        series_number=_REPORT_SERIES,
        sop_instance_uid=uid.generate_uid(),
        instance_number=1,
        manufacturer=NAME,
        manufacturer_model_name=model,
        software_versions=revision,
        device_serial_number=revision,
        series_description=f"{NAME}: {_NOTICE}",
        specific_character_set="ISO_IR 192",
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name=NAME)],
    )


def _findings(prediction: Prediction, study: pydicom.Dataset) -> list[MeasurementsAndQualitativeEvaluations]:
    """The verdict, then each label with its probability; a rejected picture has the verdict alone."""
    model, revision = prediction.checkpoint["id"][:64], prediction.checkpoint["revision"]
    algorithm = AlgorithmIdentification(f"{NAME} {model}", revision)
    source = SourceImageForMeasurementGroup(study.SOPClassUID, study.SOPInstanceUID)

    def finding(name: str, **content: Any) -> MeasurementsAndQualitativeEvaluations:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(uid.generate_uid(), name),
            algorithm_id=algorithm,
            source_images=[source],
            **content,
        )

    urgency = prediction.advice["urgency"]
    verdict = finding(
        "Verdict",
        qualitative_evaluations=[
            QualitativeEvaluation(
                _own("verdict", "Verdict"), _own(prediction.verdict, prediction.verdict.replace("_", " "))
            ),
            QualitativeEvaluation(
                _own("urgency", "How soon to see a doctor"), _own(urgency, URGENCY[urgency])
            ),
        ],
    )
    if prediction.verdict == "rejected":
        return [verdict]
    in_set = [QualitativeEvaluation(_own("prediction_set", "Cannot be ruled out"), codes.SCT.Yes)]
    return [verdict] + [
        finding(
            ranked.title,
            finding_type=label_code(ranked.name),
            measurements=[
                Measurement(codes.DCM.Probability, round(ranked.probability, 6), codes.UCUM.NoUnits)
            ],
            qualitative_evaluations=in_set if ranked.name in (prediction.prediction_set or ()) else None,
        )
        for ranked in prediction.conditions
    ]


def _heat_map(heatmap: str, prediction: Prediction, study: pydicom.Dataset) -> pydicom.Dataset:
    with Image.open(io.BytesIO(png_bytes(heatmap))) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    capture = SCImage.from_ref_dataset(
        study,
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # highdicom wants one
        series_instance_uid=uid.generate_uid(),
        series_number=_HEAT_MAP_SERIES,
        sop_instance_uid=uid.generate_uid(),
        instance_number=1,
        manufacturer=NAME,
        manufacturer_model_name=prediction.checkpoint["id"][:64],
        software_versions=prediction.checkpoint["revision"],
        series_description=f"{NAME} heat map: {_NOTICE}",
        specific_character_set="ISO_IR 192",
        transfer_syntax_uid=uid.ExplicitVRLittleEndian,
    )
    for keyword in ("PatientOrientation", "Laterality"):  # nobody knows them of a photograph
        setattr(capture, keyword, None)
    capture.ConversionType = "WSD"
    capture.BurnedInAnnotation = "NO"
    capture.DerivationDescription = "Where the evidence for the most probable label lies (Grad-CAM)"
    source = pydicom.Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = study.SOPClassUID, study.SOPInstanceUID
    capture.SourceImageSequence = [source]
    return capture
