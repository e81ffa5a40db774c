"""The exported graph against PyTorch, its cache, and what happens without it."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, encode, make_picture
from timm.data import create_transform

from app.predictor import Predictor
from app.settings import EMBEDDED_CHECKPOINT
from model import checkpoint as checkpoints
from model.checkpoint import Checkpoint, find
from model.config import ModelConfig
from model.decision.calibration import softmax
from model.errors import CheckpointError, ConfigError, ExportError
from model.heads import HEADS
from model.image.preprocess import preprocess
from model.network import SkinDiseaseNet
from model.runtime import export as exporting
from model.runtime.base import OpenVINORuntime, open_runtime
from model.runtime.export import graph_file, main
from model.runtime.torch import TorchRuntime

LABELS = ("Acne", "Moles", "Warts")


def save(folder: Path, **changes: object) -> Checkpoint:
    """A checkpoint with random weights that gives different pictures clearly different answers."""
    values = {"backbone": "test_resnet", "hidden_size": 16, "input_size": 64, "temperature": 0.2, **changes}
    config = ModelConfig(labels=LABELS, **values)  # type: ignore[arg-type]
    torch.manual_seed(1)
    checkpoints.save(folder, SkinDiseaseNet(config), config, card="# Made for a test\n")
    return find(folder)


def images(config: ModelConfig, count: int) -> list[np.ndarray]:
    return [preprocess(make_picture(seed=seed), config=config)[None] for seed in range(count)]


def assert_alike(checkpoint: Checkpoint, graph: OpenVINORuntime, count: int) -> None:
    """Probabilities and heat maps of made pictures equal PyTorch's."""
    reference, config = TorchRuntime(checkpoint), checkpoint.config
    tops = []
    for image in images(config, count):
        (logits, features), (expected, expected_map) = graph.forward(image), reference.forward(image)
        tops.append(softmax(expected, config.temperature).max())
        difference = softmax(logits, config.temperature) - softmax(expected, config.temperature)
        assert np.abs(difference).max() < 1e-4
        assert graph.pooled(features) == pytest.approx(reference.pooled(expected_map), abs=1e-3)
        heat, expected_heat = graph.grad_cam(features, 1), reference.grad_cam(expected_map, 1)
        assert heat == pytest.approx(expected_heat, abs=1e-3)
    assert np.ptp(tops) > 1e-3, "the pictures must not all get one answer"


@pytest.mark.parametrize(
    ("head", "stages"), [*((head, 1) for head in HEADS), ("bilstm", 2), ("attention", 2)]
)
def test_every_head_exported_answers_as_in_pytorch(head: str, stages: int, tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "checkpoint", head=head, stages=stages)
    exporting.export(checkpoint, tmp_path)
    assert_alike(checkpoint, OpenVINORuntime(checkpoint, graph_cache=tmp_path), 10)


@pytest.mark.slow
def test_the_embedded_checkpoint_answers_as_in_pytorch() -> None:
    checkpoint = find(EMBEDDED_CHECKPOINT)
    assert_alike(checkpoint, OpenVINORuntime(checkpoint), 4)


def test_threads_at_once_get_their_own_answers(tiny_checkpoint: Path) -> None:
    checkpoint = find(tiny_checkpoint)
    runtime = OpenVINORuntime(checkpoint, threads=2, streams=2)
    jobs = images(checkpoint.config, 6)
    alone = [runtime.forward(image) for image in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(runtime.forward, jobs * 4))
    for got, expected in zip(together, alone * 4, strict=True):
        for array, wanted in zip(got, expected, strict=True):
            assert array == pytest.approx(wanted, abs=1e-4)


# What serves


