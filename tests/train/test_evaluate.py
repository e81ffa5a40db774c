"""The commands evaluate and predict: their files agree with each other and with the predictor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import encode, make_picture
from datasets_made import make_image_folder, make_rows, write_parquet
from opinionated import ROWS, command, read_csv
from sklearn.metrics import confusion_matrix

from app.prediction import Prediction
from model import checkpoint
from model.decision.rejection import normalized_entropy
from model.labels import LABELS, NO_CONDITION
from train.__main__ import main


@pytest.fixture(scope="module")
def outputs(opinionated: Path, drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the two commands write."""
    out = tmp_path_factory.mktemp("outputs")
    for name, place in (("evaluate", out / "figures" / "new"), ("predict", out / "tables" / "test.csv")):
        assert main(command(name, opinionated, drawn_data / "skin", "test", place)) == 0
    return out


def test_predict_writes_an_id_and_one_probability_a_label(outputs: Path) -> None:
    header, ids, probabilities = read_csv(outputs / "tables" / "test.csv")
    assert header == ["id", *LABELS]
    assert ids == [row["image"]["path"] for row in ROWS]
    assert probabilities.shape == (48, 22)
    assert (probabilities >= 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(48), abs=1e-4)
    assert len(set(probabilities.argmax(axis=1))) > 4  # or the comparisons below would say little


def test_predict_agrees_with_the_predictor(outputs: Path, told: dict[str, list[Prediction]]) -> None:
    _, _, probabilities = read_csv(outputs / "tables" / "test.csv")
    for row, answer in zip(probabilities, told["skin"], strict=True):
        ours = {ranked.name: ranked.probability for ranked in answer.conditions}
        assert row == pytest.approx([ours[name] for name in LABELS], abs=1e-4)


def test_evaluate_agrees_with_the_probabilities_and_labels(
    outputs: Path, opinionated: Path, told: dict[str, list[Prediction]]
) -> None:
    figures = json.loads((outputs / "figures" / "new" / "metrics.json").read_text())
    _, _, probabilities = read_csv(outputs / "tables" / "test.csv")
    predicted = probabilities.argmax(axis=1)
    labels = np.array([LABELS.index(row["label"]) for row in ROWS])
    recalls = {name: (predicted[labels == k] == k).mean() for k, name in enumerate(LABELS)}
    top3 = [label in np.argsort(-row)[:3] for row, label in zip(probabilities, labels, strict=True)]
    assert figures["n"] == 48
    assert figures["accuracy"] == pytest.approx((predicted == labels).mean())
    assert figures["balanced_accuracy"] == pytest.approx(np.mean(list(recalls.values())))
    assert figures["top3_accuracy"] == pytest.approx(np.mean(top3))
    assert 0 < figures["macro_f1"] < 1
    assert 0 < figures["ece"] < 1
    assert {name: entry["recall"] for name, entry in figures["per_class"].items()} == pytest.approx(recalls)
    assert [entry["n"] for entry in figures["per_class"].values()] == list(np.bincount(labels))
    assert figures["labels"] == list(LABELS)
    assert figures["confusion"] == confusion_matrix(labels, predicted, labels=range(22)).tolist()
    config = checkpoint.load_config(opinionated)
    rejected = np.array([answer.verdict == "rejected" for answer in told["skin"]])
    by_two = (probabilities.max(axis=1) < config.min_max_probability) | (
        normalized_entropy(probabilities) > config.max_normalized_entropy
    )
    assert (rejected & ~by_two).any()
    assert 0.2 < figures["rejected"] < 0.8
    assert figures["rejected"] == pytest.approx(rejected.mean())
    detected = rejected | (predicted == LABELS.index(NO_CONDITION))
    for number, source in enumerate(("clinic", "atlas")):
        found = figures["per_source"][source]
        assert (found["n"], found["detected"]) == (24, detected[number::2].sum())
    assert figures["unreadable"] == []


def test_the_curves_agree_with_the_predictors_answers(
    outputs: Path, told: dict[str, list[Prediction]]
) -> None:
    figures = json.loads((outputs / "figures" / "new" / "metrics.json").read_text())
    assert sum(entry["n"] for entry in figures["reliability"]["bins"]) == 48
    assert figures["reliability"]["ece"] == figures["ece"] != figures["reliability"]["ece_uncalibrated"]
    assert figures["risk_coverage"]["coverage"][-1] == 1.0
    assert figures["risk_coverage"]["risk"][-1] == pytest.approx(1 - figures["accuracy"])
    assert len(figures["decision_curve"]["net_benefit"]) == len(figures["decision_curve"]["thresholds"])

    sets = [(answer.prediction_set, row["label"]) for answer, row in zip(told["skin"], ROWS, strict=True)]
    given = [(names, label) for names, label in sets if names is not None]
    found = figures["prediction_sets"]
    assert found["n"] == len(given) == round(48 * (1 - figures["rejected"]))
    assert found["coverage"] == pytest.approx(np.mean([label in names for names, label in given]))
    assert found["mean_size"] == pytest.approx(np.mean([len(names) for names, _ in given]), abs=0.05)
    assert sum(entry["n"] for entry in found["per_source"].values()) == len(given)


