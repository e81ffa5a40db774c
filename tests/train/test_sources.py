"""What lies in folders is read as it is now, under every name, or it is said why not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import encode, make_picture
from datasets_made import make_image_folder, make_parquet, make_rows, write_parquet
from PIL import Image
from public_made import HAM, make_ham10000

from model.errors import DataError
from train.data.splits import load_split, picture_bytes, split_names, train_and_validation

AB = ("A", "B")


def both(folder: Path) -> tuple[list[str], list[str]]:
    """The ids of train and validation."""
    parts = train_and_validation([str(folder)], labels=AB, fraction=0.1, seed=0)
    return list(parts[0]["id"]), list(parts[1]["id"])


def test_a_table_that_was_rewritten_is_read_anew_whatever_its_time_and_size(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    rows = make_rows(4, labels=AB)
    write_parquet(file, rows, names=AB)
    before = file.stat()
    assert list(load_split([str(tmp_path)], "train", labels=AB)["label"]) == [0, 0, 1, 1]
    write_parquet(file, [{**row, "label": "A" if row["label"] == "B" else "B"} for row in rows], names=AB)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert list(load_split([str(tmp_path)], "train", labels=AB)["label"]) == [1, 1, 0, 0]


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-30], lambda data: b"PAR1" * 9])
def test_a_table_that_is_none_is_named(tmp_path: Path, damage) -> None:
    file = make_parquet(tmp_path, {"train": 4}, labels=AB) / "train-00000-of-00001.parquet"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet is not a readable parquet file"):
        load_split([str(tmp_path)], "train", labels=AB)


def test_shards_that_number_their_classes_differently_are_refused(tmp_path: Path) -> None:
    for shard, names in enumerate((AB, AB[::-1])):
        write_parquet(tmp_path / f"train-0000{shard}-of-00002.parquet", make_rows(4, labels=AB), names=names)
    with pytest.raises(DataError, match=r"00000-of-00002\S* and train-00001-of-00002\S* differ"):
        load_split([str(tmp_path)], "train", labels=AB)


@pytest.mark.parametrize("name", ["val", "valid", "dev", "VAL", "Validation"])
@pytest.mark.parametrize("layout", [make_image_folder, make_parquet])
def test_a_split_that_means_validation_is_taken_for_it_and_said(
    tmp_path: Path, name: str, layout, capsys: pytest.CaptureFixture[str]
) -> None:
    layout(tmp_path, {"Train": 4, name: 4}, labels=AB)
    train, validation = both(tmp_path)
    assert (train, validation) == tuple(
        list(load_split([str(tmp_path)], own, labels=AB)["id"]) for own in ("Train", name)
    )
    assert split_names(str(tmp_path)) == ["train", "validation"]
    assert f"the split {name} is taken as validation" in "".join(capsys.readouterr())


def test_two_splits_that_could_be_validation_are_refused_where_it_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image_folder(tmp_path, {"train": 4, "val": 2, "valid": 2}, labels=AB)
    with pytest.raises(DataError, match="the splits val and valid, and each of them could be validation"):
        both(tmp_path)
    assert len(load_split([str(tmp_path)], "val", labels=AB)) == 4
    (tmp_path / "valid").rename(tmp_path / "validation")
    assert len(both(tmp_path)[1]) == 4
    assert "val is not used" in "".join(capsys.readouterr())


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    make_image_folder(tmp_path / "set", {"train": 3}, labels=AB)
    make_image_folder(tmp_path / "elsewhere", {"validation": 2, "more": 5}, labels=AB)
    (tmp_path / "set" / "validation").symlink_to("../elsewhere/validation")
    shutil.rmtree(tmp_path / "set" / "train" / "B")
    (tmp_path / "set" / "train" / "B").symlink_to(tmp_path / "elsewhere" / "more" / "B")
    train, validation = both(tmp_path / "set")
    assert (len(train), len(validation)) == (3 + 5, 4)


def test_a_link_in_a_circle_is_left_out_and_one_to_nowhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image_folder(tmp_path, {"train": 2}, labels=AB)
    (tmp_path / "train" / "A" / "again").symlink_to(tmp_path / "train")
    assert len(load_split([str(tmp_path)], "train", labels=AB)) == 4
    assert "again is a link back" in "".join(capsys.readouterr())
    (tmp_path / "validation").symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataError, match=r"validation is a link to .*unmounted, which does not exist"):
        split_names(str(tmp_path))


ODD = [b"scan 12::30", b"[x]*?", b"50%23 #1", b"caf\xe9", "ärm".encode()]


@pytest.mark.parametrize("name", ODD, ids=repr)
@pytest.mark.parametrize("layout", ["pictures", "table"])
def test_odd_names_of_folders_and_files_are_names_like_any_other(
    tmp_path: Path, name: bytes, layout: str
) -> None:
    odd = os.fsdecode(name)
    folder = tmp_path / odd
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("the file system refuses such a name")
    data = encode(make_picture(seed=1))
    if layout == "pictures":
        for label in AB:
            file = folder / "train" / label / f"{odd}.jpg"
            file.parent.mkdir(parents=True)
            file.write_bytes(data)
        (split,) = split_names(str(folder))
        rows = load_split([str(folder)], split, labels=AB)
        assert [picture_bytes(row) for row in rows] == [data, data]
        assert list(rows["id"]) == [name.decode("utf-8", "backslashreplace") + ".jpg"] * 2
    else:
        write_parquet(tmp_path / "table.parquet", make_rows(4, labels=AB), names=AB)
        (tmp_path / "table.parquet").rename(folder / f"{odd}.parquet")
        (split,) = split_names(str(folder))
        assert list(load_split([str(folder)], split, labels=AB)["label"]) == [0, 0, 1, 1]


def mask() -> Image.Image:
    picture = Image.new("L", (96, 72), 0)
    picture.paste(255, (20, 20, 60, 50))
    return picture


def test_a_mask_under_the_name_of_a_public_sets_photo_is_refused_and_a_copy_is_not(tmp_path: Path) -> None:
    make_ham10000(tmp_path)
    photo = next(tmp_path.glob("HAM10000_images_part_1/*.jpg"))
    (tmp_path / "copy").mkdir()
    shutil.copy(photo, tmp_path / "copy")
    assert len(load_split([str(tmp_path)], "train", labels=HAM)) == 28
    (tmp_path / "GroundTruth").mkdir()
    mask().save(tmp_path / "GroundTruth" / f"{photo.stem}.png")
    with pytest.raises(DataError, match=f"GroundTruth/{photo.stem}.png and .*{photo.name} have one name"):
        load_split([str(tmp_path)], "train", labels=HAM)


@pytest.mark.parametrize(
    "name",
    ["photo.png", "photo_mask.jpg", "photo_segmentation.png", "masks/photo.png", "more/masks/photo_seg.png"],
)
def test_a_mask_beside_its_photo_is_refused_and_a_second_photo_is_not(tmp_path: Path, name: str) -> None:
    for label in AB:
        (tmp_path / "train" / label).mkdir(parents=True)
        make_picture(seed=1).save(tmp_path / "train" / label / "photo.jpg")
    (tmp_path / "train" / "A" / name).parent.mkdir(parents=True, exist_ok=True)
    make_picture(seed=2).save(tmp_path / "train" / "A" / name)
    assert len(load_split([str(tmp_path)], "train", labels=AB)) == 3
    mask().save(tmp_path / "train" / "A" / name)
    with pytest.raises(DataError, match=rf"{name} is a mask next to its photo, photo\.jpg"):
        load_split([str(tmp_path)], "train", labels=AB)
