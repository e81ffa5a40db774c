"""The commands evaluate, predict and ood: their files agree with each other and with the predictor."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, encode, make_picture
from datasets_made import class_picture, make_image_folder, make_parquet, make_rows, write_parquet
from sklearn.metrics import confusion_matrix

from app.predictor import Predictor
from model import checkpoint
from model.calibration import softmax
from model.config import ModelConfig
from model.detector import DETECTOR
from model.labels import DERMOSCOPY, LABELS, NO_CONDITION
from model.network import SkinDiseaseNet
from model.rejection import max_probability, normalized_entropy
from train.__main__ import main
from train.data import load_split
from train.detectors import candidates
from train.inference import Outputs, predict_outputs

SCORES = {
    "max_probability",
    "normalized_entropy",
    "dual_criterion",
    "dual_criterion_or_unknown",
    "unusualness",
    "all_criteria",
    "all_criteria_or_unknown",
    "unusualness_and_unknown",
}
PUBLISHED = {"energy", "mahalanobis", "vim", "knn"}
ROWS = make_rows(48, group_size=1)
for number in range(0, 48, 4):  # large photos are decoded at a fraction of their size
    ROWS[number]["image"]["bytes"] = encode(class_picture(number % 22, 22, seed=number, side=700))
OTHERS = [
    {
        "image": {"bytes": encode(make_picture(120, 90, seed=seed), "PNG"), "path": None},
        "source": ("textures", "objects")[seed % 2],
    }
    for seed in range(15)
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``skin`` with the split test, and ``ood`` with the split holdout and no labels."""
    folder = tmp_path_factory.mktemp("data")
    write_parquet(folder / "skin" / "test-00000-of-00001.parquet", ROWS)
    write_parquet(folder / "ood" / "holdout-00000-of-00001.parquet", OTHERS, columns=("image", "source"))
    return folder


def middle(values: np.ndarray) -> float:
    """A number in the widest gap of the values' middle third, so that no rounding decides a side."""
    third = len(values) // 3
    rising = np.sort(values)[third : 2 * third]
    gap = int(np.diff(rising).argmax())
    return float(rising[gap : gap + 2].mean())


