"""Checkpoints and data sets on the Hub: pushed, fetched at a revision, and what is said when that fails."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from conftest import ROOT, encode, make_picture
from datasets_made import make_parquet
from fake_hub import GUEST, FakeHub
from processes import free_port
from session import Session, assert_clear_error, session

from model.checkpoint import FILES
from model.labels import LABELS


@pytest.fixture(scope="module")
def offline(hub_environment: dict[str, str]) -> Iterator[Session]:
    """Another process with the same caches, for which the Hub is down."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    with session({**hub_environment, "HF_ENDPOINT": nowhere, "HF_TOKEN": ""}) as commands:
        yield commands


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
        ("org/ready@v9", ("org/ready", "v9", "no such revision")),
        ("org/ready@" + "0" * 40, ("org/ready", "no such revision")),
        ("org/absent@main", ("org/absent", "spelling")),
        ("org/set@main", ("org/set", "spelling")),
        ("org/not a name@main", ("org/not a name", "Check the name")),
        ("no-such-folder", ("There is no folder", "ORG/NAME@REVISION")),
        ("./org/ready", ("There is no folder", "ORG/NAME@REVISION")),
    ],
)
def test_a_wrong_reference_says_what_to_do(
    online: Session, published: str, published_set: str, photo: Path, reference: str, words: tuple[str, ...]
) -> None:
    assert_clear_error(online.run("app", "predict", photo, "--checkpoint", reference), *words)


def test_a_repository_without_a_checkpoint_says_what_is_missing(
    hub: FakeHub, online: Session, photo: Path
) -> None:
    hub.add("models", "org/other", {"pytorch_model.bin": b"pickle", "README.md": b"# Other\n"})
    result = online.run("app", "predict", photo, "--checkpoint", "org/other@main")
    assert_clear_error(result, "config.json")


def test_with_the_hub_down_a_pinned_checkpoint_still_answers(
    online: Session, offline: Session, published: str, photo: Path
) -> None:
    first = online.run("app", "predict", photo, "--checkpoint", published)
    again = offline.run("app", "predict", photo, "--checkpoint", published)
    assert _comparable(again.out) == _comparable(first.out)


def test_with_the_hub_down_fetching_and_pushing_say_so(
    offline: Session, carded_checkpoint: Path, photo: Path
) -> None:
    fetch = offline.run("app", "predict", photo, "--checkpoint", "org/unseen@main")
    assert_clear_error(fetch, "org/unseen", "cannot be reached", "connection")
    push = offline.run("train", "push", "--checkpoint", carded_checkpoint, "--repo-id", "org/unseen")
    assert_clear_error(push, "org/unseen", "nothing was published", "cannot be reached", "connection")


def test_offline_mode_is_named() -> None:
    code = "from model.hub import download; download('org/unseen', 'main', ['*'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "HF_HUB_OFFLINE is set" in done.stderr.splitlines()[-1]


def test_a_download_that_breaks_off_goes_on_where_it_was(
    hub: FakeHub, online: Session, tiny_checkpoint: Path, photo: Path
) -> None:
    commit = hub.add("models", "org/cut", {name: (tiny_checkpoint / name).read_bytes() for name in FILES})
    hub.cut["GET"] = 1
    result = online.run("app", "predict", photo, "--checkpoint", f"org/cut@{commit}")
    assert hub.cut["GET"] == 0
    assert result.status == 0, result.err


def test_a_private_checkpoint_is_for_those_who_may(
    hub: FakeHub, online: Session, tiny_checkpoint: Path, photo: Path
) -> None:
    hub.add("models", "org/secret", {name: (tiny_checkpoint / name).read_bytes() for name in FILES})
    hub.repositories["models", "org/secret"].private = True
    command = ["app", "predict", photo, "--checkpoint", "org/secret@main"]

    assert_clear_error(online.run(*command, HF_TOKEN=""), "org/secret", "private", "hf auth login")
    assert_clear_error(online.run(*command, HF_TOKEN=GUEST), "org/secret", "private", "has access")
    assert_clear_error(online.run(*command, HF_TOKEN="hf_wrong"), "org/secret", "does not accept the token")
    assert online.run(*command).status == 0


def test_evaluation_and_training_record_the_commit_of_a_branch(
    online: Session, published: str, published_set: str, tmp_path: Path
) -> None:
    data = make_parquet(tmp_path / "data", {"train": 44, "validation": 44})
    options = ["--split", "validation", "--output", tmp_path, "--device", "cpu"]
    measured = online.run("train", "evaluate", "--checkpoint", "org/ready@main", "--data", data, *options)
    assert measured.status == 0, measured.err
    commit = published.partition("@")[2]
    assert json.loads((tmp_path / "metrics.json").read_text())["checkpoint"]["revision"] == commit
    assert commit in measured.err

    shape = ["--backbone", "test_resnet", "--hidden_size", 16, "--input_size", 64, "--train_size", 32]
    short = ["--epochs", 1, "--num_workers", 0, "--device", "cpu", "--batch_size", 44]
    run = ["--data", data, "--output", tmp_path / "run", "--init", "org/ready@main", *shape, *short]
    fitted = online.run("train", "fit", *run)
    assert fitted.status == 0, fitted.err
    assert commit in fitted.err + fitted.out
    stored = json.loads((tmp_path / "run" / "train_config.json").read_text())
    assert stored["init"] == f"org/ready@{commit}"
    assert f"--init org/ready@{commit}" in (tmp_path / "run" / "checkpoint" / "README.md").read_text()


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
    assert_clear_error(online.run("train", "evaluate", "--data", data, *options), *words)


def test_a_wrong_hub_id_of_out_of_distribution_pictures_says_what_to_do(
    online: Session, tiny_checkpoint: Path, published_set: str, tmp_path: Path
) -> None:
    options = ["--checkpoint", tiny_checkpoint, "--split", "test", "--output", tmp_path, "--device", "cpu"]
    result = online.run("train", "ood", "--data", published_set, "--ood", "org/absent", *options)
    assert_clear_error(result, "org/absent", "spelling")
