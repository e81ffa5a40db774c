"""The upload to a Hugging Face Space, against a small Hub on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from fake_hub import FakeHub
from processes import free_port, running

from app.deploy import space
from model.checkpoint import FILES
from model.errors import CheckpointError, ConfigError, HubError

FRONT_MATTER = (
    "---\ntitle: SkinDiseaseNet\nemoji: 🔎\ncolorFrom: green\ncolorTo: blue\nsdk: gradio\n"
    "sdk_version: 6.31.0\napp_file: space_app.py\nlicense: apache-2.0\npinned: false\n---\n# SkinDiseaseNet\n"
)


STRAYS = (
    "tests/test_x.py",
    "train/fit/run.py",
    "runs/log.txt",
    ".env",
    "app/.env",
    "data/a.parquet",
    "app/__pycache__/x.cpython-311.pyc",
    "model/photo.jpg",
    "model/weights.bin",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository without checkpoints, and with files that must not be uploaded."""
    root = tmp_path / "copy"
    for name in tracked("app", "model", "space_app.py", "requirements.txt", "LICENSE"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "README.md").write_text(FRONT_MATTER, encoding="utf-8")
    for stray in STRAYS:
        (root / stray).parent.mkdir(parents=True, exist_ok=True)
        (root / stray).write_text("stays here")
    return root


def tracked(*names: str) -> list[str]:
    """Files of the checkout under these names."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *names]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def make_space(root: Path, name: str, environment: dict[str, str]) -> str:
    """`python -m app.deploy.space` in that folder; returns what it prints."""
    command = [sys.executable, "-m", "app.deploy.space", name]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_space_starts_from_its_files_alone_and_answers(
    hub: FakeHub,
    hub_environment: dict[str, str],
    copy: Path,
    tiny_checkpoint: Path,
    photo: Path,
    tmp_path: Path,
) -> None:
    (tiny_checkpoint / "optimizer.pt").write_text("stays here")
    try:
        printed = make_space(copy, "org/demo", {**hub_environment, "CHECKPOINT": str(tiny_checkpoint)})
    finally:
        (tiny_checkpoint / "optimizer.pt").unlink()

    space_there = hub.repositories["spaces", "org/demo"]
    assert printed == f"org/demo@{space_there.main}"
    assert hub.count("POST /api/spaces/org/demo/commit/") == 1
    files = hub.files("spaces", "org/demo")
    assert not [name for name, content in files.items() if content == b"stays here"]
    needed = {*tracked("app", "model"), "space_app.py", "requirements.txt", "README.md", "LICENSE"}
    needed |= {f"checkpoints/tiny/{name}" for name in FILES}
    assert set(files) == {*needed, ".gitattributes"}

    alone = tmp_path / "alone"
    for name, content in files.items():
        (alone / name).parent.mkdir(parents=True, exist_ok=True)
        (alone / name).write_bytes(content)
    port = free_port()
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {
        "SPACE_ID": "org/demo",
        "SYSTEM": "spaces",
        "PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "0",
    }
    environment |= space_there.variables
    log = tmp_path / "space.log"
    command = [sys.executable, "space_app.py"]
    with running(command, port=port, log=log, environment=environment, folder=alone) as address:
        answer = predict(address, photo)
    assert answer["checkpoint"]["id"] == "tiny"
    assert answer["verdict"] in ("condition", "uncertain", "no_condition", "rejected")


def predict(address: str, photo: Path) -> dict[str, Any]:
    """What the Space answers to a client of its API."""
    import gradio_client

    client = gradio_client.Client(address, verbose=False)
    result = client.predict(gradio_client.handle_file(str(photo)), api_name="/predict")
    parts = result if isinstance(result, (tuple, list)) else [result]
    return next(part for part in parts if isinstance(part, dict) and "verdict" in part)


def test_a_checkpoint_on_the_hub_is_named_and_not_copied(
    hub: FakeHub, hub_environment: dict[str, str], copy: Path, tiny_checkpoint: Path
) -> None:
    commit = hub.add("models", "org/served", {name: (tiny_checkpoint / name).read_bytes() for name in FILES})
    hub.add("spaces", "org/named", {"checkpoints/old/model.safetensors": b"old", "app/old.py": b"old"})
    hub.repositories["spaces", "org/named"].variables["CHECKPOINT"] = "checkpoints/old"

    make_space(copy, "org/named", {**hub_environment, "CHECKPOINT": "org/served@main"})

    assert hub.repositories["spaces", "org/named"].variables == {"CHECKPOINT": f"org/served@{commit}"}
    files = hub.files("spaces", "org/named")
    assert not [name for name in files if name.startswith("checkpoints/") or name == "app/old.py"]


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


def test_what_does_not_fit_is_named_and_nothing_is_sent(
    hub: FakeHub, copy: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_checkpoint, broken)
    (broken / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        space.push("org/none", checkpoint=str(broken), root=copy)
    with pytest.raises(HubError, match="ORG/NAME"):
        space.push("demo", checkpoint=str(tiny_checkpoint), root=copy)
    (copy / "requirements.txt").unlink()
    with pytest.raises(ConfigError, match=r"requirements\.txt is missing"):
        space.push("org/none", checkpoint=str(tiny_checkpoint), root=copy)
    assert ("spaces", "org/none") not in hub.repositories


def test_without_signing_in_the_command_says_how(
    hub_environment: dict[str, str], copy: Path, tiny_checkpoint: Path
) -> None:
    environment = {**hub_environment, "CHECKPOINT": str(tiny_checkpoint), "HF_TOKEN": ""}
    command = [sys.executable, "-m", "app.deploy.space", "org/mine"]
    done = subprocess.run(command, env=environment, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "hf auth login" in done.stderr
