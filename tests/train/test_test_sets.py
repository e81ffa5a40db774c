"""Sets that are for testing alone: read as they are downloaded, and never learned from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from datasets_made import make_rows, write_parquet
from public_made import HAM, PAD_CODES, make_ddi, make_ham10000, make_pad_ufes_20, make_scin, write_table

from model.errors import DataError
from train.__main__ import main
from train.data.rows import admit
from train.data.splits import load_split, split_names
from train.data.test_sets import PAD_LABELS, ddi_tones, scin_cases

PAD = tuple(PAD_LABELS.values())


def load(folder: Path, labels: tuple[str, ...] | None) -> datasets.Dataset:
    rows = load_split([str(folder)], "test", labels=labels)
    return admit(rows, what="test", max_unreadable=0, labelled=labels is not None).rows


def test_pad_ufes_20_is_grouped_by_patient(tmp_path: Path) -> None:
    make_pad_ufes_20(tmp_path)
    rows = load(tmp_path, PAD)
    assert [PAD[label] for label in rows["label"]] == ["ak", "bcc", "mel", "nv", "scc", "sek", "ak", "nv"]
    assert list(rows["diagnosis"])[:6] == list(PAD_CODES)
    assert list(rows["group"]) == [f"PAT_{i % 6}" for i in range(8)]
    assert list(rows["skin_type"]) == [1, 2, 3, 4, 5, 6, None, None]
    assert next(iter(rows["id"])) == "PAT_0_800_0"


def test_ddi_has_two_labels_and_three_skin_tones(tmp_path: Path) -> None:
    make_ddi(tmp_path, per_tone=4)
    rows = load(tmp_path, ("benign", "malignant"))
    assert list(rows["label"]) == [0, 1] * 6
    assert list(rows["diagnosis"])[:2] == ["nevus", "melanoma"]
    assert Counter(ddi_tones(tmp_path).values()) == {"I-II": 4, "III-IV": 4, "V-VI": 4}
    assert list(ddi_tones(tmp_path)) == list(rows["id"])


def test_a_case_of_scin_has_weighted_labels_and_up_to_three_pictures(tmp_path: Path) -> None:
    make_scin(tmp_path)
    cases = scin_cases(tmp_path)
    assert list(cases) == [f"c{i}" for i in range(5)]  # nobody named a condition for the last
    assert [len(case.pictures) for case in cases.values()] == [1, 2, 3, 1, 2]
    assert cases["c1"].weights == {"Psoriasis": 0.75, "Tinea": 0.25}
    assert [case.skin_type for case in cases.values()] == [1, 2, 3, 4, 5]
    assert [case.monk for case in cases.values()] == [4, 2, 4, 4, 4]
    rows = load(tmp_path, ("Eczema", "Psoriasis", "Tinea"))
    assert list(rows["group"]) == ["c0", "c1", "c1", "c2", "c2", "c2", "c3", "c4", "c4"]
    assert list(rows["label"]) == [0, 1, 1, 2, 2, 2, 0, 1, 1]


def test_estimates_of_a_skin_type_give_their_median(tmp_path: Path) -> None:
    make_scin(tmp_path, cases=2)
    columns = tuple(f"dermatologist_fitzpatrick_skin_type_label_{i}" for i in (1, 2, 3))
    for estimates, expected in (
        (("FST6", "FST1", "FST2"), 2),
        (("", "FST5", "FST3"), 3),
        (("", "", ""), None),
    ):
        header = ("case_id", *columns, "weighted_skin_condition_label")
        write_table(tmp_path / "scin_labels.csv", header, [("c0", *estimates, "{'Eczema': 1.0}")])
        case = scin_cases(tmp_path)["c0"]
        assert (case.skin_type, case.monk) == (expected, None)


def test_tables_that_are_not_as_downloaded_are_explained(tmp_path: Path) -> None:
    make_ddi(tmp_path / "ddi", per_tone=2)
    make_scin(tmp_path / "scin")
    table = tmp_path / "ddi" / "ddi_metadata.csv"
    write_table(table, ("DDI_file", "skin_tone", "malignant"), [("000001.png", 7, "?")])
    with pytest.raises(DataError, match=r"000001.png has the malignant '\?'"):
        load(tmp_path / "ddi", None)
    with pytest.raises(DataError, match=r"000001.png has the skin_tone '7'"):
        ddi_tones(tmp_path / "ddi")
    for text in ("Eczema", "{'Eczema': 'much'}", "{'Eczema': 7}", "[1]", "{'Eczema': nan}"):
        header = ("case_id", "weighted_skin_condition_label")
        write_table(tmp_path / "scin" / "scin_labels.csv", header, [("c0", text)])
        with pytest.raises(DataError, match="the weights of case c0 are"):
            scin_cases(tmp_path / "scin")


MAKERS: dict[str, Callable[[Path], None]] = {
    "PAD-UFES-20": make_pad_ufes_20,
    "DDI": make_ddi,
    "SCIN": make_scin,
}


def fit(*data: Path, labels: tuple[str, ...], output: Path) -> int:
    words = ["fit", "--data", *map(str, data), "--labels", json.dumps(labels), "--init", "random"]
    return main([*words, "--backbone", "test_resnet", "--output", str(output), "--device", "cpu"])


@pytest.mark.parametrize("name", MAKERS)
def test_fit_refuses_them_alone_or_among_others(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MAKERS[name](tmp_path / "set")
    make_ham10000(tmp_path / "ham", per_class=10)
    for data in ([tmp_path / "set"], [tmp_path / "ham", tmp_path / "set"]):
        assert fit(*data, labels=HAM, output=tmp_path / "run") == 1
        said = capsys.readouterr().err
        assert f"{tmp_path / 'set'} is {name}" in said
        assert "nothing may be trained or chosen on it" in said
    assert not (tmp_path / "run" / "checkpoint").exists()
    assert split_names(str(tmp_path / "set")) == ["test"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("PAD-UFES-20", {"file": "PAT_8_15_820.png"}),
        ("PAD-UFES-20", {"id": "PAT_8_15_820"}),
        ("PAD-UFES-20", {"source": "PAD-UFES-20"}),
        ("DDI", {"source": "ddi"}),
        ("DDI", {"DDI_file": "000001.png", "skin_tone": "12", "malignant": "True"}),
        ("SCIN", {"source": "SCIN"}),
        ("SCIN", {"case_id": "7", "image_1_path": "dataset/images/1.png"}),
    ],
)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_fit_refuses_a_copy_in_parquet(
    name: str, change: dict[str, str], split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("train", "validation"):
        rows = make_rows(6, labels=PAD)
        if part == split:
            rows[-1] |= {key: value for key, value in change.items() if key != "file"}
            if "file" in change:
                rows[-1]["image"]["path"] = change["file"]
        columns = ["image", "label", *(key for key in change if key != "file" and part == split)]
        for row in rows:
            row |= {key: row.get(key, "") for key in columns}
        write_parquet(tmp_path / f"{part}.parquet", rows, columns=columns, names=PAD)
    assert fit(tmp_path, labels=PAD, output=tmp_path / "run") == 1
    assert f"{tmp_path} is {name}" in capsys.readouterr().err


def test_thresholds_are_not_chosen_on_them(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_pad_ufes_20(tmp_path)
    command = ["calibrate", "--checkpoint", str(tiny_checkpoint), "--data", str(tmp_path), "--split", "test"]
    assert main(command) == 1
    assert "is PAD-UFES-20, which is for testing" in capsys.readouterr().err
