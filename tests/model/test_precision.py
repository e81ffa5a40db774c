"""bfloat16 where the processor has it and the answers stay the same; float32 everywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import encode, make_picture

from app.predictor import Predictor
from app.settings import Settings
from model.checkpoint import Checkpoint, find
from model.decision.calibration import softmax
from model.errors import ConfigError
from model.image.preprocess import preprocess
from model.runtime import precision as precisions
from model.runtime.base import OpenVINORuntime, open_runtime
from model.runtime.engine import openvino_core
from model.runtime.export import export
from model.runtime.precision import choose_precision, compare, made_images

native = pytest.mark.skipif(
    "BF16" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="this processor does not compute in bfloat16",
)


class OldProcessor:
    """OpenVINO's core as it describes a processor without bfloat16."""

    def get_property(self, device: str, name: str) -> Any:
        return {"OPTIMIZATION_CAPABILITIES": ["FP32", "INT8"], "FULL_DEVICE_NAME": "an old one"}[name]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return find(tiny_checkpoint)


@pytest.fixture
def cache(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """A folder with the checkpoint's graph."""
    tmp_path.chmod(0o700)
    export(checkpoint, tmp_path)
    return tmp_path


def kept(cache: Path) -> Path:
    """The file that says what the comparison found."""
    (file,) = cache.glob("*.bfloat16.json")
    return file


@native
def test_bfloat16_answers_nearly_as_float32_does(checkpoint: Checkpoint, cache: Path) -> None:
    image = preprocess(make_picture(seed=1), config=checkpoint.config)[None]
    exact, rounded = (
        open_runtime(checkpoint, graph_cache=cache, precision=name) for name in ("float32", "bfloat16")
    )
    assert (exact.precision, rounded.precision) == ("float32", "bfloat16")
    logits, expected = rounded.forward(image)[0], exact.forward(image)[0]
    assert not np.array_equal(logits, expected), "bfloat16 was not used"
    temperature = checkpoint.config.temperature
    assert np.abs(softmax(logits, temperature) - softmax(expected, temperature)).max() < 0.05


@native
def test_the_comparison_is_made_once_and_believed_afterwards(checkpoint: Checkpoint, cache: Path) -> None:
    assert OpenVINORuntime(checkpoint, graph_cache=cache, precision="auto").precision == "bfloat16"
    found = json.loads(kept(cache).read_text())
    assert found["holds"]
    assert found["pictures"] == 64
    assert found["same_label"] > 0.9
    kept(cache).write_text(json.dumps({**found, "holds": False}))
    assert OpenVINORuntime(checkpoint, graph_cache=cache, precision="auto").precision == "float32"
    assert OpenVINORuntime(checkpoint, graph_cache=cache, precision="bfloat16").precision == "bfloat16"


@native
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"place": {"processor": "another"}, "holds": false}'])
def test_what_was_found_elsewhere_or_is_damaged_is_measured_anew(
    content: str, checkpoint: Checkpoint, cache: Path
) -> None:
    OpenVINORuntime(checkpoint, graph_cache=cache, precision="auto")
    good = kept(cache).read_text()
    kept(cache).write_text(content)
    assert OpenVINORuntime(checkpoint, graph_cache=cache, precision="auto").precision == "bfloat16"
    assert kept(cache).read_text() == good


@native
def test_answers_that_change_leave_float32(
    checkpoint: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precisions, "MEAN_CHANGE", 0.0)
    assert OpenVINORuntime(checkpoint, graph_cache=cache, precision="auto").precision == "float32"
    assert "bfloat16 changes the answers" in caplog.text


@native
def test_a_server_takes_it_by_itself(tiny_checkpoint: Path, cache: Path) -> None:
    settings = Settings(checkpoint=str(tiny_checkpoint), port=1, graph_cache=cache)
    answer = Predictor.from_settings(settings).predict(encode(make_picture(seed=1)))
    assert answer.precision == "bfloat16"


def test_a_processor_without_it_computes_in_float32(checkpoint: Checkpoint, tmp_path: Path) -> None:
    graph = tmp_path / "graph.onnx"
    assert choose_precision("auto", graph, OldProcessor(), checkpoint.config) == "float32"
    with pytest.raises(ConfigError, match="an old one") as refused:
        choose_precision("bfloat16", graph, OldProcessor(), checkpoint.config)
    assert "float32" in str(refused.value.hint)


@pytest.mark.parametrize(("name", "runtime"), [("bfloat16", "torch"), ("half", "auto")])
def test_a_precision_that_nothing_computes_in_is_refused(
    name: str, runtime: str, checkpoint: Checkpoint
) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        open_runtime(checkpoint, name=runtime, precision=name)
    assert "float32" in str(refused.value.hint)


def test_near_ties_may_go_either_way_and_clear_answers_may_not() -> None:
    tie = np.array([[0.41, 0.4, 0.19]])
    assert compare(tie, tie[:, [1, 0, 2]])["holds"]
    clear = np.array([[0.5, 0.4, 0.1]])
    assert not compare(clear, clear[:, [1, 0, 2]])["holds"]
    assert compare(clear, clear)["holds"]
    assert not compare(clear, np.array([[0.53, 0.32, 0.15]]))["holds"], "too far on the average"


def test_made_images_are_always_the_same_and_differ(checkpoint: Checkpoint) -> None:
    images = made_images(checkpoint.config, 4)
    assert np.array_equal(images, made_images(checkpoint.config, 4))
    assert np.isfinite(images).all()
    assert len({image.tobytes() for image in images}) == 4
