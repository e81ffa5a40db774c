"""Graphs are taken from the cache only as they were put there, and only from where nobody else can write."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from conftest import ROOT, encode, make_picture

from app.prediction import Prediction
from app.predictor import Predictor
from model import checkpoint as checkpoints
from model.checkpoint import Checkpoint, find
from model.config import ModelConfig
from model.network import SkinDiseaseNet
from model.runtime import export as exporting
from model.runtime.export import graph_file, graph_name

PHOTO = encode(make_picture(seed=3))


def make(folder: Path, *, seed: int = 0) -> Checkpoint:
    config = ModelConfig(labels=("Acne", "Moles"), backbone="test_resnet", head="pool", input_size=64)
    torch.manual_seed(seed)
    checkpoints.save(folder, SkinDiseaseNet(config), config, card="")
    return find(folder)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A checkpoint; exports happen in this process, which has PyTorch anyhow, and are counted."""
    exports: list[Path] = []

    def export(checkpoint: Checkpoint, folder: Path) -> Path:
        exports.append(folder)
        return exporting.export(checkpoint, folder)

    monkeypatch.setattr(exporting, "_export_apart", export)
    monkeypatch.setattr(exporting, "exports", exports, raising=False)
    return make(tmp_path / "checkpoint")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the graph of that checkpoint, to be copied."""
    folder = tmp_path_factory.mktemp("graphs")
    exporting.export(make(folder / "checkpoint"), folder / "cache")
    return folder / "cache"


def exports() -> list[Path]:
    return exporting.exports  # type: ignore[attr-defined]


def answer(checkpoint: Checkpoint, cache: Path, runtime: str) -> Prediction:
    predictor = Predictor.from_checkpoint(str(checkpoint.folder), runtime=runtime, graph_cache=cache)
    assert predictor.runtime.name == "openvino"
    return predictor.predict(PHOTO)


def empty(graph: Path) -> None:
    graph.write_bytes(b"")


def cut(graph: Path) -> None:
    graph.write_bytes(graph.read_bytes()[:3000])


def flip(graph: Path) -> None:
    """One bit in the weights, which nothing else would notice."""
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 0x40
    graph.write_bytes(data)


def link(graph: Path) -> None:
    moved = graph.rename(graph.with_name("moved"))
    graph.symlink_to(moved)


def lose_the_digest(graph: Path) -> None:
    graph.with_name(f"{graph.name}.sha256").unlink()


def let_others_write(graph: Path) -> None:
    graph.chmod(0o666)


def take_anothers(graph: Path) -> None:
    """The graph of another checkpoint, whole and with its digest, under this one's name."""
    other = make(graph.parent.parent / "other", seed=1)
    there = exporting.export(other, graph.parent)
    os.replace(there, graph)
    os.replace(f"{there}.sha256", f"{graph}.sha256")


@pytest.mark.parametrize("runtime", ["auto", "openvino"])
@pytest.mark.parametrize("damage", [empty, cut, flip, link, lose_the_digest, let_others_write, take_anothers])
def test_a_graph_that_is_not_as_it_was_made_is_made_anew_once(
    damage: Callable[[Path], None], runtime: str, made: Checkpoint, graphs: Path, tmp_path: Path
) -> None:
    cache = shutil.copytree(graphs, tmp_path / "cache")
    before = answer(made, cache, runtime)
    assert exports() == []
    damage(cache / graph_name(made))
    after = answer(made, cache, runtime)
    assert after.conditions == before.conditions
    assert len(exports()) == 1
    assert answer(made, cache, runtime).conditions == before.conditions
    assert len(exports()) == 1
    assert not (cache / graph_name(made)).is_symlink()


def open_to_all(cache: Path) -> None:
    cache.chmod(0o777)


def open_to_the_group(cache: Path) -> None:
    cache.chmod(0o770)


