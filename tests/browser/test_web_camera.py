"""The camera of the Flask page in a real Chromium, which plays a film where a camera would be."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from browsing import Open, Recorder, Serve, shown, upload
from conftest import encode
from PIL import Image

from app.predictor import Predictor

pytestmark = pytest.mark.browser

FAKE_CAMERA = "--use-fake-device-for-media-stream"
ALLOWED = "--use-fake-ui-for-media-stream"


def asymmetric(path: Path) -> Path:
    """A film of one picture: left half red, right half blue, a bright band above."""
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    pixels[:, :320] = (200, 20, 20)
    pixels[:, 320:] = (20, 20, 200)
    pixels[:80] = 240
    path.write_bytes(encode(Image.fromarray(pixels), quality=95))
    return path


def test_the_camera_is_not_mirrored(
    open_page: Open, serve: Serve, predictor: Predictor, tmp_path: Path
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
    page.wait_for_selector("text=The camera is blocked")
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
