"""An ablation: rows from a plan, each measured once, and a table from the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from datasets_made import make_rows, write_parquet

from model.labels import LABELS, NO_CONDITION
from train.__main__ import main

LABELS_HERE = [*LABELS[:3], NO_CONDITION]
RECIPE = {
    "labels": LABELS_HERE,
    "backbone": "test_resnet",
    "head": "pool",
    "trainable": ["layer4.*"],
    "input_size": 32,
    "train_size": 32,
    "epochs": 6,
    "batch_size": 8,
    "head_lr": 3e-3,
    "dropout": 0.0,
    "erase": 0.0,
    "grayscale": 0.0,
    "color_jitter": 0.0,
    "num_workers": 0,
}
PLAN = {
    "text": "What was asked.",
    "views": 2,
    "not_skin": ["atlas"],
    "options": RECIPE,
    "sections": [
        {"title": "Loss", "rows": {"plain": {}, "smooth": {"label_smoothing": 0.1}}, "seeds": [0, 1]},
        {
            "title": "Elsewhere",
            "rows": {"plain": {"diagnosis_weight": 0.3}},
            "leave_out": ["clinic", "atlas"],
        },
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ablation")
    for seed, (split, count) in enumerate({"train": 64, "validation": 32, "test": 32}.items()):
        rows = make_rows(count, labels=LABELS_HERE, seed=seed)
        columns = ("image", "label", "source", "group", "diagnosis")
        write_parquet(folder / f"{split}.parquet", rows, columns=columns, names=LABELS_HERE)
    return folder


def ablate(folder: Path, data: Path, *more: str, **changes: object) -> str:
    plan = folder / "plan.yaml"
    plan.write_text(yaml.safe_dump(PLAN | changes))
    words = ["ablate", "--plan", str(plan), "--data", str(data), "--init", "random"]
    words += [
        "--output",
        str(folder / "runs"),
        "--maps",
        str(folder / "maps"),
        "--report",
        str(folder / "table.md"),
        *more,
    ]
    assert main(words) == 0
    return (folder / "table.md").read_text()


def test_rows_are_measured_once_and_stand_in_the_table(data: Path, tmp_path: Path) -> None:
    first = ablate(tmp_path, data, "--only", "Loss/plain")
    assert "What was asked." in first
    assert "Not measured yet: smooth." in first
    assert first.count("Not measured yet") == 2  # the row, and the whole section that leaves sources out

    figures = json.loads((tmp_path / "runs" / "loss-plain-0.json").read_text())
    assert figures["validation"]["all"]["n"] == 32
    assert figures["validation"]["all"]["balanced_accuracy"] > 0.6  # chance: 0.25
    assert set(figures["validation"]) == {"all", "clinic", "atlas"}
    assert figures["validation"]["clinic"]["n"] == 12  # a quarter shows no condition

    changed = tmp_path / "runs" / "loss-plain-0.json"
    figures["validation"]["all"]["balanced_accuracy"] = 0.123
    changed.write_text(json.dumps(figures))
    other = json.loads((tmp_path / "runs" / "loss-plain-1.json").read_text())
    whole = ablate(tmp_path, data)
    assert "Not measured yet" not in whole
    low, high = sorted([0.123, other["validation"]["all"]["balanced_accuracy"]])
    assert f"({low:.3f} to {high:.3f})" in whole


def test_without_pictures_that_are_not_skin_nothing_is_said_of_them(data: Path, tmp_path: Path) -> None:
    table = ablate(tmp_path, data, "--only", "Loss/plain", not_skin=[])
    figures = json.loads((tmp_path / "runs" / "loss-plain-0.json").read_text())
    assert figures["rejection"] == {"auroc": None, "fpr95": None}
    assert "| – | 2 |" in table


def test_a_left_out_source_is_not_trained_on(data: Path, tmp_path: Path) -> None:
    ablate(tmp_path, data, "--only", "Elsewhere")
    figures = json.loads((tmp_path / "runs" / "elsewhere-plain-0.json").read_text())
    assert [row["source"] for row in figures["rows"]] == ["clinic", "atlas"]
    assert [row["n"] for row in figures["rows"]] == [16, 16]
    assert figures["mean"] == pytest.approx(sum(row["balanced_accuracy"] for row in figures["rows"]) / 2)
    assert all(
        row["interval"][0] <= row["balanced_accuracy"] <= row["interval"][1] for row in figures["rows"]
    )


def test_a_plan_that_is_none_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("sections: [{titel: Loss}]")
    words = ["ablate", "--plan", str(plan), "--data", str(data), "--init", "random"]
    words += ["--output", str(tmp_path), "--maps", str(tmp_path)]
    assert main([*words, "--report", str(tmp_path / "table.md")]) == 1
    assert "is not a valid plan" in capsys.readouterr().err
