"""Parts of a data set: they divide no group and take no class away; too small a set is refused."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets_made import make_rows

from model.errors import DataError
from train.data.folds import group_folds
from train.data.splits import load_split, train_and_validation

AB = ("A", "B")


def write(folder: Path, labels: list[str], **columns: list) -> Path:
    """A train split whose pictures are all the same; NaN makes a column one of numbers."""
    image = make_rows(1, labels=AB)[0]["image"]
    types = {
        name: datasets.Value("float64" if any(isinstance(v, float) for v in values) else "string")
        for name, values in columns.items()
    }
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string"), **types})
    data = {"image": [image] * len(labels), "label": labels, **columns}
    folder.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(data, features=features).to_parquet(folder / "train.parquet")
    return folder


def divided(
    folder: Path, *, fraction: float = 0.1, seed: int = 0
) -> tuple[datasets.Dataset, datasets.Dataset]:
    return train_and_validation([str(folder)], labels=AB, fraction=fraction, seed=seed)


@pytest.mark.parametrize(
    ("labels", "groups", "kept_back"),
    [
        (["A", "B"] * 5, None, 2),
        (["A", "B"] * 100, [f"p{i // 2 % 5}" for i in range(200)], 40),
        (["A"] * 30 + ["B"] * 2, None, 3),
    ],
)
def test_a_small_set_gives_a_smaller_part(
    tmp_path: Path, labels: list[str], groups: list[str] | None, kept_back: int
) -> None:
    train, validation = divided(write(tmp_path, labels, **({"group": groups} if groups else {})))
    assert abs(len(validation) - kept_back) <= 1
    assert len(train) + len(validation) == len(labels)
    assert set(train["label"]) == {0, 1}


@pytest.mark.parametrize(
    ("labels", "groups"),
    [(["A", "B"] * 20, ["g"] * 40), (["A", "B"], None), (["A"] * 9 + ["B"] * 9, ["g"] * 9 + ["h"] * 9)],
)
def test_a_set_with_nothing_to_spare_is_refused_in_plain_words(
    tmp_path: Path, labels: list[str], groups: list[str] | None
) -> None:
    write(tmp_path, labels, **({"group": groups} if groups else {}))
    with pytest.raises(DataError, match="can be held out for validation without taking a whole class") as no:
        divided(tmp_path)
    assert "its own validation split" in no.value.hint


@pytest.mark.parametrize("seed", range(8))
def test_a_class_of_one_group_stays_in_train_and_it_is_said(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["A"] * 40 + ["B"] * 8
    write(tmp_path, labels, lesion_id=[f"a{i // 2}" for i in range(40)] + ["b"] * 8)
    train, validation = divided(tmp_path, fraction=0.5, seed=seed)
    assert list(train["label"]).count(1) == 8
    assert len(validation) == 20
    assert "no picture of B is held out for validation" in "".join(capsys.readouterr())


@pytest.mark.parametrize("column", ["group", "lesion_id", "patient_id"])
@pytest.mark.parametrize("empty", ["", " ", "nan", "NaN", "None", "unknown", None])
def test_rows_without_a_group_are_related_to_nothing(tmp_path: Path, column: str, empty: str | None) -> None:
    write(tmp_path, ["A", "B"] * 10, **{column: [empty] * 18 + ["x", "x"]})
    assert list(load_split([str(tmp_path)], "train", labels=AB)["group"]) == [None] * 18 + ["x"] * 2
    assert len(divided(tmp_path)[1]) == 2


def test_a_patient_counts_before_a_lesion_and_a_lesion_where_the_patient_is_not_known(tmp_path: Path) -> None:
    nan = float("nan")
    write(tmp_path, ["A", "B"] * 2, patient_id=[7.0, 7.0, nan, nan], lesion_id=["k", "l", "m", ""])
    assert list(load_split([str(tmp_path)], "train", labels=AB)["group"]) == ["7.0", "7.0", "m", None]


@pytest.mark.parametrize("folds", [0, 1, 4, 9])
def test_folds_that_cannot_be_drawn_are_refused_with_those_that_can(folds: int) -> None:
    with pytest.raises(DataError, match=rf"6 pictures in 3 groups cannot be split into {folds} folds") as no:
        group_folds(np.asarray([0, 0, 0, 1, 1, 1]), list("xyzxyz"), folds=folds, seed=0)
    assert "from 2 to 3" in no.value.hint
