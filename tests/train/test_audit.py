"""What the audit of a data set finds, leaves alone, writes down, and how a killed one continues."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import encode, make_picture
from datasets_made import make_parquet, make_rows, write_parquet
from PIL import Image, ImageEnhance

from model.labels import LABELS
from train.__main__ import main
from train.audit.duplicates import near_duplicates, picture_hashes
from train.data import manifest

THREE = list(LABELS[:3])


def audit(data: list[Path], output: Path, *more: str, status: int = 0) -> dict[str, Any]:
    words = ["audit", "--data", *map(str, data), "--output", str(output), "--device", "cpu", *more]
    assert main(words) == status
    return json.loads((output / "audit.json").read_text(encoding="utf-8")) if status == 0 else {}


def names(entry: dict[str, Any]) -> list[str]:
    return [f"{picture['split']}/{picture['id']}" for picture in entry["pictures"]]


def rows_of_photos(seeds: list[int], **changes: Any) -> list[dict[str, Any]]:
    """Rows whose pictures look nothing like each other, each of a group of its own."""
    rows = make_rows(len(seeds), labels=THREE, seed=seeds[0])
    for row, seed in zip(rows, seeds, strict=True):
        row["image"] = {"bytes": encode(make_picture(seed=seed)), "path": f"{seed}.jpg"}
        row.update(group=str(seed), label=THREE[0], **changes)
    return rows


def picture(row: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(row["image"]["bytes"]))


def test_a_clean_set_has_no_defects_and_its_pictures_are_counted(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "test")):
        rows = rows_of_photos(list(range(10 * number, 10 * number + 6)))
        write_parquet(tmp_path / "clean" / f"{split}.parquet", rows, names=THREE)
    found = audit([tmp_path / "clean"], tmp_path / "out", "--fail_on_defects")
    assert set(found["defects"].values()) == {0}
    assert set(found["hints"].values()) == {0}
    assert found["counts"] == [
        {"data": "clean", "source": source, "label": "Acne", "splits": {"test": 3, "train": 3}}
        for source in ("atlas", "clinic")
    ]
    text = (tmp_path / "out" / "audit.md").read_text(encoding="utf-8")
    assert "There are no defects." in text
    assert "| Acne | 6 | 6 |" in text
    assert "Not checked" in text


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two data sets with one flaw of every kind."""
    folder = tmp_path_factory.mktemp("flawed")
    train, test = rows_of_photos([*range(12)]), rows_of_photos([*range(20, 26)])
    train[1]["image"]["bytes"] = train[1]["image"]["bytes"][:300]
    train[2]["image"] = None
    test[0]["image"]["bytes"] = train[0]["image"]["bytes"]  # the same file in train and test
    train[4]["image"]["bytes"] = train[3]["image"]["bytes"]  # the same file with another label
    train[4]["label"] = THREE[1]
    test[1]["group"] = train[5]["group"]
    small = picture(train[6]).resize((48, 36))
    test[2]["image"]["bytes"] = encode(small, "JPEG", quality=60)
    mirrored = picture(train[7]).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    train[8]["image"]["bytes"] = encode(mirrored)
    train[8]["label"] = THREE[2]
    train[10]["image"]["bytes"] = encode(ImageEnhance.Brightness(picture(train[9])).enhance(0.9))
    train[10]["group"] = train[9]["group"]
    train[11]["label"] = None
    write_parquet(folder / "one" / "train.parquet", train, names=THREE)
    write_parquet(folder / "one" / "test.parquet", test, names=THREE)
    more = rows_of_photos([30, 31])
    more[0]["group"] = train[5]["group"]  # the same name means nothing in another data set
    more[1]["image"]["bytes"] = test[3]["image"]["bytes"]
    more[1]["group"] = None
    write_parquet(folder / "two" / "train.parquet", more, names=THREE)
    return [folder / "one", folder / "two"]


