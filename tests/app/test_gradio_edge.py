"""The edge around Gradio, at a running server: rejected requests, limits, and trusted headers."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio
import httpx
import pytest
from conftest import encode, make_picture
from processes import free_port, running

from app.gradio_ui.edge import MAX_BODY, MAX_IN_FLIGHT, MAX_UPLOAD
from app.gradio_ui.uploads import MAX_KEPT
from model.image import MAX_BYTES

PHOTO = encode(make_picture())
URI = "data:image/jpeg;base64," + base64.b64encode(PHOTO).decode()
FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
RUN, UPLOAD = "/gradio_api/run/predict", "/gradio_api/upload"
Start = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def start(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts the app with further settings; the same ones give the same server."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def started(**settings: str) -> httpx.Client:
            port, log = free_port(), tmp_path_factory.mktemp("edge") / "server.log"
            environment = {"CHECKPOINT": str(tiny_checkpoint), "PORT": str(port), **settings}
            command = [sys.executable, "space_app.py"]
            server = running(command, port=port, log=log, environment=environment, wait=300)
            return stack.enter_context(httpx.Client(base_url=stack.enter_context(server), timeout=60))

        yield started


@pytest.fixture(scope="module")
def app(start: Start) -> httpx.Client:
    """On one's own machine, with little patience."""
    return start(REQUEST_SECONDS="3")


@pytest.fixture(scope="module")
def proxied(start: Start) -> httpx.Client:
    """Behind a proxy that takes /skin off the addresses."""
    return start(TRUSTED_PROXIES="1", GRADIO_ROOT_PATH="/skin")


def ask(app: httpx.Client, **headers: str) -> httpx.Response:
    return app.post(RUN, json={"data": [URI, False]}, headers=headers)


def dial(app: httpx.Client, sent: str) -> socket.socket:
    """A connection on which so much was sent."""
    line = socket.create_connection((app.base_url.host, app.base_url.port), timeout=60)
    line.sendall(sent.encode())
    return line


def head(path: str, length: int, more: str = "") -> str:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{more}\r\n"


def until(status: int, send: Callable[[], httpx.Response]) -> httpx.Response:
    """Sends again until the answer has this status; the server meets other connections a little later."""
    while (answer := send()).status_code != status:
        time.sleep(0.1)
    return answer


def test_a_post_from_another_site_is_refused(app: httpx.Client) -> None:
    own = str(app.base_url).rstrip("/")
    allowed = [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": own},
        {"Sec-Fetch-Site": "none"},
        {"Origin": own},
    ]
    refused = [
        FOREIGN,
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": own},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": own.replace("127.0.0.1", "localhost")},
        {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    ]
    assert [ask(app, **headers).status_code for headers in allowed] == [200] * len(allowed)
    assert [ask(app, **headers).status_code for headers in refused] == [403] * len(refused)
    assert ask(app, **FOREIGN).json()["error"]["code"] == "cross_site"
    for path in (UPLOAD, "/gradio_api/queue/join", "/gradio_api/mcp/", "/gradio_api/cancel", "/login"):
        assert app.post(path, headers=FOREIGN).status_code == 403
    assert app.get("/", headers=FOREIGN).status_code == 200


def test_answers_are_not_kept_nor_framed_and_hosts_are_not_believed(app: httpx.Client) -> None:
    lies = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Gradio-Server": "http://evil.example",
    }
    for answer in (app.get("/", headers=lies), app.get("/config", headers=lies), ask(app), app.head("/")):
        assert "evil.example" not in answer.text
        assert "https://127.0.0.1" not in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "Strict-Transport-Security" not in answer.headers
    assert ask(app, **FOREIGN).headers["Cache-Control"] == "no-store"
    assert "no-store" not in app.get("/static/img/logo.svg").headers.get("Cache-Control", "")


def test_a_trusted_proxys_scheme_is_believed_and_no_host(proxied: httpx.Client) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http, https", "Host": "skin.example"}
    answer = proxied.get("/config", headers=headers)
    assert answer.json()["root"] == "https://skin.example/skin"
    assert answer.headers["Strict-Transport-Security"]
    assert ask(proxied, Host="skin.example", Origin="https://skin.example").status_code == 200


