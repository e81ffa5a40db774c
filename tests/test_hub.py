"""Checkpoints and data sets on the Hub: pushed, fetched at a revision, and what is said when that fails."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from conftest import encode, free_port, make_picture
from fake_hub import FakeHub
from session import Result, Session, session

from model.checkpoint import FILES
from model.labels import LABELS


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        yield server


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="module")
def online(hub: FakeHub, caches: Path) -> Iterator[Session]:
    with session(hub.environment(caches)) as commands:
        yield commands


@pytest.fixture(scope="module")
def offline(hub: FakeHub, caches: Path) -> Iterator[Session]:
    """Another process with the same caches, for which the Hub is down."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    with session({**hub.environment(caches), "HF_ENDPOINT": nowhere, "HF_TOKEN": ""}) as commands:
        yield commands


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "photo.jpg"
    path.write_bytes(encode(make_picture(seed=3)))
    return path


@pytest.fixture(scope="module")
def published(hub: FakeHub, tiny_checkpoint: Path) -> str:
    """ORG/NAME@COMMIT of the tiny checkpoint."""
    commit = hub.add("models", "org/ready", {name: (tiny_checkpoint / name).read_bytes() for name in FILES})
    return f"org/ready@{commit}"


@pytest.fixture(scope="module")
def published_set(hub: FakeHub) -> str:
    """ORG/NAME@COMMIT of a data set with other class numbers than the checkpoint, and a newer commit."""
    first = hub.add("datasets", "org/set", {"data/test-00000-of-00001.parquet": _parquet([2, 0, 21])})
    hub.add("datasets", "org/set", {"data/test-00000-of-00001.parquet": _parquet([5, 5])})
    return f"org/set@{first}"