def test_every_kind_of_defect_is_found_and_named(flawed: list[Path], tmp_path: Path) -> None:
    found = audit(flawed, tmp_path)
    assert found["defects"] == {
        "unreadable": 2,
        "copies_across_splits": 2,
        "copies_conflicting": 1,
        "groups_across_splits": 1,
    }
    assert found["hints"] == {
        "copies_within_split": 1,
        "near_across_splits": 1,
        "near_conflicting": 1,
        "near_across_groups": 1,
        "near_within_group": 1,
        "without_label": 1,
        "without_group": 1,
    }
    assert [entry["id"] for entry in found["unreadable"]] == ["1.jpg", "2"]
    crossing = [names(same) for same in found["copies"] if same["across_splits"]]
    assert sorted(map(sorted, crossing)) == [
        ["test/20.jpg", "train/0.jpg"],
        ["test/23.jpg", "train/31.jpg"],
    ]
    assert [names(same) for same in found["copies"] if same["conflict"]] == [["train/3.jpg", "train/4.jpg"]]
    assert found["groups_across_splits"] == [{"data": "one", "group": "5", "splits": {"test": 1, "train": 1}}]
    near = {frozenset(names(pair)): pair for pair in found["near_duplicates"]}
    assert set(near) == {
        frozenset({"train/6.jpg", "test/22.jpg"}),
        frozenset({"train/7.jpg", "train/8.jpg"}),
        frozenset({"train/9.jpg", "train/10.jpg"}),
    }
    assert [pair["turned"] for pair in near.values()].count(True) == 1
    text = (tmp_path / "audit.md").read_text(encoding="utf-8")
    assert "There are defects." in text
    assert "one/train/0.jpg (Acne)" in text


