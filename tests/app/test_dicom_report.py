"""Reports in DICOM: as the standard wants them, in the study of the picture, and as a reader finds them."""

from __future__ import annotations

import dataclasses
import io
import subprocess
from pathlib import Path

import pydicom
import pytest
from clinic_tools import program
from conftest import encode, make_picture
from dicom_made import dicom
from highdicom.sr import MeasurementReport
from PIL import Image
from pydicom.sr.codedict import codes

from app.clinic.dicom import read_study
from app.clinic.dicom_report import dicom_reports, label_code, to_bytes
from app.heatmap import png_bytes
from app.prediction import Prediction
from app.predictor import Predictor
from model.errors import ImageError

PHOTO = make_picture(96, 72).convert("RGB")
NAME = "Müller^Jürgen=शर्मा"


@pytest.fixture(scope="module")
def prediction(predictor: Predictor) -> Prediction:
    found = predictor.predict(encode(PHOTO, "PNG"), heatmap=True)
    return dataclasses.replace(found, prediction_set=(found.conditions[0].name,))


@pytest.fixture(scope="module")
def source() -> pydicom.FileDataset:
    data = dicom(PHOTO, SpecificCharacterSet="ISO_IR 192", PatientName=NAME, AccessionNumber="A17")
    return pydicom.dcmread(io.BytesIO(data))


@pytest.fixture(scope="module")
def files(prediction: Prediction, source: pydicom.FileDataset) -> list[bytes]:
    return [to_bytes(report) for report in dicom_reports(prediction, read_study(to_bytes(source)))]


def test_reports_join_the_study_of_the_picture(files: list[bytes], source: pydicom.FileDataset) -> None:
    for file in files:
        found = pydicom.dcmread(io.BytesIO(file))
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
            assert found[keyword].value == source[keyword].value
        assert found.SeriesInstanceUID != source.SeriesInstanceUID


def test_the_structured_report_has_verdict_and_probabilities(
    files: list[bytes], source: pydicom.FileDataset, prediction: Prediction
) -> None:
    found = pydicom.dcmread(io.BytesIO(files[0]))
    assert found.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (found.CompletionFlag, found.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert found.PreliminaryFlag == "PRELIMINARY"
    report = MeasurementReport.from_sequence([found])
    verdict, *findings = report.get_image_measurement_groups()
    assert verdict.get_qualitative_evaluations()[0].value.value == prediction.verdict
    told = {}
    for finding in findings:
        (probability,) = finding.get_measurements(name=codes.DCM.Probability)
        told[finding.finding_type] = probability.value
        assert finding.source_images[0].referenced_sop_instance_uid == source.SOPInstanceUID
    expected = {label_code(one.name): one.probability for one in prediction.conditions}
    assert told == pytest.approx(expected, abs=1e-6)
    (in_set,) = (finding for finding in findings if finding.get_qualitative_evaluations())
    assert in_set.finding_type == label_code(prediction.conditions[0].name)


def test_a_code_of_our_own_stands_where_no_public_one_means_the_same() -> None:
    schemes = {
        name: label_code(name).scheme_designator for name in ("Psoriasis", "Warts", "Infestations_Bites")
    }
    assert schemes == {"Psoriasis": "SCT", "Warts": "I10", "Infestations_Bites": "99SKINDISEASENET"}


def test_a_rejected_picture_has_the_verdict_alone(prediction: Prediction) -> None:
    rejected = dataclasses.replace(prediction, verdict="rejected", heatmap=None)
    (report,) = dicom_reports(rejected, read_study(dicom(PHOTO)))
    found = pydicom.dcmread(io.BytesIO(to_bytes(report)))
    assert len(MeasurementReport.from_sequence([found]).get_image_measurement_groups()) == 1


def test_the_secondary_capture_is_the_heat_map(
    files: list[bytes], source: pydicom.FileDataset, prediction: Prediction
) -> None:
    found = pydicom.dcmread(io.BytesIO(files[1]))
    assert prediction.heatmap is not None
    with Image.open(io.BytesIO(png_bytes(prediction.heatmap))) as heat_map:
        assert found.pixel_array.tobytes() == heat_map.convert("RGB").tobytes()
    assert found.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_values_that_a_report_cannot_repeat_are_an_error_that_does_not_quote_them(
    prediction: Prediction,
) -> None:
    study = read_study(dicom(PHOTO))
    study.PatientSex = "SECRET"
    with pytest.raises(ImageError, match="cannot repeat") as refused:
        dicom_reports(prediction, study)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("number", [0, 1])
def test_the_validator_finds_no_error(number: int, files: list[bytes], tmp_path: Path) -> None:
    validator = program("dciodvfy")
    (tmp_path / "report.dcm").write_bytes(files[number])
    result = subprocess.run(
        [validator, "-new", tmp_path / "report.dcm"], capture_output=True, text=True, timeout=60
    )
    assert [line for line in result.stderr.splitlines() if line.startswith("Error")] == []
    assert ("EnhancedSR", "SCImage")[number] in result.stderr
