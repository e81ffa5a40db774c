"""The handler of an Inference Endpoint, loaded as the toolkit does, from the repository's files."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import encode, make_picture
from fake_hub import FakeHub
from PIL import Image
from profiles_made import rgb_profile
from session import Session

from app.predictor import Predictor
from handler import EndpointHandler
from model.checkpoint import FILES
from model.errors import ConfigError, ImageError, SkinDiseaseNetError
from model.labels import LABELS

# As `check_and_register_custom_pipeline_from_directory` in huggingface-inference-toolkit does; and a
# package that the repository's requirements.txt does not name is not there.
TOOLKIT = """
import importlib.util, json, re, sys
folder, photo = sys.argv[1:]
named = {re.split(r"[^\\w.-]", line)[0].lower() for line in open(f"{folder}/requirements.txt")}
others = {"gradio", "flask", "flask-limiter", "datasets", "accelerate", "gunicorn", "prometheus-client"}
imports = {"flask-limiter": "flask_limiter", "prometheus-client": "prometheus_client"}
for name in others - named:
    sys.modules[imports.get(name, name)] = None
spec = importlib.util.spec_from_file_location("handler.EndpointHandler", f"{folder}/handler.py")
sys.path.insert(0, folder)
module = importlib.util.module_from_spec(spec)
sys.modules["handler.EndpointHandler"] = module
spec.loader.exec_module(module)
answer = module.EndpointHandler(folder)({"inputs": open(photo, "rb").read()})
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def endpoint(tiny_checkpoint: Path) -> EndpointHandler:
    return EndpointHandler(str(tiny_checkpoint))


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("timings_ms", "checkpoint")}


def test_the_pushed_repository_is_all_an_endpoint_needs(
    hub: FakeHub, online: Session, carded_checkpoint: Path, predictor: Predictor, photo: Path, tmp_path: Path
) -> None:
    words = ["--checkpoint", carded_checkpoint, "--repo-id", "org/endpoint", "--with-handler"]
    pushed = online.run("train", "push", *words)
    assert pushed.status == 0, pushed.err
    assert hub.count("POST /api/models/org/endpoint/commit/") == 1
    files = hub.files("models", "org/endpoint")
    assert {*FILES, "handler.py", "requirements.txt", "LICENSE", "app/predictor.py"} <= set(files)
    assert not [name for name in files if name.startswith(("train/", "tests/"))]
    folder = tmp_path / "repository"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    command = [sys.executable, "-c", TOOLKIT, str(folder), str(photo)]
    done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert comparable(answer) == comparable(predictor.predict(photo.read_bytes()).to_json())


def test_every_form_of_a_picture_gets_the_same_answer(
    endpoint: EndpointHandler, predictor: Predictor
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    data = encode(make_picture(seed=5), "PNG", exif=exif)
    text = base64.b64encode(data).decode()
    # The toolkit's way with a body of the type image/*.
    opened = Image.open(io.BytesIO(data)).convert("RGB")
    expected = comparable(predictor.predict(data).to_json())
    for inputs in (data, text, f"data:image/png;base64,{text}", opened):
        assert comparable(endpoint({"inputs": inputs})) == expected


def test_a_decoded_photo_keeps_the_colours_of_its_profile(
    endpoint: EndpointHandler, predictor: Predictor
) -> None:
    data = encode(make_picture(seed=5), "PNG", icc_profile=rgb_profile("ProPhoto"))
    expected = comparable(predictor.predict(data).to_json())
    assert comparable(endpoint({"inputs": Image.open(io.BytesIO(data))})) == expected


def test_a_large_decoded_photo_is_made_to_fit(endpoint: EndpointHandler) -> None:
    noise = Image.effect_noise((4000, 3000), 100).convert("RGB")
    assert endpoint({"inputs": noise})["verdict"]


def test_parameters_ask_for_the_heat_map(endpoint: EndpointHandler) -> None:
    data = encode(make_picture(seed=5))
    answer = endpoint({"inputs": data, "parameters": {"heatmap": True, "explain": LABELS[3]}})
    assert answer["heatmap"].startswith("data:image/png;base64,")
    assert endpoint({"inputs": data, "parameters": None})["heatmap"] is None
    json.dumps(answer)


@pytest.mark.parametrize(
    ("data", "error", "word"),
    [
        ({}, ImageError, "a picture is expected"),
        ({"inputs": 7}, ImageError, "int"),
        ({"inputs": "not base64!"}, ImageError, "not base64"),
        ({"inputs": b"no picture"}, ImageError, "it is not a JPEG"),
        ({"inputs": b"", "parameters": {"top_k": 5}}, ConfigError, "top_k"),
        ({"inputs": b"", "parameters": {"heatmap": "yes"}}, ConfigError, "heatmap"),
        ({"inputs": b"", "parameters": [1]}, ConfigError, "parameters"),
    ],
)
def test_what_cannot_be_answered_says_why(
    endpoint: EndpointHandler, data: dict[str, Any], error: type[SkinDiseaseNetError], word: str
) -> None:
    with pytest.raises(error, match=word) as caught:
        endpoint(data)
    assert caught.value.hint


def test_weights_that_the_endpoint_did_not_fetch_are_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_checkpoint / "config.json").read_bytes())
    with pytest.raises(SkinDiseaseNetError, match=r"model\.safetensors is missing"):
        EndpointHandler(str(tmp_path))
