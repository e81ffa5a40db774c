"""What is counted, whom it counts for, what the audit trail is spared, and what it must not lose."""

from __future__ import annotations

import io
import json
import os
import resource
from pathlib import Path

import pytest
from conftest import encode, make_picture
from flask.testing import FlaskClient

from app.predictor import Predictor
from app.service.audit_log import AuditLog
from app.service.keys import add_key
from app.settings import Settings
from app.web import create_app

JPEG = encode(make_picture())


def limited(predictor: Predictor, **settings: object) -> FlaskClient:
    return create_app(Settings(port=8000, rate_limit="3/minute", **settings), predictor).test_client()  # type: ignore[arg-type]


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, object]:
    return {"access": "keys", "keys_file": tmp_path / "keys", "secret_key": "s" * 32}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/v1/predict", {}, 401),
        ("/api/v1/predict", {"Authorization": "Bearer sdn_wrong"}, 401),
        ("/api/v1/predict", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/", {}, 401),
        ("/batch", {"Cookie": "session=x"}, 401),
        ("/sign-in", {}, 401),
        ("/sign-out", {}, 401),
        ("/nothing", {}, 401),
        ("/static/style.css", {}, 401),
    ],
)
def test_every_post_counts_also_one_that_is_refused(
    predictor: Predictor,
    tmp_path: Path,
    keys: dict[str, object],
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    key = add_key(tmp_path / "keys", "ward-7")
    client = limited(predictor, **keys)
    assert [client.post(path, headers=headers).status_code for _ in range(5)] == [*[status] * 3, 429, 429]
    bearer = {"Authorization": f"Bearer {key}"}
    answer = client.post("/api/v1/predict", data=JPEG, content_type="image/jpeg", headers=bearer)
    assert answer.status_code == 200, "whoever has a key has a count of his own"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sdn_any"}])
def test_posts_count_while_the_keys_cannot_be_read(
    predictor: Predictor, tmp_path: Path, keys: dict[str, object], headers: dict[str, str]
) -> None:
    key = add_key(tmp_path / "keys", "ward-7")
    client = limited(predictor, **keys)
    (tmp_path / "keys").rename(tmp_path / "moved")
    status = 503 if headers else 401
    answers = [client.post("/api/v1/predict", headers=headers).status_code for _ in range(4)]
    assert answers == [*[status] * 3, 429]
    assert client.get("/healthz", headers={"Authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize(
    ("told", "together"),
    [
        (["203.0.113.7", "203.0.113.7:5000", "203.0.113.7:61000", "::ffff:203.0.113.7"], True),
        (
            ["2001:db8:0:1::1", "[2001:db8:0:1::2]:443", "[2001:db8:0:1:ffff::3]", "2001:db8:0:1::4%eth0"],
            True,
        ),
        (["unknown", "_hidden", "x" * 50, "1.2.3.4.5"], True),
        (["203.0.113.7", "203.0.113.8", "203.0.113.9", "203.0.113.10"], False),
        (["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1", "::1"], False),
    ],
)
def test_one_visitor_counts_once_however_the_address_is_written(
    predictor: Predictor, told: list[str], together: bool
) -> None:
    client = limited(predictor, trusted_proxies=1)
    statuses = [client.post("/nothing", headers={"X-Forwarded-For": address}).status_code for address in told]
    assert statuses == [404, 404, 404, 429 if together else 404]


def test_what_is_over_the_limit_leaves_no_audit_line(predictor: Predictor, tmp_path: Path) -> None:
    log = tmp_path / "audit"
    client = limited(predictor, audit_log=str(log))
    statuses = [
        client.post("/api/v1/predict", data=b"x", content_type="image/png").status_code for _ in range(50)
    ]
    assert statuses.count(429) == 47
    assert [json.loads(line)["status"] for line in log.read_text().splitlines()] == [415] * 3
    assert 'status="429"' in client.get("/metrics").text


def test_a_full_disk_costs_lines_and_spoils_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "audit"
    audit = AuditLog(str(path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (500, hard)
    )  # a write past it comes to an early end, then fails
    try:
        written = [audit.write(number=number) for number in range(20)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {*written} == {True, False}
    assert "could not be written" in caplog.text
    assert audit.write(number=20)
    numbers = [json.loads(line)["number"] for line in path.read_text().splitlines()]
    assert numbers == [*range(written.count(True)), 20]


def test_a_line_that_broke_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    path.write_text('{"whole": 1}\n{"its writer was kil')
    assert AuditLog(str(path)).write(number=1)
    whole, _, after = path.read_text().splitlines()
    assert (json.loads(whole), json.loads(after)["number"]) == ({"whole": 1}, 1)


@pytest.mark.parametrize("required", [False, True])
def test_an_answer_that_cannot_be_audited_is_withheld_if_so_wished(
    predictor: Predictor, tmp_path: Path, required: bool
) -> None:
    log = tmp_path / "folder" / "audit"
    log.parent.mkdir()
    client = create_app(
        Settings(port=8000, audit_log=str(log), audit_required=required), predictor
    ).test_client()
    send = lambda path: client.post(path, data={"image": (io.BytesIO(JPEG), "a.jpg")})  # noqa: E731
    assert send("/api/v1/predict").status_code == 200
    os.rename(log.parent, tmp_path / "moved")
    answer, page = send("/api/v1/predict"), send("/")
    if required:
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "audit_unwritable")
        assert page.status_code == 503
        assert "probability" not in answer.text + page.text
        assert answer.headers["X-Request-ID"]
        assert answer.headers["Cache-Control"] == "no-store"
    else:
        assert answer.status_code == page.status_code == 200
    assert client.get("/").status_code == 200
    log.parent.mkdir()
    assert send("/api/v1/predict").status_code == 200


def test_nobody_is_signed_in_by_an_answer_that_was_withheld(
    predictor: Predictor, tmp_path: Path, keys: dict[str, object]
) -> None:
    key = add_key(tmp_path / "keys", "ward-7")
    log = tmp_path / "folder" / "audit"
    log.parent.mkdir()
    sessions = tmp_path / "sessions"
    settings = Settings(port=8000, audit_log=str(log), audit_required=True, sessions_folder=sessions, **keys)  # type: ignore[arg-type]
    client = create_app(settings, predictor).test_client()
    log.parent.rename(tmp_path / "moved")
    answer = client.post("/sign-in", data={"key": key})
    assert answer.status_code == 503
    assert "Set-Cookie" not in answer.headers
    assert client.get("/").headers["Location"].startswith("/sign-in")
    log.parent.mkdir()
    assert client.post("/sign-in", data={"key": key}).status_code == 303
    assert client.get("/").status_code == 200
