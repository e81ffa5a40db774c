"""The review queue over HTTP: consent, who may read, and the shape of errors."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from conftest import encode, make_picture
from dicom_made import PATIENT, dicom
from flask.testing import FlaskClient

from app.predictor import Predictor
from app.review.cipher import add_key as add_review_key
from app.service.keys import add_key
from app.settings import Settings
from app.web import create_app

PICTURE = encode(make_picture())


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, dict[str, str]]:
    file = tmp_path / "keys"
    return {name: {"Authorization": f"Bearer {add_key(file, name)}"} for name in ("ward", "one", "two")}


@pytest.fixture
def settings(tmp_path: Path, keys: dict[str, dict[str, str]]) -> Settings:
    add_review_key(tmp_path / "review.key")
    return Settings(
        port=8000,
        access="keys",
        keys_file=tmp_path / "keys",
        secret_key="s" * 32,
        sessions_folder=tmp_path / "sessions",
        review=f"sqlite:///{tmp_path / 'review.db'}",
        review_key_file=tmp_path / "review.key",
        review_readers=("one", "two"),
    )


@pytest.fixture
def reviewed(predictor: Predictor, settings: Settings) -> FlaskClient:
    return create_app(settings, predictor).test_client()


def form(**fields: object) -> dict[str, object]:
    return {"image": (io.BytesIO(PICTURE), "jane-doe.jpg"), **fields}


def test_a_picture_goes_from_consent_to_agreement(
    reviewed: FlaskClient, keys: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    without = reviewed.post("/api/v1/predict", data=form(), headers=keys["ward"])
    assert "X-Review-Case" not in without.headers
    sent = reviewed.post("/api/v1/predict?consent=1", data=form(), headers=keys["ward"])
    case = sent.headers["X-Review-Case"]
    assert "Let doctors review" in reviewed.post("/", data=form(), headers=keys["ward"]).text
    assert reviewed.post("/review/", data=form(), headers=keys["ward"]).status_code == 400
    thanks = reviewed.post("/review/", data=form(consent="1"), headers=keys["ward"])
    assert "is in the queue" in thanks.text
    for name in ("one", "two"):
        assert case in reviewed.get("/review/", headers=keys[name]).text
        page = reviewed.get(f"/review/cases/{case}", headers=keys[name]).text
        assert "You have read" not in page
        shown = reviewed.get(f"/review/cases/{case}/picture", headers=keys[name])
        assert shown.data.startswith(b"\xff\xd8")
        done = reviewed.post(f"/review/cases/{case}", data={"decision": "accept"}, headers=keys[name])
        assert done.status_code == 303
    agreement = reviewed.get("/review/agreement", headers=keys["one"]).text
    assert "1 case settled" in agreement
    assert "1.00 (95 % interval 0.21 to 1.00, 1 case)" in agreement
    assert b"jane-doe" not in (tmp_path / "review.db").read_bytes()


def test_errors_are_plain_pages(reviewed: FlaskClient, keys: dict[str, dict[str, str]]) -> None:
    case = reviewed.post("/api/v1/predict?consent=1", data=form(), headers=keys["ward"]).headers[
        "X-Review-Case"
    ]
    for name, path, data, status, said in (
        ("ward", "/review/cases/" + case, {"decision": "accept"}, 403, "may not read cases"),
        ("one", "/review/cases/none", {"decision": "accept"}, 404, "no such case"),
        ("one", "/review/cases/" + case, {}, 422, "accept, correct or reject"),
    ):
        answer = reviewed.post(path, data=data, headers=keys[name])
        assert answer.status_code == status
        assert said in answer.text
    for path in ("/review/", f"/review/cases/{case}", f"/review/cases/{case}/picture", "/review/agreement"):
        assert reviewed.get(path, headers=keys["ward"]).status_code == 403


def test_without_a_queue_nothing_is_kept(client: FlaskClient) -> None:
    answer = client.post("/api/v1/predict?consent=1", data=form())
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_parameter")
    assert client.get("/review/").status_code == 404


def test_of_a_dicom_file_the_picture_alone_is_stored(
    predictor: Predictor, settings: Settings, keys: dict[str, dict[str, str]]
) -> None:
    clinic = create_app(dataclasses.replace(settings, clinic=True), predictor).test_client()
    sent = clinic.post(
        "/api/v1/predict?consent=1",
        data=dicom(make_picture().convert("RGB")),
        content_type="application/dicom",
        headers={**keys["ward"], "Accept": "application/fhir+json"},
    )
    assert sent.mimetype == "application/fhir+json"
    shown = clinic.get(f"/review/cases/{sent.headers['X-Review-Case']}/picture", headers=keys["one"])
    assert shown.data.startswith(b"\xff\xd8")
    assert PATIENT.encode() not in shown.data


def test_who_sends_a_picture_is_asked_in_their_language(
    reviewed: FlaskClient, keys: dict[str, dict[str, str]]
) -> None:
    headers = {**keys["ward"], "Accept-Language": "mr"}
    assert "डॉक्टरांना हे चित्र पाहू द्या" in reviewed.post("/", data=form(), headers=headers).text
    assert "संमतीच्या चौकटीवर" in reviewed.post("/review/", data=form(), headers=headers).text
    assert "चित्र यादीत आहे" in reviewed.post("/review/", data=form(consent="1"), headers=headers).text