@pytest.fixture(scope="module")
def opinionated(tiny_checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with logits spread over the classes, and thresholds that reject about half."""
    loaded = checkpoint.load(tiny_checkpoint)
    rows = load_split([str(data / "skin")], "test", labels=None)

    def outputs() -> Outputs:
        return predict_outputs(
            loaded.network, rows, loaded.config, device=torch.device("cpu"), what="test", num_workers=0
        )

    first, classifier = outputs().logits, loaded.network.head.classifier
    with torch.no_grad():
        scale = torch.from_numpy(2 / first.std(axis=0)).float()
        classifier.weight *= scale[:, None]
        classifier.bias.sub_(torch.from_numpy(first.mean(axis=0)).float()).mul_(scale)
    told = outputs()
    probabilities = softmax(told.logits, 2.0)
    named = candidates(told.features.astype(np.float64), np.asarray(rows["label"]))
    detector = next(found for found in named if found.name == "distance to the mean")
    rising = np.sort(detector.score(told.features))
    between = (rising[1:] + rising[:-1]) / 2  # so that no rounding decides how many are less unusual
    detector = dataclasses.replace(detector, reference=between)
    config = dataclasses.replace(
        loaded.config,
        temperature=2.0,
        min_max_probability=middle(max_probability(probabilities)),
        max_normalized_entropy=middle(normalized_entropy(probabilities)),
        detector=DETECTOR,
        max_unusualness=0.85,
        set_quantile=1 - middle(np.sort(probabilities, axis=1)[:, -2]),
    )
    folder = tmp_path_factory.mktemp("opinionated") / "opinionated"
    checkpoint.save(folder, loaded.network, config, card="# Opinionated\n", detector=detector)
    return folder


def command(name: str, checkpoint: Path, data: Path, split: str, output: Path, *more: str) -> list[str]:
    options = {"checkpoint": checkpoint, "data": data, "split": split, "output": output, "device": "cpu"}
    return [name, *(f"--{option}={value}" for option, value in options.items()), *more]


def train_process(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "train", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def read_csv(file: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Header, ids and probabilities."""
    with open(file, newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    return header, [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=float)


@pytest.fixture(scope="module")
def outputs(opinionated: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the three commands write, each run as a user would run it."""
    out = tmp_path_factory.mktemp("outputs")
    for name, place, more in (
        ("evaluate", out / "figures" / "new", []),
        ("predict", out / "tables" / "test.csv", []),
        ("ood", out / "ood", [f"--ood={data / 'ood'}", f"--fit_data={data / 'skin'}", "--fit_split=test"]),
    ):
        done = train_process(command(name, opinionated, data / "skin", "test", place, *more))
        assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def answers(opinionated: Path) -> dict[str, list[Any]]:
    """What the predictor says to the same bytes."""
    predictor = Predictor.from_checkpoint(str(opinionated), device="cpu")
    return {
        name: [predictor.predict(row["image"]["bytes"]) for row in rows]
        for name, rows in (("skin", ROWS), ("ood", OTHERS))
    }


def test_predict_writes_an_id_and_one_probability_a_label(outputs: Path) -> None:
    header, ids, probabilities = read_csv(outputs / "tables" / "test.csv")
    assert header == ["id", *LABELS]
    assert ids == [row["image"]["path"] for row in ROWS]
    assert probabilities.shape == (48, 22)
    assert (probabilities >= 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(48), abs=1e-4)
    assert len(set(probabilities.argmax(axis=1))) > 4  # or the comparisons below would say little


def test_predict_agrees_with_the_predictor(outputs: Path, answers: dict[str, list[Any]]) -> None:
    _, _, probabilities = read_csv(outputs / "tables" / "test.csv")
    for row, answer in zip(probabilities, answers["skin"], strict=True):
        told = {ranked.name: ranked.probability for ranked in answer.conditions}
        assert row == pytest.approx([told[name] for name in LABELS], abs=1e-4)


def test_evaluate_agrees_with_the_probabilities_and_labels(
    outputs: Path, opinionated: Path, answers: dict[str, list[Any]]
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
    rejected = np.array([answer.verdict == "rejected" for answer in answers["skin"]])
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


def test_the_curves_agree_with_the_predictors_answers(outputs: Path, answers: dict[str, list[Any]]) -> None:
    figures = json.loads((outputs / "figures" / "new" / "metrics.json").read_text())
    assert sum(entry["n"] for entry in figures["reliability"]["bins"]) == 48
    assert figures["reliability"]["ece"] == figures["ece"] != figures["reliability"]["ece_uncalibrated"]
    assert figures["risk_coverage"]["coverage"][-1] == 1.0
    assert figures["risk_coverage"]["risk"][-1] == pytest.approx(1 - figures["accuracy"])
    assert len(figures["decision_curve"]["net_benefit"]) == len(figures["decision_curve"]["thresholds"])

    told = [(answer.prediction_set, row["label"]) for answer, row in zip(answers["skin"], ROWS, strict=True)]
    given = [(names, label) for names, label in told if names is not None]
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


def test_ood_has_the_promised_shape(outputs: Path) -> None:
    result = json.loads((outputs / "ood" / "ood.json").read_text())
    assert set(result) >= {"skin", "sources", "detectors"}
    assert set(result["sources"]) == {"textures", "objects"}
    assert set(result["detectors"]) == SCORES | PUBLISHED
    assert result["fitted_on"] == {"data": "skin", "split": "test", "n": result["skin"]["n"]}
    for name, figures in result["detectors"].items():
        mean = np.mean([figures["textures"]["auroc"], figures["objects"]["auroc"]])
        assert result["mean_auroc"][name] == pytest.approx(mean)
    for detector in result["detectors"].values():
        assert set(detector) == {"textures", "objects"}
        assert all(set(figures) == {"auroc", "fpr95"} for figures in detector.values())


def test_detected_agrees_with_the_predictors_verdicts(outputs: Path, answers: dict[str, list[Any]]) -> None:
    result = json.loads((outputs / "ood" / "ood.json").read_text())
    turned_away = {
        name: np.array([answer.verdict in ("rejected", "no_condition") for answer in told])
        for name, told in answers.items()
    }
    skin = np.array([row["label"] != NO_CONDITION for row in ROWS])
    assert 0 < skin.sum() < 48
    rejected = {
        name: np.array([answer.verdict == "rejected" for answer in told]) for name, told in answers.items()
    }
    assert result["skin"] == {
        "n": skin.sum(),
        "rejected": rejected["skin"][skin].sum(),
        "detected": turned_away["skin"][skin].sum(),
    }
    assert 0 < result["skin"]["detected"] < skin.sum()
    assert {answer.verdict for answer in answers["skin"]} >= {"rejected", "no_condition", "condition"}
    for name in ("textures", "objects"):
        ours = np.array([row["source"] == name for row in OTHERS])
        assert result["sources"][name] == {
            "n": ours.sum(),
            "rejected": rejected["ood"][ours].sum(),
            "detected": turned_away["ood"][ours].sum(),
        }


CRITERIA = (("max_probability", -1), ("normalized_entropy", 1), ("unusualness", 1))


def test_detectors_agree_with_the_predictors_criteria(outputs: Path, answers: dict[str, list[Any]]) -> None:
    detectors = json.loads((outputs / "ood" / "ood.json").read_text())["detectors"]
    skin_rows = [row["label"] != NO_CONDITION for row in ROWS]
    for number, (criterion, sign) in enumerate(CRITERIA):
        skin, other = (
            np.array([sign * answer.criteria[number].value for answer in answers[name]])
            for name in ("skin", "ood")
        )
        skin = skin[skin_rows]
        threshold = min(value for value in skin if (skin <= value).mean() >= 0.95)
        for name in ("textures", "objects"):
            ours = other[[row["source"] == name for row in OTHERS]]
            figures = detectors[criterion][name]
            pairs = (ours[:, None] > skin) + 0.5 * (ours[:, None] == skin)
            assert figures["auroc"] == pytest.approx(pairs.mean(), abs=0.01)
            assert figures["fpr95"] == pytest.approx((ours <= threshold).mean())


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


def test_a_checkpoint_of_other_labels_is_measured_the_same_way(data: Path, tmp_path: Path) -> None:
    """Seven dermoscopy labels, none of which means healthy skin."""
    labels = tuple(entry.name for entry in DERMOSCOPY)
    config = ModelConfig(labels=labels, backbone="resnet18", head="pool", input_size=64)
    checkpoint.save(tmp_path / "seven", SkinDiseaseNet(config), config, card="# Seven\n")
    make_parquet(tmp_path / "isic", {"train": 14}, labels=labels, columns=("image", "label", "lesion_id"))
    arguments = command("ood", tmp_path / "seven", tmp_path / "isic", "train", tmp_path)
    assert main([*arguments, f"--ood={data / 'ood'}"]) == 0
    result = json.loads((tmp_path / "ood.json").read_text())
    assert result["skin"] == {"n": 14, "rejected": 0, "detected": 0}
    assert {name: entry["n"] for name, entry in result["sources"].items()} == {"objects": 7, "textures": 8}


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


def test_an_error_is_one_line_with_a_hint(opinionated: Path, data: Path, tmp_path: Path) -> None:
    done = train_process(command("evaluate", opinionated, data / "skin", "tset", tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        f"error: {data / 'skin'} has no split called 'tset'. Its splits are: test."
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("wrong", ["checkpoint", "data", "ood"])
def test_a_folder_that_is_not_there_is_named(
    opinionated: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    places = {"checkpoint": opinionated, "data": data / "skin", "ood": data / "ood"}
    places[wrong] = tmp_path / "nowhere"
    arguments = command("ood", places["checkpoint"], places["data"], "test", tmp_path)
    assert main([*arguments, f"--ood={places['ood']}"]) == 1
    said = capsys.readouterr().err
    assert "error: " in said
    assert str(tmp_path / "nowhere") in said


def test_an_unknown_option_and_a_missing_one_exit_with_2(
    opinionated: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = command("evaluate", opinionated, data / "skin", "test", tmp_path)
    for wrong, word in (([*right, "--colour=red"], "colour"), (right[:1] + right[2:], "checkpoint")):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
        assert word in capsys.readouterr().err


def test_without_pytorch_ood_the_published_detectors_are_asked_for_in_vain(
    opinionated: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_ood", None)
    words = [*command("ood", opinionated, data / "skin", "test", tmp_path), f"--ood={data / 'ood'}"]
    assert main([*words, f"--fit_data={data / 'skin'}"]) == 1
    assert "requirements-eval.txt" in capsys.readouterr().err
    assert main([*words, "--max_pictures=4"]) == 0
    result = json.loads((tmp_path / "ood.json").read_text())
    assert set(result["detectors"]) == SCORES
    assert sum(source["n"] for source in result["sources"].values()) == 4
