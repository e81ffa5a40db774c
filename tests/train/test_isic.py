"""Submissions to the ISIC challenges, their score, and the 22 groups on dermoscopy."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, encode
from datasets_made import class_picture, make_rows, write_parquet
from public_made import HAM, ISIC2018, ISIC2019, make_isic2018, make_isic2019, write_table, write_truth

from app.predictor import Predictor
from model import checkpoint
from model.config import ModelConfig
from model.errors import DataError
from model.labels import DERMOSCOPY, LABELS, NO_CONDITION
from model.network import SkinDiseaseNet
from train.__main__ import main
from train.data.splits import load_split, with_truth
from train.evaluate.dermoscopy import DERMOSCOPY_LABELS, GROUPS, mapped_metrics
from train.predictions import Predictions

EIGHT = ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")


def make_checkpoint(folder: Path, labels: tuple[str, ...], **options: float) -> Path:
    torch.manual_seed(0)
    config = ModelConfig(labels=labels, backbone="test_resnet", head="pool", input_size=64, **options)
    checkpoint.save(folder, SkinDiseaseNet(config), config, card="# Small\n")
    return folder


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the labels of HAM10000, out of the challenge's order."""
    return make_checkpoint(tmp_path_factory.mktemp("seven") / "seven", HAM)


def run(command: str, folder: Path, data: Path, split: str, output: Path, *more: str) -> int:
    options = [f"--checkpoint={folder}", f"--data={data}", f"--split={split}", f"--output={output}"]
    return main([command, *options, "--device=cpu", *more])


def read(file: Path) -> tuple[str, dict[str, list[float]]]:
    """The header as it stands in the file, and the numbers by picture."""
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    return header, {row[0]: [float(value) for value in row[1:]] for row in csv.reader(lines)}


@pytest.mark.slow
def test_a_submission_to_isic2018_has_the_challenges_header_ids_and_the_predictors_probabilities(
    seven: Path, tmp_path: Path
) -> None:
    pictures = {f"ISIC_{34524 + i:07d}": encode(class_picture(i, 7, seed=i)) for i in range(4)}
    rows = [{"image": {"bytes": data, "path": None}, "id": name} for name, data in pictures.items()]
    write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", rows, columns=("image", "id"))
    assert run("predict", seven, tmp_path / "data", "test", tmp_path / "out.csv", "--format=isic2018") == 0
    header, values = read(tmp_path / "out.csv")
    assert header == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    assert list(values) == list(pictures)
    predictor = Predictor.from_checkpoint(str(seven), device="cpu")
    for name, data in pictures.items():
        told = {one.name: one.probability for one in predictor.predict(data).conditions}
        assert values[name] == pytest.approx([told[column.lower()] for column in ISIC2018], abs=1e-4)
        assert sum(values[name]) == pytest.approx(1, abs=1e-4)


def test_ids_of_picture_files_lose_their_ending(seven: Path, tmp_path: Path) -> None:
    make_isic2018(tmp_path)
    folder = tmp_path / "ISIC2018_Task3_Validation_Input"
    assert run("predict", seven, folder, "all", tmp_path / "out.csv", "--format=isic2018") == 0
    assert list(read(tmp_path / "out.csv")[1]) == [f"ISIC_{24320 + i:07d}" for i in range(7)]


def test_unknown_is_what_the_rejection_rule_turns_away(tmp_path: Path) -> None:
    make_isic2019(tmp_path)
    for name, bound, unknown in (("lenient", 0.0, 0.0), ("strict", 1.0, 1.0)):
        folder = make_checkpoint(tmp_path / name, EIGHT, min_max_probability=bound)
        assert run("predict", folder, tmp_path, "test", tmp_path / "out.csv", "--format=isic2019") == 0
        header, values = read(tmp_path / "out.csv")
        assert header == "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
        assert [row[-1] for row in values.values()] == [unknown] * 9
        assert all(sum(row[:-1]) == pytest.approx(1, abs=1e-4) for row in values.values())


