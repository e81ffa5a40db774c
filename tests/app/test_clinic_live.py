"""A real server with CLINIC=yes beside a real archive: reports arrive, and no log names a patient."""

from __future__ import annotations

import http.client
import io
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from clinic_tools import orthanc
from conftest import make_picture
from dicom_made import dicom
from pydicom import config, uid
from serving import Server, started
from stow import TYPE, body, parts

PHOTO = make_picture(96, 72).convert("RGB")
STUDY, NAME, IDENTIFIER = uid.generate_uid(), "Unmistakable^Person", "ID-6283185"
PATIENT = {"PatientName": NAME, "PatientID": IDENTIFIER, "StudyInstanceUID": STUDY}


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("clinic") / "server.log"
    yield from started(tiny_checkpoint, log, CLINIC="yes")


def ask(
    address: str, method: str = "GET", data: bytes | None = None, **headers: str
) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    parsed = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parsed.netloc, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"{parsed.path}?{parsed.query}", data, named)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


def query(address: str) -> list[dict[str, Any]]:
    status, _, found = ask(address, Accept="application/dicom+json")
    assert status == 200, found
    return json.loads(found)


def test_an_archive_takes_the_reports_and_finds_them_in_the_study(server: Server, tmp_path: Path) -> None:
    photo = dicom(PHOTO, **PATIENT)
    stow = f"http://127.0.0.1:{server.port}/dicomweb/studies"
    with orthanc(tmp_path) as archive:
        assert ask(f"{archive}/studies", "POST", body(photo), Content_Type=TYPE)[0] == 200
        _, kind, part = ask(
            f"{archive}/studies/{STUDY}", Accept='multipart/related; type="application/dicom"'
        )
        status, kind, reports = ask(stow, "POST", part, Content_Type=kind)
        assert status == 200, reports
        assert len(parts(kind, reports)) == 2
        status, _, stored = ask(
            f"{archive}/studies", "POST", reports, Content_Type=kind, Accept="application/dicom+json"
        )
        assert (status, "Value" in json.loads(stored)["00081198"]) == (200, False), "none failed"
        (study,) = query(f"{archive}/studies?PatientID={IDENTIFIER}")
        assert study["0020000D"]["Value"] == [STUDY]
        series = query(f"{archive}/studies/{STUDY}/series")
        assert sorted(one["00080060"]["Value"][0] for one in series) == ["OT", "SR", "XC"]
        (report,) = query(f"{archive}/studies/{STUDY}/instances?Modality=SR&includefield=all")
        assert report["00080016"]["Value"] == [uid.EnhancedSRStorage]


def test_no_log_names_a_patient(server: Server) -> None:
    address = f"http://127.0.0.1:{server.port}"
    odd = {"PatientSex": NAME.upper()[:16], "PatientBirthDate": NAME[:8], "StudyDate": "Unmistak"}
    damaged = dicom(PHOTO, **PATIENT)
    sent = {
        "right": (dicom(PHOTO, **PATIENT), 200),
        "grey": (dicom(PHOTO, **PATIENT, PhotometricInterpretation="MONOCHROME2"), 415),
        "cut off": (damaged[:3000], 422),
    }
    for data, status in sent.values():
        for accept in ("application/json", "application/fhir+json"):
            answer = ask(
                f"{address}/api/v1/predict", "POST", data, Content_Type="application/dicom", Accept=accept
            )
            assert answer[0] == status, answer
        assert ask(f"{address}/dicomweb/studies", "POST", body(data), Content_Type=TYPE)[0] == status
    for name, value in odd.items():
        data = _with(damaged, name, value)
        status, _, answer = ask(f"{address}/dicomweb/studies", "POST", body(data), Content_Type=TYPE)
        assert status in (200, 422), answer
    logged = server.log.read_text() + server.log.with_name("audit.log").read_text()
    assert logged.count("dicomweb.store") >= 5
    for secret in ("unmistak", IDENTIFIER.lower(), STUDY):
        assert secret not in logged.lower()


def _with(data: bytes, name: str, value: str) -> bytes:
    """The file with a value that pydicom would not write."""
    found = pydicom.dcmread(io.BytesIO(data))
    kind = pydicom.datadict.dictionary_VR(name)
    found.add(pydicom.DataElement(name, kind, value, validation_mode=config.IGNORE))
    file = io.BytesIO()
    found.save_as(file, enforce_file_format=True)
    return file.getvalue()
