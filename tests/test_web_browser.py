"""The Flask page in a real Chromium, with and without JavaScript."""

from __future__ import annotations

import copy
import dataclasses
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from conftest import encode, make_picture
from PIL import Image
from werkzeug.serving import make_server

from app.predictor import Prediction, Predictor
from app.settings import Settings
from app.web import create_app

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
PHOTO = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": encode(make_picture(320, 240))}
FAKE_CAMERA = "--use-fake-device-for-media-stream"
ALLOWED = "--use-fake-ui-for-media-stream"


class Recorder(Predictor):
    """Answers as another predictor does, and keeps what it was sent."""

    def __init__(self, predictor: Predictor, **changes: float) -> None:
        self.__dict__.update(copy.copy(predictor).__dict__)
        self.config = dataclasses.replace(predictor.config, **changes)  # type: ignore[arg-type]
        self.received: list[bytes] = []

    def predict(self, data: bytes, **options: Any) -> Prediction:
        self.received.append(data)
        return super().predict(data, **options)


@pytest.fixture
def serve() -> Iterator[Callable[[Predictor], str]]:
    """Serves a predictor from this process; returns its address."""
    servers = []

    def start(predictor: Predictor) -> str:
        server = make_server("127.0.0.1", 0, create_app(Settings(port=8000), predictor), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def upload(page: Any) -> None:
    page.set_input_files("#image", PHOTO)
    page.wait_for_selector("#answer #verdict")


def shown(page: Any, what: str = "main") -> str:
    return page.inner_text(what)


def test_upload_shows_the_answer_and_asks_nobody_else(open_page: Open, flask_address: str) -> None:
    page = open_page("about:blank", viewport={"width": 360, "height": 740})
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(flask_address)
    upload(page)

    assert "Acne" in page.inner_html("#answer")
    assert page.locator("#answer .card").count() >= 3
    assert page.evaluate("document.activeElement.id") == "verdict"
    assert page.locator("#preview img").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.input_value("#image") == ""

    # The heat map: there, fainter, off, on again.
    heat = "parseFloat(getComputedStyle(document.getElementById('heat')).opacity)"
    assert page.evaluate(heat) == 1
    page.locator("#heat-strength").focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(heat) == pytest.approx(0.7)
    page.get_by_label("Heat map").uncheck()
    assert page.evaluate(heat) == 0
    page.get_by_label("Heat map").check()
    assert page.evaluate(heat) == pytest.approx(0.7)
    sizes = page.evaluate("[...document.querySelectorAll('.overlay img')].map(i => [i.width, i.height])")
    assert sizes[0] == sizes[1]

    # A second picture takes the place of the first.
    upload(page)
    assert page.locator("#verdict").count() == 1
    page.goto(flask_address + "/docs")

    assert {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))} == {
        "127.0.0.1"
    }
    assert complaints == []


def test_upload_without_javascript(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address, java_script_enabled=False)
    assert not page.locator("#camera-open").is_visible()
    page.set_input_files("#image", PHOTO)
    page.get_by_role("button", name="Look at it").click()
    page.wait_for_selector("#answer #verdict")
    assert page.locator("#preview img").is_visible()
    assert page.locator("#heat").is_visible()
    assert not page.locator("#heat-strength").is_visible()

    page.set_input_files("#image", {**PHOTO, "buffer": b"This is not a picture."})
    page.get_by_role("button", name="Look at it").click()
    page.wait_for_selector(".problem")
    assert "JPEG" in shown(page, ".problem")


def test_a_rejected_picture_is_explained(open_page: Open, serve: Callable, predictor: Predictor) -> None:
    page = open_page(serve(Recorder(predictor, min_max_probability=1.0, max_normalized_entropy=0.0)))
    upload(page)
    assert page.get_attribute(".verdict", "data-verdict") == "rejected"
    assert "daylight" in shown(page, ".verdict")
    assert page.locator(".verdict .fired").count() == 2
    assert page.locator("#heat").count() == 0
    assert not page.locator(".ranking").first.is_visible()
    page.get_by_text("The guesses all the same").click()
    assert page.locator(".ranking").first.is_visible()


