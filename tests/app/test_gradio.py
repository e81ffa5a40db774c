"""The Gradio API over HTTP: one prediction, one kind of error, and no picture that stays behind."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pickle
import socket
import sys
import time
import types
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import ROOT, encode, make_picture
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from processes import free_port, running

from app.gradio_ui import ui as gradio_ui
from app.gradio_ui.uploads import Uploads
from app.predictor import Predictor
from app.settings import Settings
from model.errors import ImageError
from model.image import MAX_BYTES

SENT_NAME = "Jane-Doe-left-arm"
# Every connection that the server opens, for a test that none leaves the machine.
SPY = """
import os, socket
_connect, _look_up = socket.socket.connect, socket.getaddrinfo
def _note(what):
    with open(os.environ["SPY_LOG"], "a") as log: log.write(what + "\\n")
def connect(self, address):
    if isinstance(address, tuple): _note(str(address[0]))
    return _connect(self, address)
def look_up(host, *rest, **more):
    _note(str(host)); return _look_up(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = connect, look_up
"""


class Served:
    """A running app, its folders and a client."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.cache = address, folder / "cache"
        self.log, self.spied = folder / "server.log", folder / "spied"
        self.client = Client(address, verbose=False, analytics_enabled=False)

    def predict(self, path: Path, *rest: object) -> dict[str, object]:
        return self.client.predict(handle_file(path), *rest, api_name="/predict")

    def left(self) -> list[Path]:
        return [path for path in self.cache.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def served(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "sitecustomize.py").write_text(SPY)
    port = free_port()
    environment = {
        "CHECKPOINT": str(tiny_checkpoint),
        "PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
        "PYTHONPATH": str(folder),
        "SPY_LOG": str(folder / "spied"),
        "GRADIO_ANALYTICS_ENABLED": "True",
    }
    command = [sys.executable, "space_app.py"]
    with running(command, port=port, log=folder / "server.log", environment=environment, wait=300) as address:
        yield Served(address, folder)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes, str], Path]:
    """Bytes as a file with a name that must show up nowhere."""

    def write(data: bytes, ending: str = ".jpg") -> Path:
        path = tmp_path / (SENT_NAME + ending)
        path.write_bytes(data)
        return path

    return write


def rotated_jpeg() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return encode(make_picture(120, 80), exif=exif)


def sixteen_bit_png() -> bytes:
    grey = make_picture().convert("L").point(lambda value: value * 257, "I")
    return encode(grey.convert("I;16"), "PNG")


