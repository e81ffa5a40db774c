"""The same pictures through every interface: Gradio's API, Flask's API and the command line agree."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import ROOT, encode, make_picture
from gradio_client import Client, handle_file
from PIL import Image

from app.__main__ import main
from app.settings import Settings


def five_files(folder: Path) -> list[Path]:
    """A JPEG, a JPEG turned by EXIF, a palette PNG, a 16-bit PNG and a WebP."""
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = np.asarray(make_picture(120, 90, seed=4).convert("L")).astype(np.uint16) * 257
    contents = {
        "plain.jpg": encode(make_picture(300, 200, seed=1)),
        "turned.jpg": encode(make_picture(300, 200, seed=2), exif=exif),
        "palette.png": encode(make_picture(150, 200, seed=3).convert("P"), "PNG"),
        "deep.png": encode(Image.fromarray(grey), "PNG"),
        "modern.webp": encode(make_picture(400, 300, seed=5), "WEBP"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def comparable(prediction: dict[str, Any]) -> dict[str, Any]:
    """Everything but how long it took; probabilities to six digits."""
    kept = {name: value for name, value in prediction.items() if name != "timings_ms"}
    return json.loads(json.dumps(kept), parse_float=lambda text: round(float(text), 6))


def test_five_pictures_get_the_same_result_from_every_interface(
    flask_address: str, gradio_address: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    files = five_files(tmp_path)
    client = Client(gradio_address, verbose=False, download_files=False, analytics_enabled=False)
    gradio = [client.predict(handle_file(file), True, api_name="/predict") for file in files]
    client.close()

    flask = []
    for file in files:
        request = urllib.request.Request(
            f"{flask_address}/api/v1/predict?heatmap=1",
            data=file.read_bytes(),
            headers={"Content-Type": "application/octet-stream"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            flask.append(json.load(answer))

    words = [sys.executable, "-m", "app", "predict", "--checkpoint", str(tiny_checkpoint)]
    done = subprocess.run(
        [*words, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    command = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.pop("path") for answer in command] == list(map(str, files))

    assert len({json.dumps(comparable(answer)["conditions"]) for answer in flask}) == len(files)
    for number, file in enumerate(files):
        assert comparable(gradio[number]) == comparable(flask[number]), file.name
        assert comparable({**flask[number], "heatmap": None}) == comparable(command[number]), file.name


def flask_pages(address: str, files: list[Path]) -> list[str]:
    """What the Flask pages show of one picture, of several, and to read."""
    with httpx.Client(base_url=address, timeout=60) as http:
        sent = [("image", file.read_bytes()) for file in files]
        answered = [http.post("/?fragment=1", files=sent[:1]), http.post("/batch?fragment=1", files=sent)]
        return [page.text for page in (*answered, http.get("/learn"), http.get("/about"))]


def gradio_pages(address: str, files: list[Path]) -> list[str]:
    """The same of the Gradio pages, asked as their own script does."""
    with httpx.Client(base_url=address, timeout=60) as http:
        config = http.get("/config").json()
        shown = []
        numbers = [
            one["id"] for one in config["dependencies"] if "submit" in [name for _, name in one["targets"]]
        ]
        for number, count in zip(numbers, (1, len(files)), strict=True):
            sent = [("files", file.read_bytes()) for file in files[:count]]
            paths = http.post("/gradio_api/upload", files=sent).json()
            session = {"session_hash": f"session{number}"}
            asked = {"data": [], "event_data": {"paths": paths, "ticket": 1}, "fn_index": number, **session}
            http.post("/gradio_api/queue/join", json=asked)
            events = http.get("/gradio_api/queue/data", params=session).text
            (done,) = [line for line in events.splitlines() if "process_completed" in line]
            shown.append(json.loads(done.removeprefix("data: "))["output"]["data"][0]["html"])
    texts = [str(one["props"].get("value")) for one in config["components"] if one["type"] == "html"]
    return [*shown, *[text for text in texts if 'class="book"' in text or 'class="card-text"' in text]]


def reading(page: str) -> tuple[str, list[str]]:
    """The words of a page, without how long the answer took, and its links to the Learn page."""
    page = re.sub(r' data-\w+="[^"]*"', "", page)  # for scripts, with a time and an address in them
    words = re.sub(r"<[^>]+>", " ", re.sub(r"Answered (in|on .*UTC).*", "", page)).split()
    return " ".join(words), re.findall(r'href="/?(learn#[^"]*)"', page)


def test_the_pages_of_both_front_ends_say_the_same(
    flask_address: str, gradio_address: str, tmp_path: Path
) -> None:
    files = [*five_files(tmp_path), tmp_path / "broken.jpg"]
    files[-1].write_bytes(b"no picture")
    flask, gradio = flask_pages(flask_address, files), gradio_pages(gradio_address, files)
    assert len(flask) == len(gradio) == 4
    for ours, theirs in zip(flask, gradio, strict=True):
        (words, links), (their_words, their_links) = reading(ours), reading(theirs)
        assert links == their_links
        part, whole = sorted((words, their_words), key=len)  # one of them may have its frame around it
        assert len(part) > 150
        assert part in whole


@pytest.mark.parametrize("script", ["space_app.py", "flask_app.py"])
def test_a_checkpoint_that_is_not_there_ends_the_start_with_words(script: str, tmp_path: Path) -> None:
    environment = {**os.environ, "CHECKPOINT": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert f"There is no folder {tmp_path / 'none'}" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_setting_is_documented_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    table = capsys.readouterr().out
    assert {f"`{field.name.upper()}`" for field in fields(Settings)} == set(
        re.findall(r"^\| (`\S+`)", table, re.M)
    )
    documented = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    assert table in documented, "`python -m app settings` prints the table that belongs there"
