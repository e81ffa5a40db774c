"""The Flask app under gunicorn: bad input over real HTTP; and what is left of a picture, which is nothing."""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import flask
import pytest
from conftest import ROOT, encode, make_picture
from PIL import Image
from processes import free_port, running
from werkzeug.test import EnvironBuilder

from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app

JPEG = encode(make_picture())
TYPE = "multipart/form-data; boundary=frontier"


def multipart(data: bytes, *, field: str = "image", name: str = "photo.jpg") -> bytes:
    head = f'--frontier\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--frontier--\r\n"


def post(address: str, body: bytes, *, kind: str = TYPE) -> tuple[int, dict]:
    request = urllib.request.Request(f"{address}/api/v1/predict", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def animation() -> bytes:
    frames = [make_picture(seed=seed).quantize() for seed in (0, 1)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


def rotated() -> bytes:
    """The standing picture's pixels lying down, with the EXIF note that says how to put them up."""
    picture = make_picture().transpose(Image.Transpose.ROTATE_90)
    exif = picture.getexif()
    exif[0x0112] = 6
    return encode(picture, "PNG", exif=exif)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
BAD = {
    "empty": (b"", 400, "empty_image"),
    "text renamed .jpg": (b"This is not a picture." * 20, 415, "unsupported_format"),
    "truncated JPEG": (JPEG[: len(JPEG) // 2], 422, "invalid_image"),
    "SVG": (SVG, 415, "unsupported_format"),
    "13000 x 13000 PNG": (encode(Image.new("1", (13_000, 13_000)), "PNG"), 413, "image_too_large"),
    "1 x 1": (encode(Image.new("RGB", (1, 1)), "PNG"), 422, "image_too_small"),
    "20 MB": (JPEG + bytes(20 * 1024 * 1024), 413, "image_too_large"),
    "30 MB": (JPEG + bytes(30 * 1024 * 1024), 413, "image_too_large"),
}
GOOD = {
    "animated GIF": animation(),
    "16-bit PNG": encode(make_picture().convert("L").convert("I;16"), "PNG"),
    "CMYK JPEG": encode(make_picture().convert("CMYK")),
    "palette PNG": encode(make_picture().quantize(32), "PNG"),
    "WebP": encode(make_picture(), "WEBP"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("kind", [TYPE, "image/jpeg"])
def test_bad_input_gets_the_one_error_shape(flask_address: str, name: str, kind: str) -> None:
    data, status, code = BAD[name]
    got, answer = post(flask_address, multipart(data) if kind == TYPE else data, kind=kind)
    assert (got, answer["error"]["code"]) == (status, code)
    assert set(answer["error"]) == {"code", "message", "hint"}
    assert post(flask_address, JPEG, kind="image/jpeg")[0] == 200


@pytest.mark.parametrize("name", GOOD)
def test_odd_but_good_pictures_are_answered(flask_address: str, predictor: Predictor, name: str) -> None:
    status, answer = post(flask_address, multipart(GOOD[name]))
    assert status == 200
    expected = predictor.predict(GOOD[name]).to_json()["conditions"]
    assert [entry["name"] for entry in answer["conditions"]] == [entry["name"] for entry in expected]
    for got, wanted in zip(answer["conditions"], expected, strict=True):
        assert got["probability"] == pytest.approx(wanted["probability"], abs=1e-5)


def test_the_rotation_in_the_metadata_is_applied(flask_address: str) -> None:
    upright = post(flask_address, encode(make_picture(), "PNG"), kind="image/png")[1]
    assert post(flask_address, rotated(), kind="image/png")[1]["conditions"] == upright["conditions"]


def test_a_huge_body_is_refused_before_it_is_sent(flask_address: str) -> None:
    host, port = flask_address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /api/v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 10000000000\r\n\r\n\xff\xd8"
        )
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 413
        assert json.load(response)["error"]["code"] == "image_too_large"


def test_an_endless_body_is_refused(flask_address: str) -> None:
    """Chunked, so that no length is told beforehand."""
    host, port = flask_address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        chunks = (bytes(1 << 20) for _ in range(24))
        headers = {"Content-Type": "image/jpeg"}
        connection.request("POST", "/api/v1/predict", chunks, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_a_wrong_checkpoint_stops_the_start_with_a_hint(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    gunicorn = ["-m", "gunicorn", "flask_app:app"]
    environment = {**os.environ, "CHECKPOINT": missing, "PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        for command in (["flask_app.py"], gunicorn)
    ]
    for process in started:
        _, log = process.communicate(timeout=120)
        assert process.returncode != 0
        assert missing in log
        assert "Traceback" not in log


def test_flask_app_runs_as_a_script_and_says_what_it_serves(tiny_checkpoint: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    environment = {"CHECKPOINT": str(tiny_checkpoint), "PORT": str(port)}
    with running([sys.executable, "flask_app.py"], port=port, log=log, environment=environment) as address:
        assert post(address, multipart(JPEG))[0] == 200
        assert post(address, multipart(bytes(30 << 20)))[0] == 413
    assert "Serving checkpoint tiny" in log.read_text()
    assert "Terms of use: test only" in log.read_text()


@pytest.fixture(scope="session")
def written() -> list[object]:
    """Every file that this process opens for writing from now on; an audit hook cannot be taken away."""
    files: list[object] = []

    def note(event: str, arguments: tuple) -> None:
        if event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            files.append(arguments[0])

    sys.addaudithook(note)
    return files


def send(app: flask.Flask, path: str, data: bytes) -> int:
    """Not by `test_client().post(data={...})`, which itself writes large forms to a temporary file."""
    environ = EnvironBuilder(path, method="POST", input_stream=io.BytesIO(data), content_type=TYPE)
    environ.content_length = len(data)
    with app.test_client().open(environ) as response:
        return response.status_code


def test_no_file_is_written(predictor: Predictor, written: list[object]) -> None:
    app = create_app(Settings(port=8000), predictor)
    large = encode(make_picture(1600, 1200), "BMP")
    assert len(large) > 5_000_000
    for path in ("/", "/api/v1/predict?heatmap=1"):
        send(app, path, multipart(JPEG))  # what is written once, such as compiled modules, is written here
        written.clear()
        assert send(app, path, multipart(large)) == 200
        assert written == []
    # The watch does see what werkzeug would write without the app's own request class.
    plain = flask.Flask("plain")
    plain.post("/")(lambda: str(len(flask.request.files)))
    assert send(plain, "/", multipart(large)) == 200
    assert written


def test_neither_file_names_nor_metadata_are_logged(
    predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    picture = make_picture()
    exif = picture.getexif()
    exif[0x010F] = "SecretCamera"
    data = encode(picture, exif=exif)
    app = create_app(Settings(port=8000), predictor)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        for body in (data, data[:-200], b"text"):
            for path in ("/", "/api/v1/predict"):
                send(app, path, multipart(body, name="secret-name.jpg"))
    assert "secret-name" not in caplog.text
    assert "SecretCamera" not in caplog.text
