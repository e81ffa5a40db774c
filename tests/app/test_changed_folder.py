"""A running server answers from what it loaded, whatever becomes of the checkpoint's folder."""

from __future__ import annotations

import dataclasses
import json
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import encode, make_picture

from app.predictor import Predictor
from model import checkpoint
from model.config import ModelConfig
from model.decision.ood import DETECTOR, Detector
from model.network import SkinDiseaseNet
from model.runtime import export as exporting

PHOTO = encode(make_picture(seed=3))


def make(
    folder: Path, *, seed: int, head: str = "bilstm", labels: tuple[str, ...] = ("Acne", "Moles")
) -> None:
    config = ModelConfig(labels=labels, backbone="test_resnet", head=head, hidden_size=16, input_size=64)
    torch.manual_seed(seed)
    network = SkinDiseaseNet(config)
    detector = Detector(
        centres=np.zeros((1, sum(network.channels)), np.float16),
        directions=np.empty((sum(network.channels), 0), np.float16),
        weights=np.empty(0, np.float32),
        neighbour=1,
        normalised=False,
        reference=np.array([1.0, 1e9]),
    )
    config = dataclasses.replace(config, detector=DETECTOR)
    checkpoint.save(folder, network, config, card=f"# Card {seed}\n", detector=detector)


def replace(folder: Path) -> None:
    make(folder, seed=2, labels=("Warts", "Tinea"))


def cut(folder: Path) -> None:
    """In place: what is mapped into memory would end under the reader's feet."""
    for file in folder.iterdir():
        with open(file, "r+b") as opened:
            opened.truncate(10)


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def take_away(folder: Path) -> None:
    shutil.rmtree(folder)


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def ask(address: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}/api/v1/predict?heatmap=1", data=PHOTO, headers={"Content-Type": "image/jpeg"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    del found["timings_ms"]
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "served"
    make(folder, seed=1)
    return folder


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are exported here, where PyTorch is anyhow."""
    monkeypatch.setattr(exporting, "_export_apart", exporting.export)


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
@pytest.mark.parametrize("becomes", [replace, cut, empty, take_away])
def test_answers_heat_maps_health_and_pages_stay(
    runtime: str, becomes: Callable[[Path], None], made: Path, tmp_path: Path, serve: Callable[..., str]
) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "served"))
    expected = Predictor.from_checkpoint(str(folder), runtime=runtime).predict(PHOTO, heatmap=True).to_json()
    del expected["timings_ms"]
    # No picture yet: the first heat map needs weights that the first answer does not.
    address = serve(Predictor.from_checkpoint(str(folder), runtime=runtime))
    becomes(folder)
    assert ask(address) == json.loads(json.dumps(expected))
    assert json.loads(get(f"{address}/readyz"))["checkpoint"] == expected["checkpoint"]
    assert b"Card 1" in get(f"{address}/about")
    assert b"Acne" in get(f"{address}/api/v1/labels")


def test_the_heat_map_of_another_head_stays_too(tmp_path: Path) -> None:
    make(tmp_path / "served", seed=1, head="attention")
    expected = Predictor.from_checkpoint(str(tmp_path / "served"), runtime="openvino").predict(
        PHOTO, heatmap=True
    )
    predictor = Predictor.from_checkpoint(str(tmp_path / "served"), runtime="openvino")
    replace(tmp_path / "served")
    assert predictor.predict(PHOTO, heatmap=True).heatmap == expected.heatmap