def _parquet(numbers: list[int]) -> bytes:
    """Pictures whose class names stand in another order than the checkpoint's; ``numbers`` are the latter."""
    names = LABELS[::-1]
    pictures = [{"bytes": encode(make_picture(seed=n), "PNG"), "path": f"{n}.png"} for n in numbers]
    rows = {"image": pictures, "label": [names.index(LABELS[number]) for number in numbers]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
    buffer = io.BytesIO()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(buffer)
    return buffer.getvalue()


def _comparable(line: str) -> dict[str, object]:
    """A prediction without what may differ from one checkpoint reference to another."""
    return {k: v for k, v in json.loads(line).items() if k not in ("checkpoint", "timings_ms")}


def _assert_clear_error(result: Result, *words: str) -> None:
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


def test_push_publishes_the_three_files_and_nothing_else(
    hub: FakeHub, online: Session, tiny_checkpoint: Path, tmp_path: Path, photo: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    (folder / "optimizer.pt").write_bytes(b"\x80\x04N.")
    (folder / ".git").mkdir()
    (folder / ".git" / "config.json").write_text("secret")
    (folder / "old").mkdir()
    (folder / "old" / "model.safetensors").write_bytes(b"old")

    result = online.run("train", "push", "--checkpoint", folder, "--repo-id", "org/pushed")

    assert result.status == 0, result.err
    files = hub.files("models", "org/pushed")
    assert set(files) - {".gitattributes"} == set(FILES)
    assert all(files[name] == (tiny_checkpoint / name).read_bytes() for name in FILES)
    commit = result.out.strip().rpartition("/")[2]
    served = online.run("app", "predict", photo, "--checkpoint", f"org/pushed@{commit}")
    assert json.loads(served.out)["checkpoint"] == {"id": "org/pushed", "revision": commit}


def test_pushing_again_replaces_the_files(
    hub: FakeHub, online: Session, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    assert online.run("train", "push", "--checkpoint", folder, "--repo-id", "org/twice").status == 0
    (folder / "README.md").write_text("---\nlicense: other\n---\n# Second\n")

    assert online.run("train", "push", "--checkpoint", folder, "--repo-id", "org/twice").status == 0

    assert b"# Second" in hub.files("models", "org/twice")["README.md"]


def test_a_broken_folder_is_not_pushed(
    hub: FakeHub, online: Session, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    (folder / "model.safetensors").write_bytes(b"cut off")

    result = online.run("train", "push", "--checkpoint", folder, "--repo-id", "org/broken")

    _assert_clear_error(result, "model.safetensors", "fetch or convert")
    assert ("models", "org/broken") not in hub.repositories


def test_push_to_an_impossible_name_says_so(online: Session, tiny_checkpoint: Path) -> None:
    result = online.run("train", "push", "--checkpoint", tiny_checkpoint, "--repo-id", "org/a b")
    _assert_clear_error(result, "org/a b", "Check the name")


def test_push_without_signing_in_says_how(hub: FakeHub, online: Session, tiny_checkpoint: Path) -> None:
    command = ["train", "push", "--checkpoint", tiny_checkpoint, "--repo-id", "org/mine"]
    result = online.run(*command, HF_TOKEN="")
    _assert_clear_error(result, "org/mine", "HF_TOKEN")
    assert ("models", "org/mine") not in hub.repositories


def test_an_upload_that_breaks_off_is_an_error_and_publishes_nothing(
    hub: FakeHub, online: Session, tiny_checkpoint: Path
) -> None:
    hub.refuse_uploads = True
    try:
        result = online.run("train", "push", "--checkpoint", tiny_checkpoint, "--repo-id", "org/half")
    finally:
        hub.refuse_uploads = False
    _assert_clear_error(result, "org/half")
    assert set(hub.files("models", "org/half")) == {".gitattributes"}


def test_the_hub_answers_as_the_folder_does(
    online: Session, published: str, tiny_checkpoint: Path, photo: Path
) -> None:
    local = online.run("app", "predict", photo, "--checkpoint", tiny_checkpoint)
    remote = online.run("app", "predict", photo, "--checkpoint", published)
    branch = online.run("app", "predict", photo, "--checkpoint", "org/ready@main")

    assert _comparable(remote.out) == _comparable(local.out)
    assert _comparable(branch.out) == _comparable(local.out)
    commit = published.partition("@")[2]
    for result in (remote, branch):
        assert json.loads(result.out)["checkpoint"] == {"id": "org/ready", "revision": commit}


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("org/ready", ("names no revision", "org/ready@COMMIT")),
        ("org/ready@v9", ("org/ready", "v9", "revision")),
        ("org/ready@" + "0" * 40, ("org/ready", "revision")),
        ("org/absent@main", ("org/absent", "spelling")),
        ("org/set@main", ("org/set", "spelling")),
        ("org/not a name@main", ("org/not a name", "spelling")),
        ("no-such-folder", ("There is no folder", "ORG/NAME@REVISION")),
        ("./org/ready", ("There is no folder", "ORG/NAME@REVISION")),
    ],
)
def test_a_wrong_reference_says_what_to_do(
    online: Session, published: str, published_set: str, photo: Path, reference: str, words: tuple[str, ...]
) -> None:
    _assert_clear_error(online.run("app", "predict", photo, "--checkpoint", reference), *words)


def test_a_repository_without_a_checkpoint_says_what_is_missing(
    hub: FakeHub, online: Session, photo: Path
) -> None:
    hub.add("models", "org/other", {"pytorch_model.bin": b"pickle", "README.md": b"# Other\n"})
    result = online.run("app", "predict", photo, "--checkpoint", "org/other@main")
    _assert_clear_error(result, "config.json")


def test_with_the_hub_down_a_pinned_checkpoint_still_answers(
    online: Session, offline: Session, published: str, photo: Path
) -> None:
    first = online.run("app", "predict", photo, "--checkpoint", published)
    again = offline.run("app", "predict", photo, "--checkpoint", published)
    assert _comparable(again.out) == _comparable(first.out)


def test_with_the_hub_down_fetching_and_pushing_say_so(
    offline: Session, tiny_checkpoint: Path, photo: Path
) -> None:
    unseen = "org/unseen@main"
    _assert_clear_error(
        offline.run("app", "predict", photo, "--checkpoint", unseen), unseen[:10], "connection"
    )
    push = offline.run("train", "push", "--checkpoint", tiny_checkpoint, "--repo-id", "org/unseen")
    _assert_clear_error(push, "org/unseen", "connection")


def test_a_data_set_on_the_hub_is_mapped_by_label_name(
    online: Session, tiny_checkpoint: Path, published_set: str, tmp_path: Path
) -> None:
    counts = {}
    for name in (published_set, "org/set"):
        options = [
            "--checkpoint",
            tiny_checkpoint,
            "--split",
            "test",
            "--output",
            tmp_path,
            "--device",
            "cpu",
        ]
        result = online.run("train", "evaluate", "--data", name, *options)
        assert result.status == 0, result.err
        per_class = json.loads((tmp_path / "metrics.json").read_text())["per_class"]
        counts[name] = {label: row["n"] for label, row in per_class.items() if row["n"]}
    assert counts[published_set] == {LABELS[2]: 1, LABELS[0]: 1, LABELS[21]: 1}
    assert counts["org/set"] == {LABELS[5]: 2}


@pytest.mark.parametrize(
    ("data", "split", "words"),
    [
        ("org/absent", "test", ("org/absent", "spelling")),
        ("org/set@v9", "test", ("org/set@v9", "v9", "spelling")),
        ("org/set", "valid", ("valid", "test")),
    ],
)
def test_a_wrong_data_set_says_what_to_do(
    online: Session,
    tiny_checkpoint: Path,
    published_set: str,
    tmp_path: Path,
    data: str,
    split: str,
    words: tuple,
) -> None:
    options = ["--checkpoint", tiny_checkpoint, "--split", split, "--output", tmp_path, "--device", "cpu"]
    _assert_clear_error(online.run("train", "evaluate", "--data", data, *options), *words)


def test_a_wrong_hub_id_of_out_of_distribution_pictures_says_what_to_do(
    online: Session, tiny_checkpoint: Path, published_set: str, tmp_path: Path
) -> None:
    options = ["--checkpoint", tiny_checkpoint, "--split", "test", "--output", tmp_path, "--device", "cpu"]
    result = online.run("train", "ood", "--data", published_set, "--ood", "org/absent", *options)
    _assert_clear_error(result, "org/absent", "spelling")