def test_defects_end_the_command_with_1_only_if_asked_for(
    flawed: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit(flawed, tmp_path, "--fail_on_defects", status=1)
    said = capsys.readouterr().err
    assert "2 pictures that cannot be read" in said
    assert "audit.md names the pictures" in said
    assert (tmp_path / "audit.json").is_file()


def test_the_manifest_lists_every_row(flawed: list[Path], tmp_path: Path) -> None:
    audit(flawed, tmp_path)
    lines = manifest.read(tmp_path / manifest.FILE)
    assert len(lines) == 20
    assert [line.id for line in lines if not line.sha256] == ["2"]
    assert manifest.verify_sources(tmp_path / manifest.FILE, list(map(str, flawed)), ("train",), THREE) == 14


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_a_copy_is_found_in_every_orientation_size_and_quality(turn: Image.Transpose) -> None:
    first = make_picture(160, 120, seed=1)
    copy = first.transpose(turn)
    copy = Image.open(io.BytesIO(encode(copy.resize((copy.width // 2, copy.height // 2)), quality=50)))
    others = [make_picture(160, 120, seed=seed) for seed in range(2, 30)]
    pairs = near_duplicates([picture_hashes(each) for each in (first, *others, copy)])
    assert [(pair.first, pair.second, pair.turned) for pair in pairs] == [(0, 29, True)]


def test_nothing_has_no_duplicates() -> None:
    assert near_duplicates([]) == []


def make_wrong_labels(folder: Path) -> tuple[Path, list[str]]:
    """A set whose colours tell the class, but for two pictures; their ids."""
    rows = make_rows(90, labels=THREE, group_size=2)
    wrong = [rows[0], rows[50]]
    for row in wrong:
        row["label"] = THREE[(THREE.index(row["label"]) + 1) % 3]
    write_parquet(folder / "train.parquet", rows, names=THREE)
    return folder, [row["image"]["path"] for row in wrong]


def write_probabilities(file: Path, ids: list[str], columns: list[str], values: np.ndarray) -> Path:
    lines = [",".join([name, *map(str, row)]) for name, row in zip(ids, values, strict=True)]
    file.write_text("\n".join([",".join(["id", *columns]), *lines]) + "\n", encoding="utf-8")
    return file


def test_given_probabilities_point_at_wrong_labels(tmp_path: Path) -> None:
    data, wrong = make_wrong_labels(tmp_path / "data")
    columns = THREE[::-1]  # their own order
    ids = [f"0-{row}.jpg" for row in range(90)]
    truth = [THREE[row // 2 % 3] for row in range(90)]
    values = np.asarray([[0.9 if name == column else 0.05 for column in columns] for name in truth])
    halves = [
        write_probabilities(tmp_path / f"{half}.csv", ids[half::2], columns, values[half::2])
        for half in (0, 1)
    ]
    found = audit([data], tmp_path / "out", "--probabilities", *map(str, halves))["label_errors"]
    assert sorted(entry["id"] for entry in found["pictures"]) == sorted(wrong)
    assert [entry["suggested"] for entry in found["pictures"] if entry["id"] == "0-0.jpg"] == [THREE[0]]
    assert found["judged"] == 90
    text = (tmp_path / "out" / "audit.md").read_text(encoding="utf-8")
    assert f"data/train/{wrong[0]} ({THREE[1]}), probability 0.050; {THREE[0]}, probability 0.900?" in text


@pytest.mark.parametrize(
    ("ids", "columns", "value", "words"),
    [
        (["stranger.jpg"], THREE, 1 / 3, "No labelled picture"),
        (["0-0.jpg", "0-0.jpg"], THREE, 1 / 3, "appears twice"),
        (["0-0.jpg"], THREE[2:], 1.0, "unknown class"),
        (["0-0.jpg"], THREE, 0.5, "sum to 1.5"),
    ],
)
def test_probabilities_of_other_pictures_or_labels_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    ids: list[str],
    columns: list[str],
    value: float,
    words: str,
) -> None:
    data = make_parquet(tmp_path / "data", {"train": 6}, labels=THREE)
    values = np.full((len(ids), len(columns)), value)
    file = write_probabilities(tmp_path / "p.csv", ids, columns, values)
    audit([data], tmp_path / "out", "--probabilities", str(file), status=1)
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_probe_points_at_wrong_labels_and_a_killed_one_goes_on(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    data, wrong = make_wrong_labels(tmp_path / "data")
    found = audit([data], tmp_path / "out", "--init", str(tiny_checkpoint))["label_errors"]
    assert set(wrong) <= {entry["id"] for entry in found["pictures"]}
    assert found["judged"] == 90
    assert found["accuracy"] > 0.8

    # What was computed is not computed again; what was not, is.
    (stored,) = (tmp_path / "out").glob("features-*.npy")
    before = np.load(stored)
    changed = np.random.default_rng(0).normal(size=before.shape).astype(before.dtype)
    np.save(stored, changed)
    assert audit([data], tmp_path / "out", "--init", str(tiny_checkpoint))["label_errors"]["accuracy"] < 0.6
    changed[3] = np.nan
    np.save(stored, changed)
    audit([data], tmp_path / "out", "--init", str(tiny_checkpoint))
    np.testing.assert_allclose(np.load(stored), before, rtol=1e-5)


def test_a_missing_package_and_contrary_options_are_said_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["--init", "random", "--probabilities", "p.csv"]
    audit([tmp_path / "unread"], tmp_path / "out", *both, status=1)
    assert "Both probabilities and init" in capsys.readouterr().err
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cleanlab" else find(name))
    audit([tmp_path / "unread"], tmp_path / "out", "--init", "random", status=1)
    said = capsys.readouterr().err
    assert "cleanlab" in said
    assert "requirements-eval.txt" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_fit_stops_where_the_pictures_are_not_those_of_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_parquet(tmp_path / "data", {"train": 24, "test": 6}, labels=THREE)
    audit([data], tmp_path / "audit")
    lines = manifest.read(tmp_path / "audit" / manifest.FILE)
    manifest.write(tmp_path / "other.csv", [line._replace(sha256="0" * 64) for line in lines])
    words = ["fit", "--data", str(data), "--init", "random", "--labels", json.dumps(THREE), "--device", "cpu"]
    words += ["--backbone", "test_resnet", "--head", "pool", "--input_size", "32", "--train_size", "32"]
    words += ["--epochs", "1", "--batch_size", "4", "--num_workers", "0", "--validation_fraction", "0.5"]

    stopped = [*words, "--output", str(tmp_path / "a"), "--manifest", str(tmp_path / "other.csv")]
    assert main(stopped) == 1
    assert "24 changed (train/" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()

    passes = ["--output", str(tmp_path / "b"), "--manifest", str(tmp_path / "audit" / manifest.FILE)]
    assert main([*words, *passes]) == 0
    assert (tmp_path / "b" / "checkpoint" / "model.safetensors").is_file()
