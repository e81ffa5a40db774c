"""The upload to a Hugging Face Space, against a small Hub on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from fake_hub import FakeHub

from app import space
from model.errors import CheckpointError, ConfigError

FRONT_MATTER = (
    "---\ntitle: SkinDiseaseNet\nemoji: 🔎\ncolorFrom: green\ncolorTo: blue\nsdk: gradio\n"
    "sdk_version: 6.31.0\napp_file: space_app.py\nlicense: apache-2.0\npinned: false\n---\n# SkinDiseaseNet\n"
)


@pytest.fixture
def copy(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """A copy of the repository with a small checkpoint, and with things that must stay at home."""
    root = tmp_path / "copy"
    leave = shutil.ignore_patterns("__pycache__")
    for folder in ("app", "model"):
        shutil.copytree(ROOT / folder, root / folder, ignore=leave)
    for name in ("space_app.py", "requirements.txt", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(tiny_checkpoint, root / space.CHECKPOINT)
    (root / "README.md").write_text(FRONT_MATTER, encoding="utf-8")
    for stray in (
        "tests/test_x.py",
        "train/loop.py",
        "runs/log.txt",
        ".env",
        "app/.env",
        "data/a.parquet",
        "app/__pycache__/x.cpython-311.pyc",
        "checkpoints/skin22/optimizer.pt",
        "model/photo.jpg",
    ):
        (root / stray).parent.mkdir(parents=True, exist_ok=True)
        (root / stray).write_text("stays here")
    return root


def test_app_and_checkpoint_travel_and_nothing_else(copy: Path, tmp_path: Path) -> None:
    with FakeHub() as hub:
        code = "import pathlib, sys; from app.space import push; "
        code += "print(push('org/demo', root=pathlib.Path(sys.argv[1])))"
        command = [sys.executable, "-c", code, str(copy)]
        done = subprocess.run(
            command, env=hub.environment(tmp_path), cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "org/demo" in done.stdout
        files = hub.files("spaces", "org/demo")
    assert (
        files["checkpoints/skin22/model.safetensors"]
        == (copy / "checkpoints/skin22/model.safetensors").read_bytes()
    )
    assert {
        "README.md",
        "LICENSE",
        "requirements.txt",
        "space_app.py",
        "app/gradio_ui.py",
        "app/gradio.css",
    } <= set(files)
    assert {"model/conditions.json", "model/network.py", "checkpoints/skin22/config.json"} <= set(files)
    tops = {
        "app",
        "model",
        "checkpoints",
        "README.md",
        "LICENSE",
        "requirements.txt",
        "space_app.py",
        ".gitattributes",
    }
    assert {name.split("/")[0] for name in files} <= tops
    assert not [name for name, content in files.items() if content == b"stays here"]


def test_every_file_the_space_imports_is_on_the_list(copy: Path, tmp_path: Path) -> None:
    """The uploaded files alone must start: import the page in a folder that holds nothing else."""
    from huggingface_hub.utils import filter_repo_objects

    alone = tmp_path / "alone"
    names = [str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()]
    for name in filter_repo_objects(
        names, allow_patterns=list(space.UPLOADED), ignore_patterns=list(space.NOT_UPLOADED)
    ):
        (alone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copy / name, alone / name)
    code = "import app.gradio_ui as ui; assert ui.CSS.is_file(); import space_app; print(ui.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(alone))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("sdk: gradio", "sdk: docker"), "sdk must be gradio"),
        (("app_file: space_app.py", "app_file: app.py"), "app_file must be space_app.py"),
        (("sdk_version: 6.31.0\n", ""), "sdk_version is missing"),
        (("6.31.0", "6"), "full version"),
        (("colorTo: blue", "colorTo: teal"), "colorTo must be one of"),
        (("title: SkinDiseaseNet\n", ""), "title is missing"),
        (("---\ntitle", "title"), "does not start with"),
        (("title: SkinDiseaseNet", "title: [unclosed"), "does not start with"),
    ],
)
def test_front_matter_that_does_not_fit_is_named(change: tuple[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        space.check_front_matter(FRONT_MATTER.replace(*change, 1))


def test_a_broken_checkpoint_stays_at_home(copy: Path) -> None:
    (copy / space.CHECKPOINT / "model.safetensors").unlink()
    with pytest.raises(CheckpointError):
        space.check(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "requirements.txt").unlink()
    with pytest.raises(ConfigError, match=r"requirements\.txt is missing"):
        space.check(copy)


def test_a_name_without_an_owner_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert space.main(["demo"]) == 1
    assert "ORG/NAME" in capsys.readouterr().err


def test_the_hub_refuses_in_words(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def create_repo(self, *arguments: object, **options: object) -> None:
            raise OSError("no connection")

    monkeypatch.setattr(space, "HfApi", Refusing)
    with pytest.raises(ConfigError, match="no connection") as caught:
        space.push("org/demo", root=copy)
    assert "hf auth login" in caught.value.hint
