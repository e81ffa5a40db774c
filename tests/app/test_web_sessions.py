"""Sessions of people who signed in: where they end, what a cookie may hold, under which path they live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from app.predictor import Predictor
from app.service import sessions
from app.service.keys import add_key
from app.settings import Settings
from app.web import create_app

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def key(tmp_path: Path) -> str:
    return add_key(tmp_path / "keys", "ward-7")


@pytest.fixture
def worker(predictor: Predictor, tmp_path: Path, key: str):
    """Makes an app as each worker, and each start of the server, makes one: ``worker(**settings)``."""

    def make(**changes: Any) -> flask.Flask:
        settings: dict[str, Any] = {
            "port": 8000,
            "access": "keys",
            "keys_file": tmp_path / "keys",
            "secret_key": SECRET,
            "sessions_folder": tmp_path / "sessions",
            **changes,
        }
        return create_app(Settings(**settings), predictor)

    return make


def signed_in(app: flask.Flask, key: str, **options: Any) -> FlaskClient:
    client = app.test_client()
    assert client.post("/sign-in", data={"key": key}, **options).status_code == 303
    return client


def asks(app: flask.Flask, cookie: str) -> int:
    """What a request with this cookie is answered with."""
    client = app.test_client()
    client.set_cookie("session", cookie)
    return client.get("/api/v1/labels").status_code


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    assert cookie
    return cookie.value


def test_signing_out_ends_the_session_in_every_worker_and_after_a_restart(worker, key: str) -> None:
    first, second = worker(), worker()
    client, other = signed_in(first, key), signed_in(first, key)
    copy = cookie_of(client)
    assert [asks(app, copy) for app in (first, second, worker())] == [200, 200, 200]
    assert client.post("/sign-out").status_code == 303
    assert [asks(app, copy) for app in (first, second, worker())] == [401, 401, 401]
    assert asks(second, cookie_of(other)) == 200, "another session of the same key goes on"


def test_signing_in_anew_ends_the_session_before(worker, key: str) -> None:
    client = signed_in(worker(), key)
    before = cookie_of(client)
    client.post("/sign-in", data={"key": key})
    assert [asks(worker(), cookie) for cookie in (before, cookie_of(client))] == [401, 200]


def test_where_the_folder_is_lost_everybody_signs_in_again(worker, key: str, tmp_path: Path) -> None:
    app = worker()
    client = signed_in(app, key)
    for path in (tmp_path / "sessions").iterdir():
        path.unlink()
    (tmp_path / "sessions").rmdir()
    assert asks(app, cookie_of(client)) == 401
    assert asks(app, cookie_of(signed_in(app, key))) == 200


def test_a_session_runs_out_and_is_forgotten(
    worker, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = worker()
    client = signed_in(app, key)
    monkeypatch.setattr(sessions, "SESSION_SECONDS", -1)
    assert asks(app, cookie_of(client)) == 401
    signed_in(app, key)
    assert len(list((tmp_path / "sessions").iterdir())) == 1


def test_neither_cookie_nor_folder_holds_the_key(worker, key: str, tmp_path: Path) -> None:
    client = signed_in(worker(), key)
    (path,) = (tmp_path / "sessions").iterdir()
    assert key not in cookie_of(client) + path.read_text()
    assert [file.stat().st_mode & 0o077 for file in (path, path.parent)] == [0, 0]


def test_a_folder_that_cannot_be_used_lets_nobody_in(worker, key: str, tmp_path: Path) -> None:
    app = worker()
    client = signed_in(app, key)
    for path in (tmp_path / "sessions").iterdir():
        path.unlink()
        path.mkdir()  # cannot be read, by root neither
    answer = client.get("/api/v1/labels")
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "sessions_unusable")
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    "held",
    [
        {"id": 5},
        {"id": None},
        {"id": "../keys"},
        {"id": ["x"]},
        {"key": {"name": "ward-7"}},
        {"key": "ward-7", "id": {"x": 1}},
        [1, 2],
        "text",
        5,
        None,
    ],
)
def test_a_cookie_of_another_shape_is_nobodys(worker, held: Any) -> None:
    app = worker()
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer
    assert asks(app, serializer.dumps(held)) == 401


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "é" * 9, ".", "." * 3000, "eyJpZCI6NX0.x.y"])
def test_a_cookie_of_any_text_is_nobodys(worker, value: str) -> None:
    assert asks(worker(), value) == 401


PREFIXED = [
    ({"environ_overrides": {"SCRIPT_NAME": "/skin"}}, {}),
    ({"headers": {"X-Forwarded-Prefix": "/skin"}}, {"trusted_proxies": 1}),
    ({"headers": {"X-Forwarded-Prefix": "/skin/"}}, {"trusted_proxies": 1}),
]


@pytest.mark.parametrize(("options", "settings"), PREFIXED)
def test_under_a_prefix_people_sign_in_and_stay_below_it(
    worker, key: str, options: dict[str, Any], settings: dict[str, Any]
) -> None:
    client = worker(**settings).test_client(use_cookies=False)
    sent = client.get("/docs", **options)
    assert sent.headers["Location"] == "/skin/sign-in?next=/docs"
    page = client.get("/sign-in?next=/docs", **options)
    assert 'action="/skin/sign-in"' in page.text
    entered = client.post("/sign-in", data={"key": key, "next": "/docs"}, **options)
    assert entered.headers["Location"] == "/skin/docs"
    cookie = entered.headers["Set-Cookie"]
    assert "Path=/skin;" in cookie
    held = {"Cookie": cookie.split(";")[0]}
    options = {**options, "headers": {**options.get("headers", {}), **held}}
    shown = client.get("/docs", **options)
    assert shown.status_code == 200
    assert 'href="/skin/docs" aria-current="page"' in shown.text
    left = client.post("/sign-out", **options)
    assert left.headers["Location"] == "/skin/sign-in"
    assert "Path=/skin;" in left.headers["Set-Cookie"], "the browser drops the cookie only under its own path"


@pytest.mark.parametrize(
    "claimed", ["//evil.example", "https://evil.example", "/a/../..", "/\\evil", "/a b", "/"]
)
def test_a_prefix_that_is_no_path_is_left_out(worker, claimed: str) -> None:
    answer = worker(trusted_proxies=1).test_client().get("/docs", headers={"X-Forwarded-Prefix": claimed})
    assert answer.headers["Location"] == "/sign-in?next=/docs"


def test_a_prefix_is_believed_from_trusted_proxies_alone(worker) -> None:
    answer = worker().test_client().get("/docs", headers={"X-Forwarded-Prefix": "/skin"})
    assert answer.headers["Location"] == "/sign-in?next=/docs"


@pytest.mark.parametrize(
    ("target", "led"),
    [
        ("/learn", "/skin/learn"),
        ("/docs?x=1", "/skin/docs"),
        ("/nothing", "/skin/"),
        ("/../admin", "/skin/"),
        ("/sign-out", "/skin/"),
        ("//evil.example/docs", "/skin/"),
        ("https://evil.example/docs", "/skin/"),
        ("/\\evil.example", "/skin/"),
        ("/%2e%2e/admin", "/skin/"),
        ("\t//evil.example", "/skin/"),
        ("", "/skin/"),
    ],
)
def test_signing_in_leads_to_pages_of_this_service_alone(worker, key: str, target: str, led: str) -> None:
    answer = (
        worker()
        .test_client()
        .post("/sign-in", data={"key": key, "next": target}, environ_overrides={"SCRIPT_NAME": "/skin"})
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, led)


def test_numbers_that_json_does_not_know_are_an_error_of_the_server(worker, key: str) -> None:
    app = worker()
    app.get("/api/v1/odd")(lambda: {"value": float("nan")})
    answer = signed_in(app, key).get("/api/v1/odd")
    assert answer.status_code == 500
    assert json.loads(answer.text)["error"]["code"] == "internal_error"