def give_away(cache: Path) -> None:
    if os.geteuid() == 0:
        os.chown(cache, 12345, -1)
    else:
        pytest.skip("only root can give a folder away")


@pytest.mark.parametrize("spoil", [open_to_all, open_to_the_group, give_away])
def test_a_folder_that_others_can_write_to_is_not_computed_from(
    spoil: Callable[[Path], None],
    made: Checkpoint,
    graphs: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = shutil.copytree(graphs, tmp_path / "cache")
    before = answer(made, cache, "openvino")
    spoil(cache)
    with caplog.at_level(logging.WARNING):
        assert answer(made, cache, "openvino").conditions == before.conditions
    assert "others may write to it" in caplog.text
    assert "GRAPH_CACHE" in caplog.text
    assert len(exports()) == 1
    assert not exports()[0].exists(), "the temporary folder is gone"


def test_the_cache_that_is_made_belongs_to_its_user_alone(made: Checkpoint, tmp_path: Path) -> None:
    with graph_file(made, tmp_path / "new" / "cache") as graph:
        assert graph.parent.stat().st_mode & 0o777 == 0o700
        assert graph.stat().st_mode & 0o777 == 0o644


def test_of_several_that_start_at_once_one_makes_the_graph(made: Checkpoint, tmp_path: Path) -> None:
    def start(_: int) -> bytes:
        with graph_file(made, tmp_path / "cache") as graph:
            return graph.read_bytes()

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(start, range(3)))) == 1
    assert len(exports()) == 1


def test_a_graph_cut_off_under_a_running_server_changes_no_answer(
    made: Checkpoint, graphs: Path, tmp_path: Path
) -> None:
    cache = shutil.copytree(graphs, tmp_path / "cache")
    predictor = Predictor.from_checkpoint(str(made.folder), runtime="openvino", graph_cache=cache)
    before = predictor.predict(PHOTO, heatmap=True)
    with open(cache / graph_name(made), "r+b") as graph:
        graph.truncate(100)
    after = predictor.predict(PHOTO, heatmap=True)
    assert (after.conditions, after.heatmap) == (before.conditions, before.heatmap)


WITHOUT_PYTORCH = """
import sys
from pathlib import Path
sys.modules["torch"] = sys.modules["timm"] = None
from app.predictor import Predictor
from model.errors import SkinDiseaseNetError
checkpoint, cache, photo, runtime = sys.argv[1:]
try:
    predictor = Predictor.from_checkpoint(checkpoint, runtime=runtime, graph_cache=Path(cache))
    print(predictor.predict(Path(photo).read_bytes()).conditions[0].name)
except SkinDiseaseNetError as error:
    print(error)
"""


def without_pytorch(checkpoint: Checkpoint, cache: Path, runtime: str = "auto") -> str:
    """What a process says to which PyTorch looks as if it were not installed."""
    photo = cache.parent / "photo.jpg"
    photo.write_bytes(PHOTO)
    words = [sys.executable, "-c", WITHOUT_PYTORCH, str(checkpoint.folder), str(cache), str(photo), runtime]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr


def test_without_pytorch_the_graph_of_another_version_answers(
    made: Checkpoint, graphs: Path, tmp_path: Path
) -> None:
    cache = shutil.copytree(graphs, tmp_path / "cache")
    expected = answer(made, cache, "auto").conditions[0].name
    graph = cache / graph_name(made)
    other = graph.with_name(graph.name.replace(graph.stem[-8:], "0" * 8))
    graph.rename(other)
    digest = Path(f"{graph}.sha256")
    Path(f"{other}.sha256").write_text(digest.read_text().replace(graph.name, other.name))
    digest.unlink()
    assert without_pytorch(made, cache) == expected
    assert "The runtime torch needs PyTorch" in without_pytorch(made, cache, "torch")
    cut(other)
    said = without_pytorch(made, cache)
    assert "holds no graph of checkpoint that can be trusted" in said
    assert "python -m model.runtime.export" in said
