"""Cross-validation on cached maps: every picture is predicted once, by a fold that has not seen its group."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from datasets_made import make_parquet

from model.labels import LABELS
from train.__main__ import main

THREE = list(LABELS[:3])


def command(data: Path, output: Path, *more: str) -> list[str]:
    words = ["crossval", "--data", str(data), "--output", str(output), "--init", "random", "--labels"]
    words += [json.dumps(THREE), "--backbone", "test_resnet", "--head", "pool", "--input_size", "32"]
    words += ["--train_size", "32", "--trainable", '["layer4.*"]', "--batch_size", "6", "--num_workers", "0"]
    words += ["--epochs", "8", "--backbone_lr", "1e-3", "--head_lr", "3e-3", "--dropout", "0", "--erase", "0"]
    return [*words, "--grayscale", "0", "--color_jitter", "0", "--folds", "3", "--views", "2", *more]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parquet(tmp_path_factory.mktemp("cv") / "data", {"train": 60}, labels=THREE)


def test_every_picture_is_predicted_by_a_fold_that_did_not_train_on_it(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    assert main(command(data, output)) == 0
    result = json.loads((output / "crossval.json").read_text())
    assert result["n"] == 60
    assert sum(fold["n"] for fold in result["by_fold"]) == 60
    assert result["balanced_accuracy"] > 0.6  # chance: 0.33
    low, high = result["intervals"]["balanced_accuracy"]
    assert low <= result["balanced_accuracy"] <= high

    # A finished fold is not trained again: its file decides.
    fold = output / "fold-0.npy"
    np.save(fold, -np.load(fold))
    (output / "crossval.json").unlink()
    assert main(command(data, output)) == 0
    again = json.loads((output / "crossval.json").read_text())
    assert again["by_fold"][1:] == result["by_fold"][1:]
    assert again["by_fold"][0] != result["by_fold"][0]


def test_parts_that_are_no_whole_last_stages_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(data, tmp_path / "all", "--trainable", '["*"]')) == 1
    assert "whole blocks up to the last" in capsys.readouterr().err
    assert (
        main(command(data, tmp_path / "vgg", "--backbone", "vgg11", "--trainable", '["features.18.*"]')) == 1
    )
    assert "needs a timm ResNet" in capsys.readouterr().err