def animated_gif() -> bytes:
    frames = [make_picture(seed=seed) for seed in range(3)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


def bomb() -> bytes:
    """A valid PNG of 13,000 x 13,000 pixels, 1 bit each, in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    side = 13_000
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes(1 + side // 8) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


GOOD: dict[str, Callable[[], tuple[bytes, str]]] = {
    "jpeg": lambda: (encode(make_picture()), ".jpg"),
    "rotated jpeg": lambda: (rotated_jpeg(), ".jpg"),
    "webp": lambda: (encode(make_picture(), "WEBP"), ".webp"),
    "palette png": lambda: (encode(make_picture().quantize(16), "PNG"), ".png"),
    "16-bit png": lambda: (sixteen_bit_png(), ".png"),
    "cmyk jpeg": lambda: (encode(make_picture().convert("CMYK")), ".jpg"),
    "animated gif": lambda: (animated_gif(), ".gif"),
    "wrong ending": lambda: (encode(make_picture()), ".svg"),
}
BAD: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "empty": (lambda: b"", ".jpg", "empty"),
    "text": (lambda: b"no picture at all", ".jpg", "not a JPEG"),
    "truncated": (lambda: encode(make_picture(400, 300))[:3000], ".jpg", "cut off or damaged"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", ".svg", "not a JPEG"),
    "bomb": (bomb, ".png", "13000 x 13000 pixels"),
    "one pixel": (lambda: encode(make_picture(1, 1), "PNG"), ".png", "1 x 1 pixels"),
    "20 MB of noise": (lambda: os.urandom(20_000_000), ".jpg", "not a JPEG"),
}


def without_times(prediction: dict[str, object]) -> str:
    values = {**prediction, "timings_ms": sorted(prediction["timings_ms"])}
    return json.dumps(values, sort_keys=True)


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_gets_the_predictors_own_answer(
    name: str, served: Served, predictor: Predictor, file: Callable[[bytes, str], Path]
) -> None:
    data, ending = GOOD[name]()
    got = served.predict(file(data, ending))
    assert without_times(got) == without_times(predictor.predict(data).to_json())
    assert served.left() == []


def test_the_heat_map_comes_on_demand(served: Served, file: Callable[..., Path]) -> None:
    path = file(encode(make_picture()))
    assert served.predict(path, True)["heatmap"].startswith("data:image/png;base64,")
    assert served.predict(path)["heatmap"] is None
    assert served.left() == []


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_gets_a_clear_error(
    name: str, served: Served, file: Callable[[bytes, str], Path]
) -> None:
    make, ending, said = BAD[name]
    with pytest.raises(AppError) as caught:
        served.predict(file(make(), ending))
    message = str(caught.value)
    assert said in message
    assert message.count(".") >= 2, "a hint follows the message"
    assert "Traceback" not in message
    assert served.left() == []


def test_too_large_a_body_is_refused_before_it_is_stored(served: Served) -> None:
    answer = httpx.post(
        served.address + "/gradio_api/upload",
        files={"files": ("a.jpg", bytes(MAX_BYTES + 10**6))},
        timeout=60,
    )
    assert answer.status_code == 413
    assert "too large" in answer.text
    assert served.left() == []


def test_an_upload_that_breaks_off_leaves_nothing(served: Served) -> None:
    host = urlsplit(served.address)
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    )
    with socket.create_connection((host.hostname, host.port)) as line:
        line.sendall(head.encode() + bytes(3_000_000))
    deadline = time.monotonic() + 10
    while served.left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert served.left() == []


@pytest.mark.parametrize(
    "image",
    [
        None,
        {"path": "/etc/passwd"},
        {"path": "https://example.com/a.jpg", "meta": {"_type": "gradio.FileData"}},
        {"path": "http://127.0.0.1/a.jpg", "meta": {"_type": "gradio.FileData"}},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    ],
)
def test_only_an_upload_is_analysed(image: object, served: Served) -> None:
    with httpx.Client(base_url=served.address, timeout=60) as http:
        event = http.post("/gradio_api/call/predict", json={"data": [image, False]}).json()["event_id"]
        answer = http.get(f"/gradio_api/call/predict/{event}").text
    assert "event: error" in answer
    assert "root:" not in answer
    assert "Traceback" not in answer


def test_the_same_picture_at_the_same_time(served: Served, file: Callable[..., Path]) -> None:
    """Uploads of equal content are apart: one request's end does not take away another's picture."""
    path = file(encode(make_picture()))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda _: served.predict(path)["verdict"], range(16)))
    assert len(set(verdicts)) == 1
    assert served.left() == []


def test_an_upload_shows_only_under_its_own_address(served: Served) -> None:
    with httpx.Client(base_url=served.address) as http:
        data = encode(make_picture())
        path = http.post("/gradio_api/upload", files={"files": (SENT_NAME + ".jpg", data)}).json()[0]
        assert SENT_NAME not in path
        assert http.get(f"/gradio_api/file={path}").content == data
        for other in (f"{Path(path).parent}/../../server.log", "/etc/passwd", str(ROOT / "README.md"), "."):
            assert http.get(f"/gradio_api/file={other}").status_code in (403, 404)
        event = http.post(
            "/gradio_api/call/predict",
            json={"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, False]},
        ).json()["event_id"]
        assert "event: complete" in http.get(f"/gradio_api/call/predict/{event}", timeout=60).text
        assert http.get(f"/gradio_api/file={path}").status_code == 404


def test_the_api_is_typed_and_documented(served: Served) -> None:
    api = served.client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(api) == ["/predict"]
    names = [parameter["parameter_name"] for parameter in api["/predict"]["parameters"]]
    assert names == ["image", "heatmap"]
    assert [parameter["parameter_has_default"] for parameter in api["/predict"]["parameters"]] == [
        False,
        True,
    ]
    assert "never a diagnosis" in json.dumps(httpx.get(served.address + "/gradio_api/info").json())


def test_neither_names_nor_errors_are_logged_and_nothing_leaves_the_machine(
    served: Served, file: Callable[..., Path]
) -> None:
    served.predict(file(encode(make_picture())), True)
    for data in (b"no picture at all", encode(make_picture(400, 300))[:3000]):
        with pytest.raises(AppError):
            served.predict(file(data))
    log = served.log.read_text()
    assert "Serving checkpoint tiny" in log
    assert "Terms of use: test only" in log
    assert SENT_NAME not in log
    spied = set(served.spied.read_text().split())
    assert spied <= {"127.0.0.1", "localhost", "::1", "0.0.0.0", "None"}


def test_an_error_survives_the_way_from_a_process_that_lends_a_gpu() -> None:
    sent = ImageError("Got that.", hint="Do this.", code="empty_image")
    assert pickle.loads(pickle.dumps(sent)).to_json() == sent.to_json()


def test_a_space_lends_its_gpu_to_the_prediction(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LentError(Exception):
        pass

    def lend(function: Callable[..., object]) -> None:
        raise LentError(function(encode(make_picture()), heatmap=False).verdict)

    monkeypatch.setattr(gradio_ui, "spaces", types.SimpleNamespace(GPU=lend))
    with pytest.raises(LentError, match="condition"):
        gradio_ui.build_demo(predictor, Settings(port=7860), Uploads())
