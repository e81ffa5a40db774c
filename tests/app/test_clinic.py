"""CLINIC=yes: DICOM in, DICOM and FHIR out, and every error in the form that the caller reads."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import flask
import pyarrow.parquet as pq
import pytest
from conftest import encode, make_picture
from dicom_made import PATIENT, dicom
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from flask.testing import FlaskClient
from pydicom import uid
from stow import TYPE, body, datasets

from app.__main__ import main
from app.bulk.actor import Scorer, result, sent
from app.bulk.archive import Archive, Place
from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app
from model.checkpoint import find
from model.errors import ConfigError
from model.labels import LABELS, condition

PHOTO = make_picture(96, 72).convert("RGB")
FHIR, DICOM_JSON = "application/fhir+json", "application/dicom+json"
STUDY = uid.generate_uid()


@pytest.fixture(scope="module")
def app(predictor: Predictor) -> flask.Flask:
    return create_app(Settings(port=8000, clinic=True, rate_limit=None), predictor)


def predict(client: FlaskClient, data: bytes, accept: str | None = None, query: str = "") -> Any:
    headers = {"Accept": accept} if accept else {}
    return client.post(
        f"/api/v1/predict{query}", data=data, content_type="application/dicom", headers=headers
    )


def store(client: FlaskClient, *files: bytes, accept: str | None = None) -> Any:
    headers = {"Accept": accept} if accept else {}
    return client.post("/dicomweb/studies", data=body(*files), content_type=TYPE, headers=headers)


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [resource for resource in found if resource["resourceType"] == kind]


def test_dicom_and_the_picture_in_it_get_the_same_answer(client: FlaskClient, predictor: Predictor) -> None:
    data = dicom(PHOTO)
    as_body = predict(client, data)
    as_form = client.post("/api/v1/predict", data={"image": (io.BytesIO(data), "x.dcm")})
    expected = predictor.predict(encode(PHOTO, "PNG")).to_json()["conditions"]
    assert as_body.get_json()["conditions"] == as_form.get_json()["conditions"] == expected


def test_without_the_setting_dicom_is_an_unsupported_format(predictor: Predictor) -> None:
    client = create_app(Settings(port=8000), predictor).test_client()
    refused = predict(client, dicom(PHOTO), FHIR)
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (415, "unsupported_format")
    assert store(client, dicom(PHOTO)).status_code == 404
    assert predict(client, encode(PHOTO), FHIR).mimetype == "application/json"


def test_without_the_packages_the_start_says_what_to_install(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    monkeypatch.setattr("app.clinic.find_spec", lambda name: None if name == "highdicom" else object())
    with pytest.raises(ConfigError, match=r"highdicom.*requirements-clinic\.txt"):
        create_app(Settings(port=8000, clinic=True), predictor)


def test_fhir_has_a_report_an_observation_a_label_the_model_and_the_picture(
    client: FlaskClient, predictor: Predictor
) -> None:
    sent = encode(PHOTO)
    response = predict(client, sent, FHIR, "?heatmap=1")
    assert response.content_type == "application/fhir+json; fhirVersion=4.0; charset=utf-8"
    bundle = response.get_json()
    assert Bundle.model_validate(bundle).type == "collection"
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert "never a diagnosis" in report["conclusion"]
    assert "subject" not in report
    observed = resources(bundle, "Observation")
    values = {one["code"]["text"]: one["valueQuantity"]["value"] for one in observed}
    expected = predictor.predict(sent).conditions
    assert values == {one.title: pytest.approx(one.probability, abs=1e-6) for one in expected}
    (device,) = resources(bundle, "Device")
    assert device["modelNumber"] == predictor.id
    assert device["version"] == [{"value": predictor.revision}]
    picture, heat_map = (media["content"] for media in resources(bundle, "Media"))
    assert picture["size"] == len(sent)
    assert "data" not in picture
    assert heat_map["contentType"] == "image/png"
    named = {entry["fullUrl"] for entry in bundle["entry"]}
    references = [*report["result"], *(one["link"] for one in report["media"])]
    references += [one["device"] for one in observed]
    assert {one["reference"] for one in references} <= named


def test_codes_stand_where_one_means_the_same(client: FlaskClient) -> None:
    observed = resources(predict(client, encode(PHOTO), FHIR).get_json(), "Observation")
    coded = {one["code"]["text"]: one["code"].get("coding", []) for one in observed}
    assert coded["Psoriasis"] == [
        {"system": "http://snomed.info/sct", "code": "9014002"},
        {"system": "http://hl7.org/fhir/sid/icd-10", "code": "L40"},
    ]
    without = [name for name in LABELS if condition(name).codes.icd10 is None]
    assert without
    assert all(coded[condition(name).title] == [] for name in without)
    assert not any("-" in code["code"] for found in coded.values() for code in found), "a range is no code"


def test_fhir_of_a_dicom_file_names_its_study_and_the_patients_identifier(client: FlaskClient) -> None:
    response = predict(client, dicom(PHOTO, StudyInstanceUID=STUDY), FHIR)
    (report,) = resources(response.get_json(), "DiagnosticReport")
    assert report["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{STUDY}"
    assert report["subject"]["identifier"]["value"] == "4711"
    assert PATIENT not in response.text


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"DICM", 415, "not-supported"),
        (b"", 400, "invalid"),
        (dicom(PHOTO)[:5000], 422, "invalid"),
        (dicom(PHOTO, PhotometricInterpretation="MONOCHROME2"), 415, "not-supported"),
        (dicom(PHOTO, Rows=60_000, Columns=60_000), 413, "too-long"),
    ],
)
def test_an_error_is_an_operation_outcome_for_who_reads_fhir(
    client: FlaskClient, data: bytes, status: int, code: str
) -> None:
    response = predict(client, data, FHIR)
    assert (response.status_code, response.mimetype) == (status, FHIR)
    (issue,) = OperationOutcome.model_validate(response.get_json()).issue
    plain = predict(client, data)
    assert plain.status_code == status
    assert issue.code == code
    assert issue.details.text == plain.get_json()["error"]["message"]
    assert issue.diagnostics == plain.get_json()["error"]["hint"]


@pytest.mark.parametrize("accept", ["text/html", "application/fhir+json; fhirVersion=3.0", f"{FHIR};q=0"])
def test_what_cannot_be_written_is_not_promised(client: FlaskClient, accept: str) -> None:
    response = predict(client, encode(PHOTO), accept)
    assert (response.status_code, response.get_json()["error"]["code"]) == (406, "not_acceptable")


def test_predict_answers_in_dicom_to_dicom_alone(client: FlaskClient) -> None:
    accept = 'multipart/related; type="application/dicom"'
    response = predict(client, dicom(PHOTO, StudyInstanceUID=STUDY), accept, "?heatmap=1")
    report, heat_map = datasets(response.content_type, response.data)
    assert (report.Modality, heat_map.SOPClassUID) == ("SR", uid.SecondaryCaptureImageStorage)
    assert report.StudyInstanceUID == heat_map.StudyInstanceUID == STUDY
    assert predict(client, encode(PHOTO), accept).status_code == 406


def test_a_study_is_answered_with_the_reports_of_its_pictures(client: FlaskClient) -> None:
    response = store(client, *(dicom(PHOTO, StudyInstanceUID=STUDY) for _ in range(2)))
    assert response.status_code == 200
    found = datasets(response.content_type, response.data)
    assert [one.Modality for one in found] == ["SR", "OT"] * 2
    assert {(one.StudyInstanceUID, str(one.PatientName)) for one in found} == {(STUDY, PATIENT)}
    assert len({one.SOPInstanceUID for one in found}) == 4


def test_what_fails_in_a_study_is_named_and_the_rest_is_answered(client: FlaskClient) -> None:
    good, scan = (
        dicom(PHOTO, StudyInstanceUID=STUDY, SOPClassUID=kind)
        for kind in (uid.VLPhotographicImageStorage, uid.CTImageStorage)
    )
    response = store(client, good, scan, b"no DICOM")
    assert response.status_code == 202
    assert len(datasets(response.content_type, response.data)) == 2
    assert response.headers.getlist("Warning") == [
        '299 - "instance 2: unsupported_format"',
        '299 - "instance 3: unsupported_format"',
    ]
    told = store(client, good, scan, b"no DICOM", accept=DICOM_JSON)
    assert (told.status_code, told.mimetype) == (202, DICOM_JSON)
    referenced, failed, others = (
        told.get_json()[tag]["Value"] for tag in ("00081199", "00081198", "0008119A")
    )
    assert len(referenced) == len(failed) == len(others) == 1
    assert failed[0]["00081197"]["Value"] == [0x0122]
    assert others[0]["00081197"]["Value"] == [0xC000]
    bundle = store(client, good, scan, accept=FHIR)
    assert bundle.status_code == 202
    assert len(resources(bundle.get_json(), "DiagnosticReport")) == 1
    assert len(resources(bundle.get_json(), "OperationOutcome")) == 1


def test_a_study_without_a_picture_that_can_be_assessed_is_an_error(client: FlaskClient) -> None:
    grey = dicom(PHOTO, PhotometricInterpretation="MONOCHROME2")
    refused = store(client, grey)
    assert refused.status_code == 415
    assert "MONOCHROME2" in refused.get_json()["error"]["message"]
    told = store(client, grey, accept=DICOM_JSON)
    assert told.status_code == 409
    assert "00081199" not in told.get_json()
    assert OperationOutcome.model_validate(store(client, grey, accept=FHIR).get_json())


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (body(dicom(PHOTO), dicom(PHOTO)), TYPE, 409),  # two studies
        (body(*[b"x"] * 13), TYPE, 400),
        (body(), TYPE, 400),
        (body(dicom(PHOTO))[:-12], TYPE, 400),
        (body(dicom(PHOTO)), "multipart/related", 400),
        (body(dicom(PHOTO)), 'multipart/related; type="image/jpeg"; boundary=a-study', 415),
        (dicom(PHOTO), "application/dicom", 415),
    ],
)
def test_a_body_that_is_no_study_is_refused(
    client: FlaskClient, data: bytes, content_type: str, status: int
) -> None:
    response = client.post("/dicomweb/studies", data=data, content_type=content_type)
    assert response.status_code == status
    assert set(response.get_json()["error"]) == {"code", "message", "hint"}


def test_the_document_lists_the_formats(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    assert "application/dicom" in paths["/api/v1/predict"]["post"]["requestBody"]["content"]
    assert set(paths["/dicomweb/studies"]["post"]["responses"]) >= {"200", "202", "406", "409"}


def test_the_commands_read_dicom_where_they_are_asked_to(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.dcm").write_bytes(dicom(PHOTO))
    command = ["predict", str(tmp_path / "one.dcm"), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
    assert main([*command, "--dicom"]) == 0
    assert main(command) == 1
    read, refused = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert read["verdict"]
    assert refused["error"]["code"] == "unsupported_format"
    place = Place.parse(str(tmp_path))
    (shard,) = Archive(place).shards(size=8, salt="")
    revision = find(str(tiny_checkpoint)).revision
    how = {"device": "cpu", "runtime": "auto", "cores": 1}
    scorer = Scorer(Archive(place), place / "out", str(tiny_checkpoint), revision, dicom=True, **how)
    scorer(sent(shard))
    table = pq.read_table(result(place / "out", shard).path)
    assert table["verdict"].to_pylist() == [read["verdict"]]
