"""What the Flask page says when something goes wrong, and that a visitor can go on from there."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsing import NO_PICTURE, PHOTO, Open, Recorder, Serve, shown, upload
from conftest import encode, make_picture
from processes import free_port, running

from app.predictor import Predictor

pytestmark = pytest.mark.browser

SENDING = "**/?fragment=1"
LARGE = {**PHOTO, "buffer": encode(make_picture(1200, 900), "TIFF")}


def test_a_file_that_is_no_picture(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address)
    upload(page, NO_PICTURE)
    assert "JPEG" in shown(page, "#answer")
    assert page.locator("[data-retry]").count() == 0
    assert not page.locator("#preview").is_visible()
    upload(page)
    assert page.locator(".verdict").count() == 1


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (502, {}, "could not answer just now"),
        (503, {"Retry-After": "7"}, "in 7 seconds"),
        (429, {"Retry-After": "1"}, "in a second"),
        (429, {}, "in a moment"),
        (401, {"X-Fragment": "answer"}, "no longer signed in"),
    ],
)
def test_what_a_proxy_says_is_put_plainly_and_the_picture_is_kept(
    open_page: Open, serve: Serve, predictor: Predictor, status: int, headers: dict[str, str], words: str
) -> None:
    recorder = Recorder(predictor)
    page = open_page(serve(recorder))
    body = "<html>Bad gateway</html>"
    page.route(SENDING, lambda route: route.fulfill(status=status, headers=headers, body=body))
    upload(page)
    assert words in shown(page, "#answer")
    assert "Bad gateway" not in shown(page)
    page.unroute(SENDING)
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".verdict")
    assert recorder.received == [PHOTO["buffer"]]


def test_a_page_that_leads_elsewhere_means_signed_out(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address)
    page.route(SENDING, lambda route: route.fulfill(status=303, headers={"Location": "/about"}))
    upload(page)
    assert "no longer signed in" in shown(page, "#answer")


def test_a_fault_of_the_server_can_be_tried_again(
    open_page: Open, serve: Serve, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(predictor)
    page = open_page(serve(recorder))
    with monkeypatch.context() as broken:
        broken.setattr(recorder, "predict", None)
        upload(page)
        assert "not kept" in shown(page, "#answer")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".verdict")


class Cable:
    """A line to a server, on which an upload gets stuck until the line is cut.

    Args:
        address: of the server.
    """

    def __init__(self, address: str) -> None:
        self._server = ("127.0.0.1", urlsplit(address).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._cut = threading.Event()
        self.stuck = threading.Event()
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, far = self._listener.accept()[0], socket.create_connection(self._server)
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        carried = 0
        try:
            while data := source.recv(100_000):
                target.sendall(data)
                carried += len(data)
                if carried > len(LARGE["buffer"]) // 4 and not self._cut.is_set():
                    self.stuck.set()
                    self._cut.wait()
            target.shutdown(socket.SHUT_WR)
        except OSError:  # one end broke: the other is to notice
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Breaks what is under way; whoever calls again gets through."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()
        self._cut.set()

    def close(self) -> None:
        self._listener.close()
        self.cut()


def test_the_network_is_cut_during_an_upload(open_page: Open, serve: Serve, predictor: Predictor) -> None:
    recorder = Recorder(predictor)
    with contextlib.closing(Cable(serve(recorder))) as cable:
        page = open_page(cable.address)
        page.set_input_files("#image", LARGE)
        page.locator("#sending").wait_for()
        assert cable.stuck.wait(60)
        cable.cut()
        page.wait_for_selector("text=could not be reached")
        assert recorder.received == []
        page.context.set_offline(True)
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector("text=could not be reached")
        page.context.set_offline(False)
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector(".verdict")
    assert recorder.received == [LARGE["buffer"]]


def test_the_server_is_restarted_during_an_upload(
    open_page: Open, serve: Serve, predictor: Predictor, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    port = free_port()
    environment = {"CHECKPOINT": str(tiny_checkpoint), "PORT": str(port)}
    server = {"port": port, "log": tmp_path / "log", "environment": environment, "ready": "/readyz"}
    command = [sys.executable, "flask_app.py"]
    with contextlib.ExitStack() as line:
        with running(command, **server) as address:
            cable = line.enter_context(contextlib.closing(Cable(address)))
            page = open_page(cable.address)
            page.set_input_files("#image", LARGE)
            page.locator("#sending").wait_for()
            assert cable.stuck.wait(60)
        page.wait_for_selector("text=could not be reached")
        cable.cut()
        serve(predictor, port=port)
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector(".verdict")
