"""The command ood: its figures agree with the predictor's verdicts and criteria."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets_made import make_parquet
from opinionated import OTHERS, ROWS, command

from app.prediction import Prediction
from model import checkpoint
from model.config import ModelConfig
from model.labels import DERMOSCOPY, NO_CONDITION
from model.network import SkinDiseaseNet
from train.__main__ import main

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


@pytest.fixture(scope="module")
def result(opinionated: Path, drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command writes."""
    folder = tmp_path_factory.mktemp("outputs")
    more = [f"--ood={drawn_data / 'ood'}", f"--fit_data={drawn_data / 'skin'}", "--fit_split=test"]
    assert main(command("ood", opinionated, drawn_data / "skin", "test", folder, *more)) == 0
    return json.loads((folder / "ood.json").read_text())


def test_ood_has_the_promised_shape(result: dict[str, Any]) -> None:
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


def test_detected_agrees_with_the_predictors_verdicts(
    result: dict[str, Any], told: dict[str, list[Prediction]]
) -> None:
    detected = {
        name: np.array([answer.verdict in ("rejected", "no_condition") for answer in given])
        for name, given in told.items()
    }
    skin = np.array([row["label"] != NO_CONDITION for row in ROWS])
    assert 0 < skin.sum() < 48
    rejected = {
        name: np.array([answer.verdict == "rejected" for answer in given]) for name, given in told.items()
    }
    assert result["skin"] == {
        "n": skin.sum(),
        "rejected": rejected["skin"][skin].sum(),
        "detected": detected["skin"][skin].sum(),
    }
    assert 0 < result["skin"]["detected"] < skin.sum()
    assert {answer.verdict for answer in told["skin"]} >= {"rejected", "no_condition", "condition"}
    for name in ("textures", "objects"):
        ours = np.array([row["source"] == name for row in OTHERS])
        assert result["sources"][name] == {
            "n": ours.sum(),
            "rejected": rejected["ood"][ours].sum(),
            "detected": detected["ood"][ours].sum(),
        }


CRITERIA = (("max_probability", -1), ("normalized_entropy", 1), ("unusualness", 1))


def test_detectors_agree_with_the_predictors_criteria(
    result: dict[str, Any], told: dict[str, list[Prediction]]
) -> None:
    detectors = result["detectors"]
    skin_rows = [row["label"] != NO_CONDITION for row in ROWS]
    for number, (criterion, sign) in enumerate(CRITERIA):
        skin, other = (
            np.array([sign * answer.criteria[number].value for answer in told[name]])
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


def test_a_checkpoint_of_other_labels_is_measured_the_same_way(drawn_data: Path, tmp_path: Path) -> None:
    """Seven dermoscopy labels, none of which means healthy skin."""
    labels = tuple(entry.name for entry in DERMOSCOPY)
    config = ModelConfig(labels=labels, backbone="test_resnet", head="pool", input_size=64)
    checkpoint.save(tmp_path / "seven", SkinDiseaseNet(config), config, card="# Seven\n")
    make_parquet(tmp_path / "isic", {"train": 14}, labels=labels, columns=("image", "label", "lesion_id"))
    arguments = command("ood", tmp_path / "seven", tmp_path / "isic", "train", tmp_path)
    assert main([*arguments, f"--ood={drawn_data / 'ood'}"]) == 0
    result = json.loads((tmp_path / "ood.json").read_text())
    assert result["skin"] == {"n": 14, "rejected": 0, "detected": 0}
    assert {name: entry["n"] for name, entry in result["sources"].items()} == {"objects": 7, "textures": 8}


@pytest.mark.parametrize("wrong", ["checkpoint", "data", "ood"])
def test_a_folder_that_is_not_there_is_named(
    opinionated: Path, drawn_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    places = {"checkpoint": opinionated, "data": drawn_data / "skin", "ood": drawn_data / "ood"}
    places[wrong] = tmp_path / "nowhere"
    arguments = command("ood", places["checkpoint"], places["data"], "test", tmp_path)
    assert main([*arguments, f"--ood={places['ood']}"]) == 1
    said = capsys.readouterr().err
    assert "error: " in said
    assert str(tmp_path / "nowhere") in said


def test_without_pytorch_ood_the_published_detectors_are_asked_for_in_vain(
    opinionated: Path,
    drawn_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_ood", None)
    words = [
        *command("ood", opinionated, drawn_data / "skin", "test", tmp_path),
        f"--ood={drawn_data / 'ood'}",
    ]
    assert main([*words, f"--fit_data={drawn_data / 'skin'}"]) == 1
    assert "requirements-eval.txt" in capsys.readouterr().err
    assert main([*words, "--max_pictures=4"]) == 0
    result = json.loads((tmp_path / "ood.json").read_text())
    assert set(result["detectors"]) == SCORES
    assert sum(source["n"] for source in result["sources"].values()) == 4
