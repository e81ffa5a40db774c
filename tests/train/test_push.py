"""A checkpoint becomes a model repository: what travels, what does not, and what is said when it fails."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import GUEST, FakeHub
from session import Result, Session, assert_clear_error

from model import checkpoint
from model.checkpoint import FILES
from model.config import ModelConfig
from model.errors import CheckpointError


@pytest.fixture
def folder(carded_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint folder to play with."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(carded_checkpoint, copy)
    return copy


@pytest.fixture(autouse=True)
def whole_hub(hub: FakeHub) -> Iterator[None]:
    """Whatever a test broke is whole again for the next."""
    yield
    hub.refuse_uploads, hub.cut, hub.part_size = False, {"PUT": 0, "GET": 0}, 100_000_000


def push(online: Session, folder: Path, name: str, *options: str, **environment: str) -> Result:
    return online.run("train", "push", "--checkpoint", folder, "--repo-id", name, *options, **environment)


def test_the_three_files_travel_in_one_commit_and_nothing_else(
    hub: FakeHub, online: Session, folder: Path, photo: Path
) -> None:
    for stray in ("optimizer.pt", "extra.safetensors", ".git/config.json", "old/model.safetensors"):
        (folder / stray).parent.mkdir(exist_ok=True)
        (folder / stray).write_bytes(b"stays here")

    result = push(online, folder, "org/pushed")

    assert result.status == 0, result.err
    files = hub.files("models", "org/pushed")
    assert set(files) - {".gitattributes"} == set(FILES)
    assert all(files[name] == (folder / name).read_bytes() for name in FILES)
    assert hub.count("POST /api/models/org/pushed/commit/") == 1
    reference = result.out.strip()
    assert reference == f"org/pushed@{hub.repositories['models', 'org/pushed'].main}"
    served = online.run("app", "predict", photo, "--checkpoint", reference)
    commit = reference.partition("@")[2]
    assert json.loads(served.out)["checkpoint"] == {"id": "org/pushed", "revision": commit}


def test_pushing_again_replaces_the_files_and_an_unchanged_folder_makes_no_commit(
    hub: FakeHub, online: Session, folder: Path
) -> None:
    first = push(online, folder, "org/twice")
    assert push(online, folder, "org/twice").out == first.out
    hub.add("models", "org/twice", {"detector.safetensors": b"of an older checkpoint", "notes.txt": b"mine"})
    (folder / "README.md").write_text((folder / "README.md").read_text() + "# Second\n")

    second = push(online, folder, "org/twice")

    assert second.out != first.out
    files = hub.files("models", "org/twice")
    assert b"# Second" in files["README.md"]
    assert "detector.safetensors" not in files
    assert files["notes.txt"] == b"mine"


def test_the_detector_that_the_configuration_names_travels_too(
    folder: Path, tiny_config: ModelConfig
) -> None:
    named = dataclasses.replace(tiny_config, detector="detector.safetensors")
    (folder / "config.json").write_text(named.to_json())
    with pytest.raises(CheckpointError, match=r"lacks detector\.safetensors"):
        checkpoint.files(folder)
    (folder / "detector.safetensors").write_bytes(b"")
    assert set(checkpoint.files(folder)) == {*FILES, "detector.safetensors"}
    outside = named.to_json().replace("detector.safetensors", "../secret.safetensors")
    (folder / "config.json").write_text(outside)
    with pytest.raises(CheckpointError, match="file beside it"):
        checkpoint.files(folder)


def test_a_broken_folder_is_not_pushed(hub: FakeHub, online: Session, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"cut off")
    assert_clear_error(push(online, folder, "org/broken"), "model.safetensors", "fetch or convert")
    assert_clear_error(push(online, folder / "nowhere", "org/broken"), "nowhere", "no folder")
    assert ("models", "org/broken") not in hub.repositories


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("# No front matter\n", ("a licence", "the library", "measured results", "train card")),
        ("---\nlicense: other\nlibrary_name: timm\n---\n# X\n", ("lacks measured results", "evaluate")),
        ("---\nlicense: [\n---\n# X\n", ("cannot be read",)),
    ],
)
def test_a_card_that_does_not_say_what_it_must_is_not_pushed(
    hub: FakeHub, online: Session, folder: Path, card: str, words: tuple[str, ...]
) -> None:
    (folder / "README.md").write_text(card)
    assert_clear_error(push(online, folder, "org/uncarded"), "README.md", *words)
    (folder / "README.md").unlink()
    assert_clear_error(push(online, folder, "org/uncarded"), "README.md", "train card")
    assert ("models", "org/uncarded") not in hub.repositories


@pytest.mark.parametrize(
    ("name", "token", "words"),
    [
        ("org/a b", None, ("org/a b", "ORG/NAME")),
        ("org/a--b", None, ("org/a--b", "name")),
        ("alone", None, ("alone", "ORG/NAME")),
        ("org/mine", "", ("org/mine", "nobody is signed in", "HF_TOKEN")),
        ("org/mine", "hf_wrong", ("org/mine", "does not accept the token", "HF_TOKEN")),
        ("org/mine", GUEST, ("org/mine", "may not do this", "write access")),
    ],
)
def test_a_wrong_name_or_token_says_what_to_do(
    hub: FakeHub, online: Session, folder: Path, name: str, token: str | None, words: tuple[str, ...]
) -> None:
    environment = {} if token is None else {"HF_TOKEN": token}
    result = push(online, folder, name, **environment)
    assert_clear_error(result, *words)
    assert not token or token not in result.err
    assert ("models", name) not in hub.repositories


def test_a_private_repository_is_made_and_a_public_one_is_not_taken_for_one(
    hub: FakeHub, online: Session, folder: Path
) -> None:
    assert push(online, folder, "org/hidden", "--private").status == 0
    assert hub.repositories["models", "org/hidden"].private
    assert push(online, folder, "org/open").status == 0
    assert not hub.repositories["models", "org/open"].private
    before = hub.repositories["models", "org/open"].main
    (folder / "README.md").write_text((folder / "README.md").read_text() + "# Private\n")
    assert_clear_error(push(online, folder, "org/open", "--private"), "org/open", "is public", "settings")
    assert hub.repositories["models", "org/open"].main == before


def test_an_upload_that_breaks_off_publishes_nothing_and_a_second_run_completes_it(
    hub: FakeHub, online: Session, folder: Path
) -> None:
    hub.cut["PUT"], hub.refuse_uploads = (
        1,
        True,
    )  # the connection drops; the client tries again and is refused
    hub.objects.clear()
    assert_clear_error(push(online, folder, "org/half"), "org/half", "nothing was published")
    assert hub.cut["PUT"] == 0
    assert set(hub.files("models", "org/half")) == {".gitattributes"}

    hub.refuse_uploads = False
    assert push(online, folder, "org/half").status == 0
    assert hub.files("models", "org/half")["model.safetensors"] == (folder / "model.safetensors").read_bytes()


def test_a_large_file_travels_in_parts(hub: FakeHub, online: Session, folder: Path) -> None:
    hub.objects.clear()
    hub.part_size = 300_000
    weights = (folder / "model.safetensors").read_bytes()
    assert len(weights) > 2 * hub.part_size
    assert push(online, folder, "org/large").status == 0
    assert hub.files("models", "org/large")["model.safetensors"] == weights