def test_a_server_on_the_cpu_does_without_pytorch_even_for_a_heat_map(tiny_checkpoint: Path) -> None:
    code = (
        "import sys, app.web; from app.predictor import Predictor\n"
        f"predictor = Predictor.from_checkpoint({str(tiny_checkpoint)!r}, device='cpu')\n"
        "predictor.predict(open(sys.argv[1], 'rb').read(), heatmap=True)\n"
        "assert sys.modules['openvino_telemetry'] is None, 'OpenVINO would report to its makers'\n"
        "print(predictor.describe(), sorted({'torch', 'timm', 'torchvision'} & set(sys.modules)))"
    )
    photo = tiny_checkpoint.parent / "photo.jpg"
    photo.write_bytes(encode(make_picture()))
    done = subprocess.run(
        [sys.executable, "-c", code, photo], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "on cpu with openvino" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_a_signal_after_models_have_gone_ends_no_process(tiny_checkpoint: Path) -> None:
    """The second model outlives the first, as when a checkpoint is read anew (goes wrong with AMX)."""
    program = """
import gc, signal, subprocess, sys
from model.checkpoint import find
from model.runtime.base import OpenVINORuntime
checkpoint = find(sys.argv[1])
first, second = OpenVINORuntime(checkpoint), OpenVINORuntime(checkpoint)
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGCHLD, lambda *_: print("noticed"))
subprocess.run([sys.executable, "-c", ""], check=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny_checkpoint)], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "noticed"), done.stderr


def test_numpy_leaves_the_other_cores_to_the_network() -> None:
    code = (
        "import app.web, app.gradio_ui.ui, threadpoolctl\n"
        "blas = [pool for pool in threadpoolctl.threadpool_info() if pool['user_api'] == 'blas']\n"
        "print(sorted({pool['num_threads'] for pool in blas if pool['internal_api'] == 'openblas'}))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[1]", done.stderr


def test_pytorch_can_be_asked_for(tiny_checkpoint: Path) -> None:
    predictor = Predictor.from_checkpoint(str(tiny_checkpoint), device="cpu", runtime="torch")
    assert "on cpu with torch" in predictor.describe()


def test_an_unknown_runtime_is_refused_with_the_known_ones(tiny_checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="'onnx'") as caught:
        open_runtime(find(tiny_checkpoint), name="onnx")
    assert "openvino" in caught.value.hint
    with pytest.raises(ConfigError, match="the device is cuda"):
        open_runtime(find(tiny_checkpoint), name="openvino", device="cuda")


def test_a_network_that_cannot_be_exported_is_served_by_pytorch_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exporter of an ONNX version that no exporter knows stands for a network with a strange part."""
    checkpoint = save(tmp_path / "odd")
    monkeypatch.setattr(exporting, "_OPSET", 999)
    with pytest.raises(ExportError, match="cannot be exported"):
        exporting.export(checkpoint, tmp_path)
    monkeypatch.setattr(exporting, "_export_apart", exporting.export)
    with caplog.at_level(logging.WARNING):
        runtime = open_runtime(checkpoint, device="cpu", graph_cache=tmp_path)
    assert runtime.name == "torch"
    assert "PyTorch instead" in caplog.text
    with pytest.raises(ExportError):
        open_runtime(checkpoint, name="openvino", graph_cache=tmp_path)
    assert not list(tmp_path.glob("*.onnx")), "a failed export leaves nothing"
    assert not list(tmp_path.glob(".export-*"))


def test_a_graph_that_computes_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = save(tmp_path / "checkpoint")
    exporting.export(checkpoint, tmp_path / "before")
    with torch.no_grad():
        checkpoint.network.head.classifier.bias[0] += 0.01
    traced = next((tmp_path / "before").glob("*.onnx")).read_bytes()
    monkeypatch.setattr(exporting, "_trace", lambda _, file: file.write_bytes(traced))
    with pytest.raises(ExportError, match="differ from PyTorch's by"):
        exporting.export(checkpoint, tmp_path / "after")
    assert not list((tmp_path / "after").glob("*"))


def test_damaged_weights_are_refused_whatever_computes(tmp_path: Path) -> None:
    checkpoint = save(tmp_path / "checkpoint")
    weights = checkpoint.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        Predictor.from_checkpoint(str(checkpoint.folder), device="cpu", graph_cache=tmp_path)


# The cache


def test_the_command_line_fills_the_cache_that_a_start_then_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = save(tmp_path / "checkpoint")
    assert main([str(checkpoint.folder), "--output", str(tmp_path / "cache")]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == tmp_path / "cache"
    assert path.stat().st_mode & 0o777 == 0o644
    monkeypatch.setattr(sys, "executable", "/no/export/is/needed")
    assert open_runtime(checkpoint, name="openvino", graph_cache=tmp_path / "cache").device == "cpu"
    assert main([str(tmp_path / "absent")]) == 1
    assert capsys.readouterr().err.startswith("error: There is no folder")


def test_another_config_or_other_weights_have_another_graph(tmp_path: Path) -> None:
    first = save(tmp_path / "first")
    names = {exporting.graph_name(first), exporting.graph_name(save(tmp_path / "again"))}
    assert len(names) == 1, "the folder's name does not matter"
    names.add(exporting.graph_name(save(tmp_path / "larger", input_size=96)))
    checkpoint = save(tmp_path / "other")
    with torch.no_grad():
        checkpoint.network.head.classifier.bias[0] += 1
    checkpoints.save(checkpoint.folder, checkpoint.network, checkpoint.config, card="")
    names.add(exporting.graph_name(find(checkpoint.folder)))
    assert len(names) == 3


def test_a_cache_that_cannot_be_written_to_costs_an_export_but_no_answer(
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(exporting, "_export_apart", exporting.export)
    (tmp_path / "file").write_text("no folder")  # as root, a folder without write permission would not do
    with (
        caplog.at_level(logging.WARNING),
        graph_file(find(tiny_checkpoint), tmp_path / "file" / "cache") as path,
    ):
        assert path.is_file()
    assert not path.exists()
    assert "GRAPH_CACHE" in caplog.text


# Preprocessing without PyTorch


@pytest.mark.parametrize("size", [(640, 480), (301, 640), (224, 224), (97, 200), (1008, 756), (33, 41)])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"crop_mode": "squash"},
        {"crop_pct": 0.875, "interpolation": "bilinear"},
        {"crop_pct": 0.9, "crop_mode": "squash", "input_size": 225},
        {"crop_pct": 0.95, "input_size": 97, "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.1, 0.2)},
    ],
)
def test_preprocessing_is_timms_bit_for_bit(size: tuple[int, int], changes: dict[str, object]) -> None:
    config = dataclasses.replace(ModelConfig(labels=LABELS), **changes)
    timms = create_transform(
        config.input_size,
        is_training=False,
        interpolation=config.interpolation,
        mean=config.mean,
        std=config.std,
        crop_pct=config.crop_pct,
        crop_mode=config.crop_mode,
    )
    picture = make_picture(*size)
    assert np.array_equal(preprocess(picture, config=config), timms(picture).numpy())
