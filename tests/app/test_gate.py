"""Who gets in, how often, and from where: Flask with keys, limits, proxies and other sites' pages."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from conftest import encode, make_picture
from flask.testing import FlaskClient

from app.predictor import Predictor
from app.service.keys import add_key, revoke_key
from app.settings import Settings
from app.web import create_app
from model.errors import ConfigError

JPEG = encode(make_picture())
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def key(keys: Path) -> str:
    return add_key(keys, "ward-7")


@pytest.fixture
def closed(predictor: Predictor, keys: Path, key: str) -> FlaskClient:
    return create_app(closed_settings(keys), predictor).test_client()


def closed_settings(keys: Path, **changes: object) -> Settings:
    return Settings(port=8000, access="keys", keys_file=keys, secret_key=SECRET, **changes)  # type: ignore[arg-type]


def opened(predictor: Predictor, **settings: object) -> FlaskClient:
    return create_app(Settings(port=8000, **settings), predictor).test_client()  # type: ignore[arg-type]


def form() -> dict[str, object]:
    return {"data": {"image": (io.BytesIO(JPEG), "secret-name.jpg")}}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_program_needs_a_key(closed: FlaskClient, keys: Path, key: str) -> None:
    for headers in ({}, bearer("sdn_wrong"), bearer(""), {"Authorization": f"Basic {key}"}):
        answer = closed.post("/api/v1/predict", **form(), headers=headers)
        assert (answer.status_code, answer.json["error"]["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert closed.post("/api/v1/predict", **form(), headers=bearer(key)).status_code == 200
    assert closed.get("/metrics").status_code == 401
    assert closed.get("/metrics", headers=bearer(key)).status_code == 200
    assert closed.get("/healthz").status_code == closed.get("/readyz").status_code == 200
    revoke_key(keys, "ward-7")
    assert closed.post("/api/v1/predict", **form(), headers=bearer(key)).status_code == 401


def test_a_person_signs_in_and_out(closed: FlaskClient, key: str) -> None:
    page = closed.get("/docs")
    assert page.status_code == 303
    assert page.headers["Location"] == "/sign-in?next=/docs"
    assert closed.post("/", **form()).status_code == 401
    wrong = closed.post("/sign-in", data={"key": "sdn_wrong"})
    assert wrong.status_code == 401
    assert "not valid here" in wrong.text
    assert "Set-Cookie" not in wrong.headers

    entered = closed.post("/sign-in", data={"key": f" {key}\n", "next": "/docs"})
    assert (entered.status_code, entered.headers["Location"]) == (303, "/docs")
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert key not in cookie
    page = closed.get("/docs")
    assert page.status_code == 200
    assert "Sign out" in page.text
    assert closed.post("/", **form()).status_code == 200
    assert closed.get("/sign-in").status_code == 303

    assert closed.post("/sign-out").status_code == 303
    assert closed.get("/").status_code == 303


def test_a_revoked_key_ends_its_sessions(closed: FlaskClient, keys: Path, key: str) -> None:
    closed.post("/sign-in", data={"key": key})
    assert closed.get("/").status_code == 200
    revoke_key(keys, "ward-7")
    assert closed.get("/").status_code == 303
    add_key(keys, "ward-7")
    assert closed.get("/").status_code == 303


def test_a_forged_or_foreign_cookie_is_not_believed(
    closed: FlaskClient, predictor: Predictor, keys: Path, key: str
) -> None:
    other = create_app(Settings(port=8000, access="keys", keys_file=keys, secret_key="x" * 32), predictor)
    forged = other.test_client().post("/sign-in", data={"key": key}).headers["Set-Cookie"].split(";")[0]
    assert closed.get("/", headers={"Cookie": forged}).status_code == 303


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"]
)
def test_signing_in_leads_nowhere_else(closed: FlaskClient, key: str, target: str) -> None:
    assert closed.post("/sign-in", data={"key": key, "next": target}).headers["Location"] == "/"


def test_a_keys_file_that_breaks_later_lets_nobody_in(closed: FlaskClient, keys: Path, key: str) -> None:
    keys.write_text("garbage\n")
    answer = closed.post("/api/v1/predict", **form(), headers=bearer(key))
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "keys_unreadable")
    assert str(keys) not in answer.text
    assert closed.get("/healthz").status_code == 200


def test_the_start_needs_what_the_settings_ask_for(predictor: Predictor, keys: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        create_app(closed_settings(keys), predictor)
    add_key(keys, "one")
    with pytest.raises(ConfigError, match="SECRET_KEY"):
        create_app(Settings(port=8000, access="keys", keys_file=keys), predictor)
    with pytest.raises(ConfigError, match="audit log"):
        create_app(Settings(port=8000, audit_log=str(tmp_path / "no" / "log")), predictor)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer x"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/predict"])
def test_posts_of_other_sites_are_refused(
    predictor: Predictor, path: str, headers: dict[str, str], status: int
) -> None:
    answer = opened(predictor).post(path, **form(), headers=headers)
    assert answer.status_code == status
    if status == 403 and path != "/":
        assert answer.json["error"]["code"] == "cross_site"


def test_too_many_requests_are_told_to_wait(predictor: Predictor, keys: Path, key: str) -> None:
    second = add_key(keys, "ward-8")
    client = create_app(closed_settings(keys, rate_limit="2/minute"), predictor).test_client()
    send = lambda key: client.post("/api/v1/predict", **form(), headers=bearer(key))  # noqa: E731
    assert [send(key).status_code for _ in range(3)] == [200, 200, 429]
    refused = send(key)
    assert refused.json["error"]["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert send(second).status_code == 200, "each key has its own count"
    assert client.get("/api/v1/labels", headers=bearer(key)).status_code == 200


def test_signing_in_is_limited(closed: FlaskClient) -> None:
    statuses = [closed.post("/sign-in", data={"key": "x"}).status_code for _ in range(21)]
    assert set(statuses[:20]) == {401}
    assert statuses[20] == 429


@pytest.mark.parametrize(("proxies", "statuses"), [(0, [200, 429, 429]), (1, [200, 200, 429])])
def test_only_trusted_proxies_say_whose_address_counts(
    predictor: Predictor, proxies: int, statuses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    client = opened(predictor, rate_limit="1/minute", trusted_proxies=proxies)
    seen = [
        client.post("/api/v1/predict", **form(), headers={"X-Forwarded-For": told}).status_code
        for told in ("9.9.9.9, 1.1.1.1", "9.9.9.9, 2.2.2.2", "8.8.8.8, 2.2.2.2")
    ]
    assert seen == statuses
    assert ("TRUSTED_PROXIES is 0" in caplog.text) == (proxies == 0)


def test_behind_tls_the_cookie_is_secure_and_https_is_demanded(
    predictor: Predictor, keys: Path, key: str
) -> None:
    client = create_app(closed_settings(keys, trusted_proxies=1), predictor).test_client()
    over_tls = {"X-Forwarded-Proto": "https"}
    entered = client.post("/sign-in", data={"key": key}, headers=over_tls)
    assert "Secure" in entered.headers["Set-Cookie"]
    assert entered.headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in client.get("/healthz").headers


def test_an_audit_line_a_request(
    predictor: Predictor, keys: Path, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "audit.log"
    client = create_app(closed_settings(keys, audit_log=str(log)), predictor).test_client()
    with caplog.at_level(logging.DEBUG):
        verdict = client.post("/api/v1/predict", **form(), headers=bearer(key)).json["verdict"]
        log.rename(tmp_path / "audit.1")
        client.post("/api/v1/predict", **form())
        client.get("/healthz")
    (first,) = (json.loads(line) for line in (tmp_path / "audit.1").read_text().splitlines())
    (second,) = (json.loads(line) for line in log.read_text().splitlines())
    assert (first["key"], first["status"], first["verdicts"]) == ("ward-7", 200, [verdict])
    assert first["checkpoint"]["revision"] == predictor.revision
    assert first["milliseconds"] > 0
    assert (second["key"], second["status"], second["verdicts"]) == (None, 401, [])
    everything = log.read_text() + (tmp_path / "audit.1").read_text() + caplog.text
    for secret in ("secret-name", "127.0.0.1", key):
        assert secret not in everything


@pytest.mark.parametrize(
    ("sent", "echoed"), [("trace-0123.a_b", True), ("short", False), ("a" * 65, False), ('x"y zzzzz', False)]
)
def test_request_ids(predictor: Predictor, sent: str, echoed: bool) -> None:
    got = opened(predictor).get("/healthz", headers={"X-Request-ID": sent}).headers["X-Request-ID"]
    assert (got == sent) == echoed
    assert len(got) >= 8


def test_metrics_count_what_happened(predictor: Predictor) -> None:
    client = opened(predictor)

    def value(line: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(found.rsplit(" ", 1)[1]) for found in lines if found.startswith(line))

    watched = (
        'skindiseasenet_requests_total{endpoint="api.predict",method="POST",status="200"}',
        'skindiseasenet_requests_total{endpoint="api.predict",method="POST",status="415"}',
        "skindiseasenet_verdicts_total{",
        'skindiseasenet_prediction_seconds_count{stage="decode"}',
        'skindiseasenet_prediction_seconds_count{stage="forward"}',
    )
    before = [value(line) for line in watched]
    client.post("/api/v1/predict", **form())
    client.post("/api/v1/predict", data=b"text", content_type="image/png")
    assert [value(line) for line in watched] == [number + 1 for number in before]
    assert "skindiseasenet_predictions_waiting 0" in client.get("/metrics").text
