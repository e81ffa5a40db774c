"""A data set becomes parquet shards, a card and a manifest on the Hub, and comes back the same."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from datasets_made import COLUMNS, make_image_folder, make_parquet
from fake_hub import GUEST, FakeHub
from session import Result, Session, assert_clear_error

from model.errors import DataError
from model.labels import LABELS
from train.data import manifest
from train.data.splits import load_split
from train.publish import dataset as push_data

NOTES = "---\nlicense: cc-by-4.0\ntags: [dermatology]\n---\n## Sources\n\nDrawn by code, for a test.\n"
THREE = list(LABELS[:3])


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.md"
    path.write_text(NOTES)
    return path


def push(online: Session, data: Path, notes: Path, name: str, *options: str, **environment: str) -> Result:
    words = ["--data", data, "--notes", notes, "--repo-id", name, *options]
    return online.run("train", "push-data", *words, **environment)


def rows(source: str, *splits: str, environment: dict[str, str] | None = None) -> list[list[object]]:
    """The rows of splits as training reads them; with an environment, in a process of its own."""
    if environment is None:
        return [
            [hashlib.sha256(manifest.picture_bytes(row)).hexdigest(), *(row[name] for name in ROW)]
            for split in splits
            for row in load_split([source], split, labels=LABELS, strict=False)
        ]
    code = "import json, sys; sys.path[:0] = ['tests', 'tests/train', 'tests/helpers']; "
    code += "from test_push_data import rows; print(json.dumps(rows(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, source, *splits]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ROW = ("label", "id", "source", "group", "diagnosis", "skin_type")


@pytest.mark.slow
def test_a_data_set_comes_back_as_it_was(
    hub: FakeHub, online: Session, hub_environment: dict[str, str], notes: Path, tmp_path: Path
) -> None:
    data = make_parquet(
        tmp_path / "data", {"train": 130, "test": 12}, labels=LABELS[::-1], columns=(*COLUMNS, "diagnosis")
    )

    result = push(online, data, notes, "org/drawn")

    assert result.status == 0, result.err
    reference = result.out.strip()
    assert reference == f"org/drawn@{hub.repositories['datasets', 'org/drawn'].main}"
    assert hub.repositories["datasets", "org/drawn"].private
    assert hub.count("POST /api/datasets/org/drawn/commit/") == 1
    files = hub.files("datasets", "org/drawn")
    shards = {f"data/{split}-00000-of-00001.parquet" for split in ("train", "test")}
    assert set(files) == {*shards, "README.md", "manifest.csv", ".gitattributes"}
    splits = ("train", "test")
    assert rows(reference, *splits, environment=hub_environment) == rows(str(data), *splits)

    _, front, text = files["README.md"].decode().split("---\n", 2)
    values = yaml.safe_load(front)
    assert values["license"] == "cc-by-4.0"
    assert values["size_categories"] == ["n<1K"]
    assert "Drawn by code" in text
    assert f"| {LABELS[21]} | 2 | 6 |" in text
    assert "| All | 12 | 130 |" in text
    (tmp_path / "manifest.csv").write_bytes(files["manifest.csv"])
    lines = manifest.read(tmp_path / "manifest.csv")
    assert [(line.sha256, line.label) for line in lines if line.split == "test"] == [
        (row[0], LABELS[row[1]]) for row in rows(str(data), "test")
    ]


def test_an_image_folder_travels_without_its_folder_names_and_in_shards(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, hub: FakeHub, online: Session
) -> None:
    data = make_image_folder(tmp_path / "jane-doe", {"train": 2}, labels=THREE)
    monkeypatch.setattr(push_data, "SHARD_BYTES", 1)
    monkeypatch.setattr(push_data, "ROW_GROUP", 4)
    sent: dict[str, bytes] = {}
    monkeypatch.setattr(
        push_data.hub,
        "upload",
        lambda name, files, **options: sent.update({path: file.read_bytes() for path, file in files.items()}),
    )
    push_data.push_data(data=str(data), repo_id="org/folder", notes=str(notes))
    assert {path for path in sent if path.startswith("data/")} == {
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    }
    assert not [path for path, content in sent.items() if b"jane-doe" in content]
    again = tmp_path / "again"
    for path, content in sent.items():
        (again / path).parent.mkdir(parents=True, exist_ok=True)
        (again / path).write_bytes(content)
    assert rows(str(again), "train") == rows(str(data), "train")


def test_a_second_run_completes_a_cut_upload_and_replaces_old_shards(
    hub: FakeHub, online: Session, notes: Path, tmp_path: Path
) -> None:
    data = make_parquet(tmp_path / "data", {"train": 12, "test": 6}, seed=7)
    hub.refuse_uploads = True
    try:
        assert_clear_error(push(online, data, notes, "org/cutdata"), "org/cutdata", "nothing was published")
    finally:
        hub.refuse_uploads = False
    assert set(hub.files("datasets", "org/cutdata")) == {".gitattributes"}

    assert push(online, data, notes, "org/cutdata").status == 0
    sent = hub.count("PUT /lfs/")
    assert push(online, data, notes, "org/cutdata").status == 0
    assert hub.count("PUT /lfs/") == sent, "the same shards are not sent again"

    (data / "test-00000-of-00001.parquet").unlink()
    assert push(online, data, notes, "org/cutdata").status == 0
    assert "data/test-00000-of-00001.parquet" not in hub.files("datasets", "org/cutdata")


def test_pictures_are_published_only_when_told_so(
    hub: FakeHub, online: Session, notes: Path, tmp_path: Path
) -> None:
    data = make_parquet(tmp_path / "data", {"train": 6}, seed=8)
    assert push(online, data, notes, "org/shown", "--public").status == 0
    assert not hub.repositories["datasets", "org/shown"].private
    assert_clear_error(push(online, data, notes, "org/shown"), "org/shown", "is public", "private")
    assert_clear_error(push(online, data, notes, "org/x", HF_TOKEN=""), "org/x", "nobody is signed in")
    assert_clear_error(push(online, data, notes, "org/x", HF_TOKEN=GUEST), "org/x", "write access")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("## Sources\n\nNo front matter.\n", ("notes.md", "license")),
        ("---\ntags: [x]\n---\n## Sources\n", ("notes.md", "names no license")),
        ("---\nlicense: cc0-1.0\n---\n## Terms\n", ("notes.md", "heading", "Sources")),
        ("---\nlicense: [\n---\n## Sources\n", ("notes.md", "front matter")),
        (None, ("notes.md", "cannot be read")),
    ],
)
def test_without_sources_and_licence_nothing_is_uploaded(
    hub: FakeHub, online: Session, notes: Path, tmp_path: Path, text: str | None, words: tuple[str, ...]
) -> None:
    notes.unlink() if text is None else notes.write_text(text)
    assert_clear_error(push(online, tmp_path, notes, "org/unstated"), *words)
    assert ("datasets", "org/unstated") not in hub.repositories


def test_the_manifest_names_what_changed(tmp_path: Path) -> None:
    data = make_parquet(tmp_path / "data", {"train": 12}, labels=THREE)
    loaded = load_split([str(data)], "train", labels=THREE)
    lines = list(manifest.entries("train", loaded, THREE))
    manifest.write(tmp_path / manifest.FILE, [*lines, manifest.entry("test", "x", "", b"x")])
    assert manifest.verify(tmp_path / manifest.FILE, {"train": lines}) == 12

    first, second, third, *rest = lines
    changed = [first._replace(sha256="0" * 64), second._replace(label=THREE[2]), *rest]
    changed.append(manifest.entry("train", "stranger.jpg", "", b"new"))
    with pytest.raises(DataError) as caught:
        manifest.verify(tmp_path / manifest.FILE, {"train": changed})
    for words in (
        f"1 changed (train/{first.id})",
        f"1 relabelled (train/{second.id})",
        f"1 missing (train/{third.id})",
        "1 not in the manifest (train/stranger.jpg)",
    ):
        assert words in caught.value.message
    with pytest.raises(DataError, match="missing"):
        manifest.verify(tmp_path / manifest.FILE, {"train": [], "test": []})

    (tmp_path / manifest.FILE).write_text("image,label\n")
    with pytest.raises(DataError, match="not a manifest"):
        manifest.verify(tmp_path / manifest.FILE, {"train": lines})