def test_bad_files_and_lost_servers_are_said(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address)
    page.set_input_files("#image", {**PHOTO, "buffer": b"This is not a picture."})
    page.wait_for_selector("#answer .problem")
    assert "JPEG" in shown(page, "#answer")
    assert not page.locator("#preview").is_visible()

    page.route("**/?fragment=1", lambda route: route.abort())
    page.set_input_files("#image", PHOTO)
    page.wait_for_selector("text=could not be reached")
    page.unroute("**/?fragment=1")
    page.route("**/?fragment=1", lambda route: route.fulfill(status=502, body="<html>Bad gateway</html>"))
    page.set_input_files("#image", PHOTO)
    page.wait_for_selector("text=could not be reached")
    assert "Bad gateway" not in shown(page)
    page.unroute("**/?fragment=1")
    upload(page)
    assert page.locator(".verdict").count() == 1


def test_drop_paste_and_keyboard(open_page: Open, serve: Callable, predictor: Predictor) -> None:
    recorder = Recorder(predictor)
    page = open_page(serve(recorder))
    transfer = """async (bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "secret.jpg", {type: "image/jpeg"}));
        return transfer;
    }"""
    for event, key in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate("document.getElementById('answer').replaceChildren()")
        handle = page.evaluate_handle(transfer, list(PHOTO["buffer"]))
        kind = "DragEvent" if event == "drop" else "ClipboardEvent"
        page.evaluate(
            f"(data) => document.body.dispatchEvent("
            f"new {kind}('{event}', {{bubbles: true, cancelable: true, {key}: data}}))",
            handle,
        )
        page.wait_for_selector("#answer #verdict")
    assert recorder.received == [PHOTO["buffer"]] * 2

    page.reload()
    order = []
    for _ in range(5):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert order == ["Skip to the content", "SkinDiseaseNet", "API", "image", "camera-open"]


def asymmetric(path: Path) -> Path:
    """A film of one picture: left half red, right half blue, a bright band above."""
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    pixels[:, :320] = (200, 20, 20)
    pixels[:, 320:] = (20, 20, 200)
    pixels[:80] = 240
    path.write_bytes(encode(Image.fromarray(pixels), quality=95))
    return path


def test_the_camera_is_not_mirrored(
    open_page: Open, serve: Callable, predictor: Predictor, tmp_path: Path
) -> None:
    recorder = Recorder(predictor)
    film = asymmetric(tmp_path / "film.mjpeg")
    arguments = [FAKE_CAMERA, ALLOWED, f"--use-file-for-fake-video-capture={film}"]
    page = open_page(serve(recorder), arguments=arguments)
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#camera-take", state="visible")
    assert page.evaluate("getComputedStyle(document.getElementById('video')).transform") == "none"
    page.get_by_role("button", name="Take the photo").click()
    page.wait_for_selector("#answer #verdict")
    assert not page.locator("#camera").is_visible()
    assert page.evaluate("document.getElementById('video').srcObject") is None

    (data,) = recorder.received
    sent = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((640, 480))).astype(int)
    left, right, top = sent[240, 160], sent[240, 480], sent[30, 320]
    assert left[0] > left[2] + 100
    assert right[2] > right[0] + 100
    assert top.min() > 180


def test_a_camera_that_is_denied_gets_a_clear_word(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address, arguments=[FAKE_CAMERA], permissions=[])
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("text=The camera was not allowed")
    assert page.get_by_text("Choose a photo", exact=True).is_visible()
    upload(page)
    assert "not allowed" not in shown(page)


def test_no_camera_and_no_secure_connection_get_a_clear_word(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address)
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("text=No camera was found")
    arguments = ["--host-resolver-rules=MAP skin.test 127.0.0.1"]
    page = open_page(flask_address.replace("127.0.0.1", "skin.test"), arguments=arguments)
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("text=only over HTTPS")
