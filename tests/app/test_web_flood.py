"""More bytes, more connections and slower goodbyes than a server has room for."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import encode, make_picture
from serving import COMMAND, HEAD, QUICK, Server, started
from werkzeug.test import EnvironBuilder

from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app

JPEG = encode(make_picture())
KIND = "multipart/form-data; boundary=frontier"
PART = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\n\r\n'
END = b"\r\n--frontier--\r\n"


class Halting(io.BytesIO):
    """A body that comes at once but for its last bytes, which wait for a sign."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.length = len(data)
        self.nearly, self.go_on = threading.Event(), threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() + (1 << 17) > self.length:
            self.nearly.set()
            assert self.go_on.wait(60)
        return super().read(size)


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_share_one_budget_and_what_is_beyond_it_is_refused(
    predictor: Predictor, chunked: bool
) -> None:
    app = create_app(Settings(port=8000, max_running=1, max_waiting=0), predictor)  # two batches fit

    def send(path: str, body: io.BytesIO, kind: str = KIND) -> tuple[int, dict[str, str], bytes]:
        builder = EnvironBuilder(path, method="POST", input_stream=body, content_type=kind)
        environ = builder.get_environ()
        if chunked:  # the server ends the body; its length is told to nobody
            environ["wsgi.input_terminated"] = True
        else:
            environ["CONTENT_LENGTH"] = str(len(body.getbuffer()))
        with app.test_client().open(environ) as answer:
            return answer.status_code, dict(answer.headers), answer.data

    large = PART % b"a.jpg" + bytes(59_900_000) + END
    first, second = Halting(large), Halting(large)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(send, "/batch", body) for body in (first, second)]
        try:
            assert first.nearly.wait(60)
            assert second.nearly.wait(60)
            for path, kind in (("/batch", KIND), ("/", KIND), ("/api/v1/predict", "image/png")):
                status, headers, _ = send(path, io.BytesIO(large[:1_000_000]), kind)
                assert status == 503
                assert int(headers["Retry-After"]) > 0
            status, _, text = send("/api/v1/predict", io.BytesIO(large[:1_000_000]))
            assert json.loads(text)["error"]["code"] == "overloaded"
        finally:
            first.go_on.set()
            second.go_on.set()
        assert [future.result()[0] for future in held] == [200, 200]
    assert send("/api/v1/predict", io.BytesIO(JPEG), "image/jpeg")[0] == 200, "all of it was given back"


def test_a_form_without_files_is_small(predictor: Predictor) -> None:
    client = create_app(Settings(port=8000), predictor).test_client()
    for path in ("/", "/batch"):
        assert client.post(path, data={"example": "x" * 100_000}).status_code == 413
    assert client.post("/", data={"example": "0"}).status_code == 200


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", "図.jpg".encode(), b"\xff\xfe\x00", b"%ff.jpg"])
def test_a_file_may_be_called_anything(predictor: Predictor, name: bytes) -> None:
    client = create_app(Settings(port=8000), predictor).test_client()
    for path in ("/api/v1/predict", "/", "/batch"):
        answer = client.post(path, data=PART % name + JPEG + END, content_type=KIND)
        assert answer.status_code == 200


@pytest.fixture(scope="module")
def cramped(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may have 64 files open, connections included."""
    command = ["sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", *COMMAND]
    log = tmp_path_factory.mktemp("cramped") / "server.log"
    yield from started(tiny_checkpoint, log, command=command)


def test_more_connections_than_files_may_be_open_end_no_worker(cramped: Server) -> None:
    before = [worker.pid for worker in cramped.workers()]
    slow = HEAD + b"Content-Length: 5000\r\n\r\n123"
    with ExitStack() as stack:
        for first in (b"", slow):
            for _ in range(60):
                stack.enter_context(cramped.open(first))
            assert cramped.ask("GET", "/healthz")[0] == 200
            assert cramped.predict(QUICK)[0] == 200
    assert [worker.pid for worker in cramped.workers()] == before
    assert '"level": "error"' not in cramped.log.read_text()


def test_clients_that_never_close_stop_nobody(cramped: Server) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            connection = stack.enter_context(cramped.open(asked))
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200
        began = time.monotonic()
        assert cramped.ask("GET", "/healthz")[0] == 200
        assert time.monotonic() - began < 15  # two seconds each where the main loop waits for them


def test_what_is_no_request_is_logged_without_an_address(cramped: Server) -> None:
    with cramped.open(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n") as connection:
        assert b" 431 " in connection.recv(100)
    deadline = time.monotonic() + 10
    while "Invalid request" not in cramped.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = [json.loads(line) for line in cramped.log.read_text().splitlines() if "Invalid request" in line]
    assert not any("127.0.0.1" in line["message"] for line in lines)


def test_another_address_of_this_machine_may_be_given_to_gunicorn(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    command = ["sh", "-c", 'exec "$@" --bind "localhost:$PORT"', "sh", *COMMAND]
    for server in started(tiny_checkpoint, tmp_path / "server.log", command=command):
        assert server.ask("GET", "/healthz")[0] == 200
