"""gunicorn under stress, with real sockets and signals: too many requests, slow clients, dead workers."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, encode, make_picture
from serving import COMMAND, HEAD, QUICK, Server, started, status_of

# Takes a good part of a second to decode.
LONG = encode(make_picture(4000, 3000), "PNG", compress_level=1)


@pytest.fixture(scope="module")
def narrow(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, one prediction at a time, one waiting; requests must arrive within two seconds."""
    log = tmp_path_factory.mktemp("narrow") / "server.log"
    yield from started(tiny_checkpoint, log, MAX_RUNNING="1", MAX_WAITING="1", REQUEST_SECONDS="2")


@pytest.fixture(scope="module")
def pair(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers."""
    yield from started(tiny_checkpoint, tmp_path_factory.mktemp("pair") / "server.log", WORKERS="2")


def test_more_than_can_wait_are_told_to_come_back(narrow: Server) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(narrow.predict, LONG) for _ in range(10)]
        waits = []
        while not all(answer.done() for answer in answers):
            began = time.monotonic()
            assert narrow.ask("GET", "/healthz")[0] == 200
            waits.append(time.monotonic() - began)
    statuses = [answer.result()[0] for answer in answers]
    assert set(statuses) == {200, 503}
    for status, headers, body in (answer.result() for answer in answers):
        if status == 503:
            assert int(headers["Retry-After"]) > 0
            assert json.loads(body)["error"]["code"] == "overloaded"
    assert max(waits) < 2, "health checks do not wait behind predictions"
    assert narrow.predict(QUICK)[0] == 200, "the turns were given back"


def test_slow_clients_hold_no_worker(narrow: Server) -> None:
    """More of them than there are threads: silent ones, and ones that stop in the head or the body."""
    with ExitStack() as stack:
        kinds = {
            "silent": b"",
            "head": HEAD,
            "body": HEAD + b"Content-Length: 5000\r\n\r\n123",
            "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n123",
        }
        slow = {
            name: [stack.enter_context(narrow.open(first)) for _ in range(30)]
            for name, first in kinds.items()
        }
        began = time.monotonic()
        while time.monotonic() - began < 4:  # they trickle on, so that no single read times out
            for connection in (*slow["head"], *slow["body"]):
                with suppress(OSError):
                    connection.sendall(b"x")
            time.sleep(0.3)
            if time.monotonic() - began > 3:
                assert narrow.ask("GET", "/healthz")[0] == 200
        assert narrow.predict(QUICK)[0] == 200
        assert time.monotonic() - began < 10
        for name in ("body", "chunked"):
            answer = http.client.HTTPResponse(slow[name][0])
            answer.begin()
            assert answer.status == 408
            assert json.load(answer)["error"]["code"] == "request_timeout"
        for name in ("silent", "head"):
            assert b"200 OK" not in slow[name][0].recv(1000)
    assert "exception" not in narrow.log.read_text()


def test_a_client_that_leaves_harms_nobody(narrow: Server) -> None:
    for first in (
        b"",
        HEAD,
        HEAD + b"Content-Length: 5000\r\n\r\n123",
        HEAD + b"Content-Length: zero\r\n\r\n",
    ):
        narrow.open(first).close()
    assert narrow.predict(QUICK)[0] == 200
    assert '"level": "error"' not in narrow.log.read_text()


def test_metrics_of_all_workers_come_together(pair: Server) -> None:
    def counted() -> float:
        line = 'skindiseasenet_requests_total{endpoint="api.predict",method="POST",status="200"} '
        _, found, rest = pair.ask("GET", "/metrics")[2].decode().partition(line)
        return float(rest.split("\n", 1)[0]) if found else 0.0

    before = counted()
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(pair.predict, [QUICK] * 20))
    assert {answer[0] for answer in sent} == {200}
    assert [counted() for _ in range(5)] == [before + 20] * 5


def test_a_killed_worker_loses_only_its_own_requests(pair: Server) -> None:
    first, second = pair.workers()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(LONG) + LONG
    with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        sent = [stack.enter_context(connection) for connection in pool.map(pair.open, [request] * 8)]
        first.suspend()  # so that it takes no more of them while its own are counted
        own = {connection.raddr.port for connection in first.net_connections("tcp") if connection.raddr}
        first.kill()
        for connection in sent:
            lost = connection.getsockname()[1] in own
            assert status_of(connection) in ({0, 200} if lost else {200})
        # It may have taken all eight, so those that come now tell whether the other one serves on.
        assert [answer[0] for answer in pool.map(pair.predict, [QUICK] * 8)] == [200] * 8
    assert second.is_running()
    deadline = time.monotonic() + 60
    while len(pair.workers()) < 2:
        assert time.monotonic() < deadline, pair.log.read_text()
        time.sleep(0.1)
    assert pair.predict(QUICK)[0] == 200


@pytest.mark.parametrize(
    ("options", "environment", "named"),
    [
        (["--bind", "0.0.0.0:8009"], {}, "HOST and PORT say 127.0.0.1:8009"),
        ([], {"HOST": "0.0.0.0"}, "ACCESS is not set"),
    ],
)
def test_settings_that_contradict_each_other_stop_the_start(
    options: list[str], environment: dict[str, str], named: str
) -> None:
    clean = {
        name: value for name, value in psutil.Process().environ().items() if name not in ("HOST", "ACCESS")
    }
    done = subprocess.run(
        [*COMMAND, *options],
        cwd=ROOT,
        env={**clean, "PORT": "8009", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    assert named in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def ending(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[Server]:
    """Two workers, for a test that ends them."""
    yield from started(tiny_checkpoint, tmp_path / "server.log", WORKERS="2")


def test_sigterm_finishes_what_is_in_flight(ending: Server) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(ending.predict, LONG) for _ in range(6)]
        time.sleep(0.5)
        ending.master.send_signal(signal.SIGTERM)
        assert [answer.result()[0] for answer in answers] == [200] * 6
    assert psutil.wait_procs([ending.master], timeout=20)[1] == []
    lines = [json.loads(line) for line in ending.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines), "gunicorn's lines too"
    assert sum(line["message"] == "answered" and bool(line["request_id"]) for line in lines) >= 6
    audit = [json.loads(line) for line in ending.log.with_name("audit.log").read_text().splitlines()]
    assert [line["status"] for line in audit][-6:] == [200] * 6