def test_a_checkpoint_with_other_labels_is_refused_before_any_picture_is_read(
    seven: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"
    assert run("predict", seven, nowhere, "test", tmp_path / "out.csv", "--format=isic2019") == 1
    said = capsys.readouterr().err
    assert "do not fit isic2019: it has no ak, scc; isic2019 has no akiec." in said
    assert "Use a checkpoint trained on ak, bcc, bkl, df, mel, nv, scc, vasc" in said
    assert run("predict", tiny_checkpoint, nowhere, "test", tmp_path / "out.csv", "--format=isic2018") == 1
    assert "it has no akiec, bcc" in capsys.readouterr().err


def test_a_submission_with_an_unreadable_picture_is_refused(
    seven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_isic2018(tmp_path)
    (tmp_path / "ISIC2018_Task3_Test_Input" / "ISIC_0024330.jpg").write_bytes(b"cut")
    more = ("--format=isic2018", "--max_unreadable=1")
    assert run("predict", seven, tmp_path, "test", tmp_path / "out.csv", *more) == 1
    assert "1 of 7 pictures of test are unreadable" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def score(submission: Path, truth: Path, output: Path) -> dict:
    arguments = ["score", f"--submission={submission}", f"--truth={truth}", f"--output={output}"]
    assert main(arguments) == 0
    return json.loads(output.read_text(encoding="utf-8"))


def test_the_challenges_score_is_the_mean_recall_with_ties_wrong_and_weights_heeded(tmp_path: Path) -> None:
    answers = {"a": "MEL", "b": "MEL", "c": "NV", "d": "NV", "e": "UNK", "f": "UNK", "g": "AK", "h": "SCC"}
    truth = write_truth(tmp_path / "truth.csv", ISIC2019, answers, f=0.0, h=0.0)
    given = {"a": "MEL", "b": "NV", "c": "NV", "d": "NV", "e": "UNK", "f": "MEL", "g": "AK", "h": "BKL"}
    rows = {name: [0.9 if answer == one else 0.1 for one in ISIC2019] for name, answer in given.items()}
    rows["d"] = [0.7 if one in ("NV", "MEL") else 0.1 for one in ISIC2019]
    ours = write_table(
        tmp_path / "ours.csv", ("image", *ISIC2019), [(name, *row) for name, row in rows.items()][::-1]
    )
    result = score(ours, truth, tmp_path / "score.json")
    assert result["recall"] == {
        "MEL": {"n": 2, "recall": 0.5},
        "NV": {"n": 2, "recall": 0.5},
        "AK": {"n": 1, "recall": 1.0},
        "UNK": {"n": 1, "recall": 1.0},
    }
    assert (result["n"], result["undecided"]) == (6, 1)
    assert result["balanced_accuracy"] == pytest.approx(0.75)
    assert result["accuracy"] == pytest.approx(4 / 6)


def test_what_cannot_be_scored_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write_truth(tmp_path / "truth.csv", ISIC2018, {"a": "MEL", "b": "NV"})
    row = [0.2] * 6 + [0.1]
    for header, rows, problem in (
        (ISIC2018, [("a", *row)], "1 pictures are not in"),
        (ISIC2018, [("a", *row), ("b", *row), ("c", *row)], "the first is c"),
        (ISIC2018, [("a", *row), ("a", *row)], "has a twice"),
        (ISIC2018, [("a", *row), ("b", *row[:6], "?")], "b has '?'"),
        (ISIC2018[:6], [("a", *row[:6]), ("b", *row[:6])], "do not match any challenge"),
        (ISIC2018, [("a", *row), ("b", *row[:6], "nan")], "b has 'nan'"),
    ):
        ours = write_table(tmp_path / "ours.csv", ("image", *header), rows)
        assert main(["score", f"--submission={ours}", f"--truth={truth}"]) == 1
        assert problem in capsys.readouterr().err
    nine = write_truth(tmp_path / "nine.csv", ISIC2019, {"a": "SCC", "b": "NV"})
    ours = write_table(tmp_path / "ours.csv", ("image", *ISIC2018), [("a", *row), ("b", *row)])
    assert main(["score", f"--submission={ours}", f"--truth={nine}"]) == 1
    assert "has the classes scc" in capsys.readouterr().err


def test_evaluate_takes_a_ground_truth_and_agrees_with_the_challenges_score(
    seven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_isic2018(tmp_path)
    pictures = tmp_path / "ISIC2018_Task3_Test_Input"
    truth = next(tmp_path.glob("*/ISIC2018_Task3_Test_GroundTruth.csv"))
    assert run("evaluate", seven, pictures, "all", tmp_path / "figures", f"--truth={truth}") == 0
    figures = json.loads((tmp_path / "figures" / "metrics.json").read_text())
    assert run("predict", seven, pictures, "all", tmp_path / "out.csv", "--format=isic2018") == 0
    result = score(tmp_path / "out.csv", truth, tmp_path / "score.json")
    assert figures["n"] == result["n"] == 7
    assert figures["balanced_accuracy"] == pytest.approx(result["balanced_accuracy"])
    assert {name.upper(): entry["recall"] for name, entry in figures["per_class"].items()} == {
        name: entry["recall"] for name, entry in result["recall"].items()
    }
    other = write_truth(tmp_path / "other.csv", ISIC2018, {"ISIC_0024327": "MEL"})
    capsys.readouterr()
    assert run("evaluate", seven, pictures, "all", tmp_path / "figures", f"--truth={other}") == 1
    assert "6 of 7 pictures are not in" in capsys.readouterr().err


def test_a_ground_truth_may_be_a_table_like_ham10000s_and_may_have_unknown_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_isic2019(tmp_path)
    folder = tmp_path / "ISIC_2019_Test_Input"
    rows = load_split([str(folder)], "all", labels=None)
    labelled = with_truth(rows, tmp_path / "ISIC_2019_Test_GroundTruth.csv", EIGHT)
    assert [EIGHT[label] for label in labelled["label"]] == [name.lower() for name in ISIC2019[:-1]]
    assert "1 of 9 pictures are UNK and left out" in "".join(capsys.readouterr())
    table = [(f"HAM_{i}", f"ISIC_{7000 + i:07d}", HAM[i % 7]) for i in range(10)]
    truth = write_table(tmp_path / "HAM10000_metadata.csv", ("lesion_id", "image_id", "dx"), table)
    assert list(with_truth(rows, truth, HAM)["label"]) == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert "1 of 10 rows of" in "".join(capsys.readouterr())
    with pytest.raises(DataError, match="unknown class 'akiec'"):
        with_truth(rows, truth, EIGHT)


def test_every_label_of_dermoscopy_has_one_group_of_clinical_labels() -> None:
    theirs = [name for group in GROUPS.values() for name in group.dermoscopy]
    ours = [name for group in GROUPS.values() for name in group.clinical]
    assert len(theirs) == len(set(theirs))
    assert len(ours) == len(set(ours))
    assert set(theirs) == {name for labels in DERMOSCOPY_LABELS.values() for name in labels}
    assert set(ours) <= set(LABELS)
    assert DERMOSCOPY_LABELS["isic2018"] == tuple(entry.name for entry in DERMOSCOPY)


def test_the_documentation_shows_the_same_groups() -> None:
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name, group in GROUPS.items():
        cells = [", ".join(f"`{label}`" for label in labels) for labels in group]
        assert f"| {name} | {cells[0]} | {cells[1]} |" in text


def probability(**values: float) -> list[float]:
    rest = (1 - sum(values.values())) / (len(LABELS) - len(values))
    return [values.get(name, rest) for name in LABELS]


def test_mapped_figures_sum_a_groups_labels_and_count_answers_beyond_the_groups() -> None:
    config = ModelConfig(labels=LABELS, min_max_probability=0.25)
    truth = ("bkl", "mel", "bcc", "nv", "nv", "akiec")
    probabilities = np.array(
        [
            probability(Seborrh_Keratoses=0.3, Sun_Sunlight_Damage=0.25, Moles=0.4),  # right by the sum
            probability(SkinCancer=0.9),
            probability(Psoriasis=0.5, SkinCancer=0.3),  # no group; forced: right
            probability(Moles=0.9),
            probability(**{NO_CONDITION: 0.8}),
            probability(SkinCancer=0.2, Actinic_Keratosis=0.1),  # rejected
        ]
    )
    predictions = Predictions.of(LABELS, probabilities, [HAM.index(name) for name in truth])
    figures = mapped_metrics(predictions, config, truth_names=HAM)
    recalls = {name: entry["recall"] for name, entry in figures["per_group"].items()}
    assert recalls == {"actinic keratosis": 0, "skin cancer": 0.5, "mole": 0.5, "benign keratosis": 1}
    assert figures["balanced_accuracy"] == pytest.approx(0.5)
    assert figures["accuracy"] == pytest.approx(0.5)
    assert figures["forced"]["accuracy"] == pytest.approx(4 / 6)
    assert (figures["rejected"], figures["no_condition"], figures["no_group"]) == (1, 1, 2)
    assert figures["malignant"] == {"n": 3, "sensitivity": pytest.approx(2 / 3), "specificity": 1.0}
    low, high = figures["intervals"]["balanced_accuracy"]
    assert 0 <= low < 0.5 < high <= 1


def test_the_22_groups_are_measured_on_dermoscopy(
    seven: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows(14, labels=HAM)
    write_parquet(
        tmp_path / "isic" / "train.parquet", rows, names=HAM, columns=("image", "label", "lesion_id")
    )
    assert run("evaluate", tiny_checkpoint, tmp_path / "isic", "train", tmp_path, "--map=isic2018") == 0
    figures = json.loads((tmp_path / "mapped.json").read_text())
    assert figures["n"] == 14
    assert sum(entry["n"] for entry in figures["per_group"].values()) == 14
    assert figures["per_group"]["skin cancer"]["n"] == 4
    assert figures["checkpoint"]["revision"] == checkpoint.load(tiny_checkpoint).revision
    capsys.readouterr()
    assert run("evaluate", seven, tmp_path / "nowhere", "train", tmp_path, "--map=isic2018") == 1
    assert "The checkpoint has no Actinic_Keratosis, Benign_tumors" in capsys.readouterr().err