def test_evaluate_writes_a_report_with_the_worst_errors(outputs: Path) -> None:
    folder = outputs / "figures" / "new"
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "opinionated on skin, test" in report
    assert report.count("data:image/jpeg;base64,") == 24
    assert (folder / "figures" / "confusion.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def carded(outputs: Path, opinionated: Path, tmp_path: Path) -> tuple[list[str], Path, Path]:
    """The command that writes a card from what ``evaluate`` wrote, those figures, and the card."""
    figures = tmp_path / "metrics.json"
    shutil.copy(outputs / "figures" / "new" / "metrics.json", figures)
    folder = shutil.copytree(opinionated, tmp_path / "opinionated")
    (folder / "README.md").write_text("# Old\n\n## Training\n\nDrawn.\n")
    (notes := tmp_path / "notes.md").write_text("---\nlicense: other\n---\nDrawn.\n")
    words = ["card", f"--checkpoint={folder}", f"--notes={notes}", f"--metrics={figures}"]
    return words, figures, folder / "README.md"


def test_the_card_takes_what_evaluate_wrote(
    carded: tuple[list[str], Path, Path], told: dict[str, list[Prediction]]
) -> None:
    words, figures, card = carded
    written = json.loads(figures.read_text())
    figures.write_text(json.dumps({**written, "of_a_later_version": 1}))
    assert main(words) == 0
    text = card.read_text()
    right = np.mean(
        [answer.conditions[0].name == row["label"] for answer, row in zip(told["skin"], ROWS, strict=True)]
    )
    assert f"| Accuracy | {right:.3f} (" in text
    assert [
        line.split(" | ")[0]
        for line in text.splitlines()
        if line.startswith(tuple(f"| {n} " for n in LABELS))
    ] == [f"| {name}" for name in LABELS]
    assert "| clinic | 24 (24) |" in text
    rejected = np.mean([answer.verdict == "rejected" for answer in told["skin"]])
    assert f"| Share rejected | {rejected:.3f} |" in text


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("ece",), None, "ece: Field required"),
        (("per_class", "Acne", "recall"), "0.5", "per_class.Acne.recall: Input should be a valid number"),
        (("risk_coverage", "aurc"), float("nan"), "risk_coverage.aurc: Input should be a finite number"),
        (("intervals", "accuracy"), [0.1], "intervals.accuracy: List should have at least 2 items"),
    ],
)
def test_figures_that_evaluate_would_not_write_are_named(
    carded: tuple[list[str], Path, Path],
    capsys: pytest.CaptureFixture[str],
    path: tuple[str, ...],
    value: object,
    said: str,
) -> None:
    words, figures, card = carded
    before = card.read_text()
    written = json.loads(figures.read_text())
    place = written
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    if value is None:
        del place[path[-1]]
    figures.write_text(json.dumps(written))
    assert main(words) == 1
    assert f"{figures} has figures other than expected ({said}" in capsys.readouterr().err
    assert card.read_text() == before


def test_pictures_without_labels_get_predictions_but_no_figures(
    opinionated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder := tmp_path / "mine").mkdir()
    for name in ("b.png", "a.png", "c.png"):
        (folder / name).write_bytes(encode(make_picture(seed=ord(name[0])), "PNG"))
    assert main(command("predict", opinionated, folder, "all", tmp_path / "mine.csv")) == 0
    assert read_csv(tmp_path / "mine.csv")[1] == ["a.png", "b.png", "c.png"]
    assert main(command("evaluate", opinionated, folder, "all", tmp_path)) == 1
    assert "python -m train predict" in capsys.readouterr().err
    assert not (tmp_path / "metrics.json").exists()


def test_a_set_with_some_of_the_classes_is_measured_over_those(opinionated: Path, tmp_path: Path) -> None:
    seven = LABELS[3:20:3] + LABELS[20:21]
    make_image_folder(tmp_path / "seven", {"test": 3}, labels=seven)
    assert main(command("evaluate", opinionated, tmp_path / "seven", "test", tmp_path)) == 0
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert (len(seven), figures["n"]) == (7, 21)
    assert set(figures["per_class"]) == set(seven)
    recalls = [entry["recall"] for entry in figures["per_class"].values()]
    assert figures["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_unreadable_pictures_are_left_out_up_to_the_limit(
    opinionated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows(6, group_size=1)
    rows[4]["image"]["bytes"] = rows[4]["image"]["bytes"][:300]
    write_parquet(tmp_path / "test.parquet", rows)
    assert main(command("evaluate", opinionated, tmp_path, "test", tmp_path)) == 1
    assert "1 of 6 pictures of test are unreadable; at most 1.0% may be" in capsys.readouterr().err
    for name, place in (("evaluate", tmp_path), ("predict", tmp_path / "test.csv")):
        assert main(command(name, opinionated, tmp_path, "test", place, "--max_unreadable=0.2")) == 0
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures["n"] == 5
    assert [entry["id"] for entry in figures["unreadable"]] == ["0-4.jpg"]
    assert read_csv(tmp_path / "test.csv")[1] == ["0-0.jpg", "0-1.jpg", "0-2.jpg", "0-3.jpg", "0-5.jpg"]


def test_an_error_is_one_line_with_a_hint(
    opinionated: Path, drawn_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("evaluate", opinionated, drawn_data / "skin", "tset", tmp_path)) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        f"error: {drawn_data / 'skin'} has no split called 'tset'. Its splits are: test."
    )


def test_an_unknown_option_and_a_missing_one_exit_with_2(
    opinionated: Path, drawn_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = command("evaluate", opinionated, drawn_data / "skin", "test", tmp_path)
    for wrong, word in (([*right, "--colour=red"], "colour"), (right[:1] + right[2:], "checkpoint")):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
        assert word in capsys.readouterr().err