def test_a_space_is_framed_by_the_hub_and_its_proxy_is_believed(start: Start) -> None:
    space = start(SPACE_ID="someone/skin", HOST="127.0.0.1")
    via = {"X-Forwarded-Host": "someone-skin.hf.space", "X-Forwarded-Proto": "https,http"}
    page = space.get("/", headers={**via, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"})
    assert page.status_code == 200
    assert "https://huggingface.co" in page.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in page.headers
    assert space.get("/config", headers=via).json()["root"] == "https://someone-skin.hf.space"
    own = {**via, "Origin": "https://someone-skin.hf.space"}
    assert ask(space, **own).status_code == 200
    assert ask(space, **own, **{"Sec-Fetch-Site": "same-origin"}).status_code == 200
    for foreign in ("https://huggingface.co", "https://other.hf.space"):
        assert ask(space, **{**via, "Origin": foreign}).status_code == 403
        assert ask(space, **{**via, "Origin": foreign, "Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_with_and_without_the_proxys_prefix_the_same_is_offered(proxied: httpx.Client) -> None:
    for prefix in ("", "/skin"):
        assert proxied.post(prefix + RUN, json={"data": [URI, False]}).status_code == 200
        assert proxied.get(prefix + "/gradio_api/deep_link?session_hash=a").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "file=http://example.com/a.jpg",
        "file/http://example.com/a.jpg",
        "file=/etc/passwd",
        "file/etc/passwd",
        "file=..%2f..%2fetc/passwd",
        "proxy=https://example.hf.space/a",
        "deep_link?session_hash=a",
        "custom_component/a/client/component/index.js",
        "dev/reload",
        "runs",
        "token",
    ],
)
def test_gradio_fetches_and_saves_nothing_on_request(path: str, app: httpx.Client) -> None:
    answer = app.get("/gradio_api/" + path)
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["process_recording", "component_server", "stream/a", "vibe-edit"])
def test_gradio_takes_nothing_else(path: str, app: httpx.Client) -> None:
    assert app.post("/gradio_api/" + path, files={"file": ("a", b"x")}).status_code == 404


def test_a_socket_is_not_upgraded(app: httpx.Client) -> None:
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert app.get("/gradio_api/queue/join", headers={**asked, **key}).status_code == 403


def test_a_body_without_a_length_is_taken_and_bounded(app: httpx.Client) -> None:
    body = json.dumps({"data": [URI, False]}).encode()
    kind = {"Content-Type": "application/json"}
    assert app.post(RUN, content=iter([body[:999], body[999:]]), headers=kind).json()["data"][0]["verdict"]
    line = dial(app, f"POST {RUN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    with line:
        line.sendall(b"%x\r\n" % (MAX_BODY + 1) + bytes(MAX_BODY + 1) + b"\r\n")
        assert line.recv(12).endswith(b"413")
    with dial(app, head(RUN, MAX_BODY + 1)) as line:
        assert line.recv(12).endswith(b"413")
    with dial(app, head(UPLOAD, MAX_UPLOAD + 1)) as line:
        assert line.recv(12).endswith(b"413")


def test_all_bodies_together_are_bounded(proxied: httpx.Client) -> None:
    """Bodies of which only the last byte is awaited fill the budget; when they break off there is room."""
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_IN_FLIGHT // MAX_BODY):
            line = stack.enter_context(dial(proxied, head(RUN, MAX_BODY)))
            line.sendall(bytes(MAX_BODY - 1))
        answer = until(503, lambda: proxied.post(RUN, content=bytes(MAX_BODY)))
        assert answer.headers["Retry-After"]
        assert ask(proxied).status_code == 200
    until(422, lambda: proxied.post(RUN, content=bytes(MAX_BODY)))


def test_who_sends_slowly_is_ended_and_who_waits_for_an_answer_is_not(app: httpx.Client) -> None:
    chunked = f"POST {RUN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    form = "Content-Type: multipart/form-data; boundary=b\r\n"
    awaiting = dial(app, "GET /gradio_api/heartbeat/abc HTTP/1.1\r\nHost: x\r\n\r\n")
    lines = {
        "silent": dial(app, ""),
        "in the head": dial(app, "GET / HTTP/1.1\r\nHost: x\r\n"),
        "in the body": dial(app, head(UPLOAD, 1000, form)),
        "in a chunk": dial(app, chunked),
        "after an answer": dial(app, "GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP"),
    }
    answers = {}
    for name, line in lines.items():
        with line, line.makefile("rb") as received:
            answers[name] = received.read().decode()
    assert [answers["silent"], answers["in the head"]] == ["", ""]
    assert answers["in the body"].startswith("HTTP/1.1 408")
    assert answers["in a chunk"].startswith("HTTP/1.1 408")
    assert "User-agent" in answers["after an answer"]
    with awaiting:
        awaiting.setblocking(False)
        assert b"ALIVE" in awaiting.recv(10_000)
        with pytest.raises(BlockingIOError):
            awaiting.recv(1)


def test_who_does_not_read_the_answer_is_cut_off(app: httpx.Client) -> None:
    assets = Path(gradio.__file__).parent / "templates/frontend/assets"
    largest = max(assets.iterdir(), key=lambda file: file.stat().st_size)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect((app.base_url.host, app.base_url.port))
        line.sendall(f"GET /assets/{largest.name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 9)
        gone = select.poll()
        gone.register(line, select.POLLHUP | select.POLLERR)
        assert gone.poll(60_000)


def test_uploads_that_nobody_asks_about_are_bounded_and_forgotten_when_analysed(
    proxied: httpx.Client,
) -> None:
    pictures = [("files", ("a", bytes(MAX_BYTES)))] * 2
    fit = MAX_KEPT // (2 * MAX_BYTES)
    answers = [proxied.post(UPLOAD, files=pictures) for _ in range(fit + 1)]
    assert [answer.status_code for answer in answers] == [200] * fit + [503]
    for path in answers[0].json():
        assert proxied.get(f"/gradio_api/file={path}").status_code == 200
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        assert proxied.post(RUN, json={"data": [file, False]}).status_code == 500
        assert proxied.get(f"/gradio_api/file={path}").status_code == 404
    assert proxied.post(UPLOAD, files=pictures).status_code == 200


def test_a_form_that_is_none_or_too_full_is_refused(app: httpx.Client) -> None:
    assert app.post(UPLOAD, content=b"no form").status_code == 400
    assert app.post(UPLOAD, files=[("files", ("a", b"x"))] * 13).status_code == 400
    assert app.options(UPLOAD).status_code == 405
