"""Public data sets are read as they are downloaded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from conftest import ROOT
from public_made import (
    FITZPATRICK_ROWS,
    HAM,
    ISIC2019,
    make_cleaned_fitzpatrick17k,
    make_fitzpatrick17k,
    make_ham10000,
    make_isic2018,
    make_isic2019,
    write_table,
)

from model.errors import DataError
from model.labels import condition
from train.config import TrainConfig
from train.data.rows import admit
from train.data.splits import load_split, picture_bytes, split_names, train_and_validation

EIGHT = tuple(name.lower() for name in ISIC2019[:-1])
CONFIGS = {"ham10000": HAM, "isic2019": EIGHT}


def load(folder: Path, split: str, labels: tuple[str, ...] | None, **options: Any) -> datasets.Dataset:
    return load_split([str(folder)], split, labels=labels, **options)


@pytest.mark.parametrize("metadata", ["HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab"])
def test_ham10000(tmp_path: Path, metadata: str) -> None:
    rows = make_ham10000(tmp_path, metadata=metadata)
    assert split_names(str(tmp_path)) == ["train"]
    train = load(tmp_path, "train", HAM)
    assert list(train["id"]) == [row[1] for row in rows]
    assert [HAM[label] for label in train["label"]] == [row[2] for row in rows]
    assert list(train["group"]) == [row[0] for row in rows]
    assert set(train["source"]) == {"vidir_modern"}
    assert set(train["skin_type"]) == {None}
    file = tmp_path / "HAM10000_images_part_2" / f"{rows[1][1]}.jpg"
    assert picture_bytes(train[1]) == file.read_bytes()


def test_ham10000_is_divided_by_lesion(tmp_path: Path) -> None:
    make_ham10000(tmp_path)
    train, validation = train_and_validation([str(tmp_path)], labels=HAM, fraction=0.5, seed=0)
    assert (len(train), len(validation)) == (14, 14)
    assert Counter(validation["label"]) == dict.fromkeys(range(7), 2)
    assert not set(train["group"]) & set(validation["group"])


def test_isic2018_in_three_parts(tmp_path: Path) -> None:
    make_isic2018(tmp_path)
    assert split_names(str(tmp_path)) == ["test", "train", "validation"]
    train, test = load(tmp_path, "train", HAM), load(tmp_path, "test", HAM)
    assert [HAM[label] for label in train["label"]][:7] == ["mel", "nv", "bcc", "akiec", "bkl", "df", "vasc"]
    assert list(train["group"]) == [f"HAM_{i % 7:07d}" for i in range(14)]
    assert (len(test), set(test["group"])) == (7, {None})
    trained, validation = train_and_validation([str(tmp_path)], labels=HAM, fraction=0.5, seed=0)
    assert (len(trained), len(validation)) == (14, 7)


def test_isic2018_test_pictures_without_a_ground_truth_have_no_labels(tmp_path: Path) -> None:
    make_isic2018(tmp_path)
    (tmp_path / "ISIC2018_Task3_Test_GroundTruth" / "ISIC2018_Task3_Test_GroundTruth.csv").unlink()
    rows = load(tmp_path, "test", HAM, strict=False)
    assert list(rows["id"]) == [f"ISIC_{24306 + i:07d}" for i in range(21, 28)]
    assert set(rows["label"]) == {-1}


def test_isic_training_pictures_need_their_lesions(tmp_path: Path) -> None:
    make_isic2018(tmp_path)
    (tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv").unlink()
    with pytest.raises(
        DataError, match="does not say which pictures of ISIC2018_Task3_Training show the same lesion"
    ):
        load(tmp_path, "train", HAM)
    assert len(load(tmp_path, "test", HAM)) == 7


def test_isic2019_with_downsampled_names_and_lesions_of_three_collections(tmp_path: Path) -> None:
    make_isic2019(tmp_path)
    assert split_names(str(tmp_path)) == ["test", "train"]
    train = load(tmp_path, "train", EIGHT)
    assert [EIGHT[label] for label in train["label"]] == list(EIGHT * 2)
    assert list(train["id"])[8] == "ISIC_0000008_downsampled"
    assert list(train["group"])[:4] == [None, "HAM_0000001", "BCN_0000002", "MSK4_0011169"]
    assert list(train["source"])[:4] == ["ISIC_2019_Training", "HAM", "BCN", "MSK4"]
    assert admit(train, what="train", max_unreadable=0)[1] == []


def test_isic2019_unknown_rows_count_only_where_the_label_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_isic2019(tmp_path)
    assert len(load(tmp_path, "test", EIGHT)) == 8
    assert "1 of 9 pictures of ISIC_2019_Test are UNK and left out" in "".join(capsys.readouterr())
    with_unknown = load(tmp_path, "test", (*EIGHT, "unk"))
    assert (len(with_unknown), with_unknown["label"][8]) == (9, 8)
    assert len(load(tmp_path, "test", None)) == 9


def test_labels_of_another_set_are_refused_by_name(tmp_path: Path) -> None:
    make_isic2019(tmp_path)
    with pytest.raises(
        DataError, match=r"unknown class 'ak'.*; unknown class 'scc'.*; missing class 'akiec'"
    ):
        load(tmp_path, "train", HAM)


FINE = tuple(sorted(row[3] for row in FITZPATRICK_ROWS))
NINE = ("benign dermal", "inflammatory", "malignant melanoma")
THREE = ("benign", "malignant", "non-neoplastic")


@pytest.mark.parametrize(("labels", "column"), [(FINE, 3), (NINE, 4), (THREE, 5)])
def test_fitzpatrick17k_in_the_fineness_that_is_wanted(
    tmp_path: Path, labels: tuple[str, ...], column: int
) -> None:
    make_fitzpatrick17k(tmp_path)
    train = load(tmp_path, "train", labels)
    assert [labels[label] for label in train["label"]] == [row[column] for row in FITZPATRICK_ROWS]
    assert list(train["id"]) == [row[0] for row in FITZPATRICK_ROWS]
    assert list(train["skin_type"]) == [3, 6, None, 6]
    assert list(train["source"]) == ["dermaamin", "atlasdermatologico", "dermaamin", "dermaamin"]


def test_missing_pictures_are_counted_named_and_stop_above_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_fitzpatrick17k(tmp_path)
    gone = FITZPATRICK_ROWS[1][0]
    (tmp_path / "images" / f"{gone}.jpg").unlink()
    train = load(tmp_path, "train", THREE)
    said = "".join(capsys.readouterr())
    assert "1 of the 4 pictures in fitzpatrick17k.csv are not below" in said
    assert f"the first is {gone}" in said
    with pytest.raises(DataError, match=r"1 of 4 pictures of train are unreadable; at most 1.0% may be"):
        admit(train, what="train", max_unreadable=0.01)
    left, bad = admit(train, what="train", max_unreadable=0.25)
    assert (len(left), [entry["id"] for entry in bad]) == (3, [gone])


def test_a_list_without_any_of_its_pictures_is_refused(tmp_path: Path) -> None:
    make_fitzpatrick17k(tmp_path)
    (tmp_path / "images").rename(tmp_path.parent / "elsewhere")
    with pytest.raises(DataError, match="4 of the 4 pictures") as refused:
        load(tmp_path, "train", THREE)
    assert refused.value.hint == "Unpack the pictures there."


def test_the_cleaned_list_of_fitzpatrick17k_brings_its_own_partition(tmp_path: Path) -> None:
    make_cleaned_fitzpatrick17k(tmp_path, per_type=5)
    assert split_names(str(tmp_path)) == ["test", "train", "validation"]
    train = load(tmp_path, "train", ("acne", "keloid", "vitiligo"))
    assert Counter(train["skin_type"]) == dict.fromkeys(range(1, 7), 9)
    assert set(train["diagnosis"]) == {"acne", "keloid", "vitiligo"}
    assert not set(train["id"]) & set(load(tmp_path, "validation", None)["id"])


def test_two_sets_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    make_fitzpatrick17k(tmp_path)
    make_ham10000(tmp_path)
    with pytest.raises(DataError, match="more than one data set with a split called 'train'"):
        split_names(str(tmp_path))


def test_tables_that_are_not_as_downloaded_are_explained(tmp_path: Path) -> None:
    make_isic2018(tmp_path)
    truth = tmp_path / "ISIC2018_Task3_Test_GroundTruth" / "ISIC2018_Task3_Test_GroundTruth.csv"
    for rows, problem in (
        ([("ISIC_0024327", 1.0, 1.0)], "ISIC_0024327 is MEL and NV at once"),
        ([("ISIC_0024327", 1.0, "x")], "ISIC_0024327 has 'x'"),
        ([("ISIC_0024327", 1.0, 0.0)] * 2, "has ISIC_0024327 twice"),
        ([("", 1.0, 0.0)], "has no image"),
        ([], "has no rows"),
    ):
        write_table(truth, ("image", "MEL", "NV"), rows)
        with pytest.raises(DataError, match=problem):
            load(tmp_path, "test", HAM)
    write_table(truth, ("picture", "MEL"), [("ISIC_0024327", 1.0)])
    with pytest.raises(DataError, match="has the columns picture, MEL, but not image"):
        load(tmp_path, "test", HAM)
    truth.write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path, "test", HAM)


@pytest.mark.parametrize("name", ["ham10000", "isic2019", "fitzpatrick17k"])
def test_each_set_has_a_recipe_whose_labels_fit(name: str) -> None:
    options = yaml.safe_load((ROOT / "train" / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    labels = TrainConfig(**options).labels
    if name == "fitzpatrick17k":
        assert (len(labels), labels) == (114, sorted(set(labels)))
        return
    assert sorted(labels) == sorted(CONFIGS[name])
    assert all(condition(label).sources for label in labels)
