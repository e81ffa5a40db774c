"""Data sets in every layout that people have, mapped by name to one common form."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets
import pytest
from conftest import ROOT, encode, make_picture
from datasets_made import make_image_folder, make_parquet, make_rows, write_parquet

from model.errors import ConfigError, DataError
from model.labels import LABELS
from train.data.rows import admit
from train.data.splits import load_split, picture_bytes, split_names, train_and_validation

SOME = LABELS[:4]


def names(rows: datasets.Dataset, labels: tuple[str, ...] = SOME) -> list[str]:
    return [labels[label] for label in rows["label"]]


def load(folder: Path, split: str = "train", **options: Any) -> datasets.Dataset:
    return load_split([str(folder)], split, **{"labels": SOME, **options})


def expected(rows: list[dict[str, Any]], column: str) -> list[Any]:
    return [row[column] for row in rows]


def test_a_parquet_folder_by_split_in_several_shards_with_data_in_a_subfolder(tmp_path: Path) -> None:
    rows = make_rows(11, labels=SOME)
    for shard, part in enumerate((rows[:5], rows[5:8], rows[8:])):
        write_parquet(tmp_path / "data" / f"train-0000{shard}-of-00003.parquet", part, names=SOME)
    write_parquet(tmp_path / "holdout-00000-of-00001.parquet", rows[:3], names=SOME)
    write_parquet(tmp_path / "extra-clinic.parquet", rows[:2], names=SOME)

    assert split_names(str(tmp_path)) == ["extra-clinic", "holdout", "train"]
    train = load(tmp_path)
    known = {"image", "label", "id", "source", "group", "diagnosis", "skin_type"}
    assert set(train.column_names) == known
    assert names(train) == expected(rows, "label")
    assert list(train["source"]) == expected(rows, "source")
    assert list(train["group"]) == expected(rows, "group")
    assert list(train["id"]) == [f"0-{row}.jpg" for row in range(11)]
    assert [picture_bytes(row) for row in train] == [row["image"]["bytes"] for row in rows]
    assert len(load(tmp_path, "holdout")) == 3
    assert len(load(tmp_path, "extra-clinic")) == 2


def test_an_image_folder_like_the_public_kaggle_set(tmp_path: Path) -> None:
    make_image_folder(tmp_path, {"train": 2, "test": 1}, labels=SOME)
    assert split_names(str(tmp_path)) == ["test", "train"]
    train = load(tmp_path)
    assert sorted(names(train)) == sorted(SOME * 2)
    for row in train:
        name = SOME[row["label"]]
        assert row["id"].startswith(f"train_{name}_")
        assert picture_bytes(row) == (tmp_path / "train" / name / row["id"]).read_bytes()
    assert len(load(tmp_path, "test")) == 4


def test_class_folders_are_mapped_by_name_where_one_is_missing(tmp_path: Path) -> None:
    make_image_folder(tmp_path, {"train": 1}, labels=SOME[1:])
    rows = load(tmp_path, strict=False)
    assert sorted(rows["label"]) == [1, 2, 3]
    assert all(SOME[row["label"]] in row["id"] for row in rows)


@pytest.mark.parametrize(("place", "split"), [(".", "all"), ("test", "test"), ("not skin", "not skin")])
def test_pictures_without_classes(tmp_path: Path, place: str, split: str) -> None:
    folder = tmp_path / "mine [2024]"
    (folder / place).mkdir(parents=True)
    files = {
        f"{i}.{kind}": encode(make_picture(seed=i), kind) for i, kind in enumerate(("JPEG", "PNG", "WEBP"))
    }
    for name, data in files.items():
        (folder / place / name).write_bytes(data)
        (folder / place / f"._{name}").write_bytes(b"a Mac's notes")
    (folder / place / "notes.txt").write_text("not a picture")
    assert split_names(str(folder)) == [split]
    rows = load(folder, split, strict=False)
    assert {row["id"]: picture_bytes(row) for row in rows} == files
    assert set(rows["label"]) == {-1}
    with pytest.raises(DataError, match="no column called label"):
        load(folder, split)


def test_class_labels_in_another_order_are_mapped_by_name(tmp_path: Path) -> None:
    rows = make_rows(8, labels=SOME)
    write_parquet(tmp_path / "train.parquet", rows, names=SOME[::-1])
    assert names(load(tmp_path)) == expected(rows, "label")
    assert load(tmp_path)["label"][:] != load(tmp_path, labels=SOME[::-1])["label"][:]
    assert names(load(tmp_path, labels=SOME[::-1]), SOME[::-1]) == expected(rows, "label")


def test_labels_as_text(tmp_path: Path) -> None:
    rows = make_rows(8, labels=SOME)
    rows[2]["label"] = None
    write_parquet(tmp_path / "train.parquet", rows, names=None)
    assert list(load(tmp_path)["label"]) == [0, 0, -1, 1, 2, 2, 3, 3]


def test_bare_numbers_are_refused_as_labels(tmp_path: Path) -> None:
    rows = [{**row, "label": SOME.index(row["label"])} for row in make_rows(8, labels=SOME)]
    write_parquet(tmp_path / "train.parquet", rows, names=None)
    with pytest.raises(DataError, match="plain numbers") as refused:
        load(tmp_path, strict=False)
    assert "ClassLabel" in refused.value.hint
    assert set(load(tmp_path, labels=None)["label"]) == {-1}


def test_absent_labels_are_allowed_where_none_are_needed(tmp_path: Path) -> None:
    make_parquet(tmp_path, {"test": 5}, labels=SOME, columns=("image",))
    rows = load(tmp_path, "test", strict=False)
    assert list(rows["label"]) == [-1] * 5
    assert list(rows["source"]) == list(rows["group"]) == [None] * 5
    with pytest.raises(DataError, match="no column called label"):
        load(tmp_path, "test")


@pytest.mark.parametrize("layout", ["classlabel", "text", "folders"])
def test_a_missing_an_extra_and_a_misspelt_class_are_named(tmp_path: Path, layout: str) -> None:
    wrong = ("Acne", "Eczma", "Zebra_stripes", "Psoriasis")
    wanted = ("Acne", "Eczema", "Psoriasis", "Warts")
    if layout == "folders":
        make_image_folder(tmp_path, {"train": 1}, labels=wrong)
    else:
        text = layout == "text"
        write_parquet(tmp_path / "train.parquet", make_rows(8, labels=wrong), names=None if text else wrong)
    with pytest.raises(DataError) as refused:
        load(tmp_path, labels=wanted)
    message = refused.value.message
    assert "unknown class 'Eczma' (is it 'Eczema' misspelt?)" in message
    assert re.search(r"unknown class 'Zebra_stripes'(;|\.)", message)
    assert "missing class 'Warts'" in message
    assert "'Acne'" not in message
    assert all(name in refused.value.hint for name in wanted)


def test_fewer_classes_are_allowed_only_where_all_are_not_needed(tmp_path: Path) -> None:
    rows = make_rows(6, labels=SOME[1:])
    write_parquet(tmp_path / "train.parquet", rows, names=SOME[1:])
    assert names(load(tmp_path, strict=False)) == expected(rows, "label")
    with pytest.raises(DataError, match=f"missing class '{SOME[0]}'"):
        load(tmp_path)
    with pytest.raises(DataError, match=f"unknown class '{SOME[3]}'"):
        load(tmp_path, labels=SOME[:3], strict=False)
    assert set(load(tmp_path, labels=None)["label"]) == {-1}


def test_a_list_of_sets_is_concatenated_split_by_split(tmp_path: Path) -> None:
    make_parquet(tmp_path / "a", {"train": 8, "test": 3}, labels=SOME)
    # The same names in another order, as WebP, with a column less.
    rows = make_rows(6, labels=SOME, seed=7, kind="WEBP")
    write_parquet(
        tmp_path / "b" / "train.parquet", rows, names=SOME[::-1], columns=("image", "label", "group")
    )
    make_image_folder(tmp_path / "c", {"train": 1}, labels=SOME)
    sources = [str(tmp_path / name) for name in "abc"]
    train = load_split(sources, "train", labels=SOME)
    assert len(train) == 8 + 6 + 4
    assert names(train)[8:14] == expected(rows, "label")
    assert list(train["id"])[8:14] == [f"7-{row}.webp" for row in range(6)]
    assert list(train["source"])[8:] == [None] * 10
    assert admit(train, what="train", max_unreadable=0) == (train, [])


def test_ids_are_stored_file_names_or_else_row_numbers(tmp_path: Path) -> None:
    rows = make_rows(4, labels=SOME, named=False)
    rows[2]["image"]["path"] = "clinic/series 3/left hand.jpg"
    write_parquet(tmp_path / "train.parquet", rows, names=SOME)
    assert list(load(tmp_path, strict=False)["id"]) == ["0", "1", "left hand.jpg", "3"]


def test_a_data_sets_own_ids_come_before_file_names(tmp_path: Path) -> None:
    rows = [{**row, "id": f"ISIC_{number}"} for number, row in enumerate(make_rows(3, labels=SOME))]
    rows[1]["id"] = None
    rows[2]["image"]["path"] = None
    write_parquet(tmp_path / "train.parquet", rows, names=SOME, columns=("image", "label", "id"))
    assert list(load(tmp_path, strict=False)["id"]) == ["ISIC_0", "0-1.jpg", "ISIC_2"]


def test_skin_types_are_whole_numbers_from_1_to_6_or_unknown(tmp_path: Path) -> None:
    data = {"image": [row["image"] for row in make_rows(4)], "skin_type": [3.0, 0.0, None, 6.0]}
    features = datasets.Features({"image": datasets.Image(), "skin_type": datasets.Value("float32")})
    datasets.Dataset.from_dict(data, features=features).to_parquet(tmp_path / "train.parquet")
    assert list(load(tmp_path, labels=None)["skin_type"]) == [3, None, None, 6]


def test_diagnoses_are_carried_through_in_the_sources_own_words(tmp_path: Path) -> None:
    rows = [{**row, "diagnosis": "Tinea pedis"} for row in make_rows(3, labels=SOME)]
    rows[1]["diagnosis"] = None
    write_parquet(tmp_path / "a.parquet", rows, names=SOME, columns=("image", "label", "diagnosis"))
    write_parquet(tmp_path / "b.parquet", rows, names=SOME)
    assert list(load(tmp_path, "a", strict=False)["diagnosis"]) == ["Tinea pedis", None, "Tinea pedis"]
    assert list(load(tmp_path, "b", strict=False)["diagnosis"]) == [None] * 3


def test_groups_come_from_lesions_where_no_column_is_called_group(tmp_path: Path) -> None:
    rows = [{**row, "lesion_id": f"HAM_{number}"} for number, row in enumerate(make_rows(4, labels=SOME))]
    write_parquet(tmp_path / "a.parquet", rows, names=SOME, columns=("image", "label", "lesion_id"))
    write_parquet(tmp_path / "b.parquet", rows, names=SOME, columns=("image", "label", "lesion_id", "group"))
    assert list(load(tmp_path, "a")["group"]) == ["HAM_0", "HAM_1", "HAM_2", "HAM_3"]
    assert list(load(tmp_path, "b")["group"]) == expected(rows, "group")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    make_parquet(tmp_path, {"train": 4, "holdout": 4}, labels=SOME)
    with pytest.raises(DataError, match="no split called 'test'") as refused:
        load(tmp_path, "test")
    assert refused.value.hint == "Its splits are: holdout, train."
    for ask in (lambda: load(tmp_path / "nowhere"), lambda: split_names(str(tmp_path / "nowhere"))):
        with pytest.raises(DataError, match="nowhere is neither a local folder"):
            ask()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither parquet files nor pictures") as refused:
        load(tmp_path / "empty")
    assert "SPLIT/CLASS/" in refused.value.hint


def test_a_table_without_pictures_lists_its_columns(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"photo": ["a"], "label": ["Acne"]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match="the columns photo, label, but none called image"):
        load(tmp_path)


def test_a_column_of_numbers_called_image_is_no_pictures(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"image": [1, 2], "label": SOME[:2]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"column image of .* holds no pictures \(Value\('int64'\)\)"):
        load(tmp_path, "train")


def test_validation_is_carved_from_train_by_class_and_group(tmp_path: Path) -> None:
    make_parquet(tmp_path, {"train": 160}, labels=SOME, group_size=2)

    def divided(seed: int) -> tuple[datasets.Dataset, datasets.Dataset]:
        return train_and_validation([str(tmp_path)], labels=SOME, fraction=0.2, seed=seed)

    train, validation = divided(0)
    assert len(validation) == 32
    assert sorted([*train["id"], *validation["id"]]) == sorted(load(tmp_path)["id"])
    assert not set(train["group"]) & set(validation["group"])
    assert [names(validation).count(name) for name in SOME] == [8, 8, 8, 8]
    assert list(divided(0)[1]["id"]) == list(validation["id"])
    assert list(divided(1)[1]["id"]) != list(validation["id"])


def test_a_validation_split_is_taken_where_it_exists(tmp_path: Path) -> None:
    make_parquet(tmp_path / "a", {"train": 40}, labels=SOME)
    make_parquet(tmp_path / "b", {"train": 40, "validation": 8}, labels=SOME, seed=1)
    sources = [str(tmp_path / "a"), str(tmp_path / "b")]
    train, validation = train_and_validation(sources, labels=SOME, fraction=0.25, seed=0)
    assert (len(train), len(validation)) == (30 + 40, 10 + 8)
    assert list(validation["id"])[10:] == list(load(tmp_path / "b", "validation")["id"])
    assert list(train["id"])[30:] == list(load(tmp_path / "b")["id"])


@pytest.mark.parametrize("fraction", [0.0, 0.6])
def test_a_share_that_cannot_be_kept_back_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="validation_fraction"):
        train_and_validation(["unread"], labels=SOME, fraction=fraction, seed=0)


@pytest.mark.shared
def test_the_real_sets_load() -> None:
    shared = ROOT.parent / "shared" / "data"
    if not shared.is_dir():
        pytest.skip(f"{shared} does not exist")
    skin22, more = str(shared / "skin22"), str(shared / "skin22_more")
    test = load_split([skin22], "test", labels=LABELS)
    assert (len(test), len(set(test["label"]))) == (1052, 22)
    assert len(load_split([skin22, more], "train", labels=LABELS)) == 8715
