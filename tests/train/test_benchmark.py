"""Public benchmarks: their protocols, on small drawn data sets in the downloaded layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from conftest import ROOT, encode
from datasets_made import class_picture
from public_made import (
    make_cleaned_fitzpatrick17k,
    make_ddi,
    make_ham10000,
    make_pad_ufes_20,
    make_scin,
)

from model import checkpoint
from model.config import ModelConfig
from model.decision.malignancy import malignant_probability
from model.network import SkinDiseaseNet
from train.__main__ import main
from train.benchmark.fitzpatrick import protocols, read_pictures
from train.benchmark.yardsticks import YARDSTICKS
from train.data.splits import load_split
from train.evaluate.measure import open_checkpoint, predictions_of
from train.probe import Part, probe


def run(name: str, data: Path, weights: Path, output: Path, *more: str) -> dict[str, Any]:
    words = [f"--data={data}", f"--checkpoint={weights}", f"--output={output}", "--device=cpu"]
    assert main(["benchmark", name, *words, *more]) == 0
    return json.loads((output / "metrics.json").read_text(encoding="utf-8"))


def make_fitzpatrick_parquet(folder: Path, *, groups: dict[str, str] | None = None) -> Path:
    """A set like skin22: three splits, two diagnoses of Fitzpatrick17k, and another source with the same."""
    for split, count in (("train", 48), ("validation", 24), ("test", 24)):
        rows = []
        for number in range(count):
            kind, name = number % 2, f"{split}-{number}"
            picture = class_picture(kind, 2, seed=hash_of(name))
            rows.append(
                {
                    "image": {"bytes": encode(picture), "path": f"{name}.jpg"},
                    "label": ("Acne", "Keloid")[kind],
                    "diagnosis": ("acne", "keloid")[kind],
                    "source": "dermnetnz" if number % 8 > 5 else "fitzpatrick17k_ajl",
                    "group": (groups or {}).get(name, name),
                    "skin_type": 1 + number // 2 % 6,
                }
            )
        folder.mkdir(exist_ok=True)
        table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
        table.to_parquet(folder / f"{split}.parquet")
    return folder


def hash_of(name: str) -> int:
    return sum(place * ord(letter) for place, letter in enumerate(name, 1))


def test_the_protocols_of_fitzpatrick17k_train_on_two_skin_types_and_test_on_the_others(
    tmp_path: Path,
) -> None:
    make_cleaned_fitzpatrick17k(tmp_path)
    pictures = read_pictures(str(tmp_path), 0)
    assert pictures.classes == ["acne", "keloid", "vitiligo"]
    parts = protocols(pictures)
    types = np.asarray(pictures.rows["skin_type"])
    assert [len(rows) for rows in parts["random"]] == [108, 36, 36]
    assert {
        name: [sorted(set(types[rows])) for rows in part] for name, part in parts.items() if name != "random"
    } == {
        "I-II": [[1, 2], [1, 2], [3, 4, 5, 6]],
        "III-IV": [[3, 4], [3, 4], [1, 2, 5, 6]],
        "V-VI": [[5, 6], [5, 6], [1, 2, 3, 4]],
    }
    # All of the own types is used (the test part to train on), and all of the others is tested.
    assert [len(rows) for rows in parts["I-II"]] == [48, 12, 120]
    assert set(pictures.split[parts["I-II"].validation]) == {"validation"}


def test_a_diagnosis_that_one_part_lacks_and_a_group_on_both_sides_are_left_out(tmp_path: Path) -> None:
    ours = {"train-2": "twins", "test-8": "twins", "test-10": "alone"}  # of types 2, 5 and 6
    make_fitzpatrick_parquet(tmp_path, groups=ours)
    pictures = read_pictures(str(tmp_path), 0)
    assert set(pictures.rows["source"]) == {"fitzpatrick17k_ajl"}
    tested = {pictures.rows["id"][int(row)] for row in protocols(pictures)["I-II"].test}
    assert "test-10.jpg" in tested
    assert "test-8.jpg" not in tested
    lacking = pictures._replace(targets=np.where(pictures.split == "validation", 0, pictures.targets))
    assert "I-II" not in protocols(lacking)


def test_without_a_partition_a_tenth_validates_and_a_fifth_tests_and_no_group_is_divided(
    tmp_path: Path,
) -> None:
    make_cleaned_fitzpatrick17k(tmp_path)
    pictures = read_pictures(str(tmp_path), 0)
    groups = np.asarray([name[:6] for name in pictures.rows["id"]])  # pairs
    rows = pictures.rows.remove_columns("group").add_column("group", list(groups))
    drawn = protocols(pictures._replace(split=np.full(len(groups), "train"), rows=rows))["random"]
    assert sorted(np.concatenate(drawn)) == list(range(180))
    assert [len(part) for part in drawn] == pytest.approx([126, 18, 36], abs=6)
    assert not set(groups[drawn.train]) & set(groups[drawn.test])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("fitzpatrick")
    data = make_fitzpatrick_parquet(folder / "data")
    return folder, run(
        "fitzpatrick17k", data, tiny_checkpoint, folder / "out", f"--splits={folder / 'splits'}"
    )


def test_a_probe_measures_each_protocol_of_fitzpatrick17k(measured: tuple[Path, dict[str, Any]]) -> None:
    metrics = measured[1]
    assert (metrics["classes"], metrics["classes_of_protocol"]) == (["acne", "keloid"], 114)
    assert list(metrics["protocols"]) == ["random", "I-II", "III-IV", "V-VI"]
    random, own = metrics["protocols"]["random"], metrics["protocols"]["I-II"]
    assert (random["train"], random["validation"], random["test"]) == (36, 18, 18)
    assert random["accuracy"] > 0.9  # the colour tells the class; chance has 0.5
    assert set(own["by_skin_type"]) == {"3", "4", "5", "6"}
    assert own["test"] == sum(part["n"] for part in own["by_skin_type"].values())
    assert own["outside_train"]["n"] < own["test"]
    assert random["outside_train"]["n"] == random["test"]
    assert metrics["table"][0]["value"] == random["accuracy"]


def test_a_killed_probe_goes_on_with_the_features_that_it_has(
    measured: tuple[Path, dict[str, Any]], tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, metrics = measured
    (stored,) = (folder / "out").glob("features-*.npy")
    features = np.load(stored)
    again = run("fitzpatrick17k", folder / "data", tiny_checkpoint, folder / "out")
    assert again == metrics
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "| Benchmark | Weights | n | Measure | Value |"
    assert table[2].startswith("| Fitzpatrick17k, random, 2 classes | tiny | 18 | accuracy | ")
    np.save(stored, np.random.default_rng(0).normal(size=features.shape).astype(np.float32))
    assert run("fitzpatrick17k", folder / "data", tiny_checkpoint, folder / "out") != metrics
    np.save(stored, features)


def test_the_parts_can_be_trained_on_and_evaluated(
    measured: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, metrics = measured
    for protocol, part in metrics["protocols"].items():
        own = folder / "splits" / protocol
        for split in ("train", "validation", "test"):
            rows = load_split([str(own)], split, labels=["acne", "keloid"])
            assert len(rows) == part[split]
            assert [("acne", "keloid")[label] for label in rows["label"]] == list(rows["diagnosis"])
    own = folder / "splits" / "V-VI"
    words = [
        "fit",
        "--config",
        str(own / "labels.yaml"),
        "--data",
        str(own),
        "--init",
        "random",
        "--epochs",
        "1",
    ]
    words += ["--backbone", "test_resnet", "--head", "pool", "--input_size", "32", "--train_size", "32"]
    words += ["--batch_size", "8", "--num_workers", "0", "--output", str(tmp_path / "run"), "--device", "cpu"]
    assert main(words) == 0
    saved = tmp_path / "run" / "checkpoint"
    words = ["evaluate", "--checkpoint", str(saved), "--data", str(own), "--split", "test", "--device", "cpu"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    assert (
        json.loads((tmp_path / "out" / "metrics.json").read_text())["n"]
        == metrics["protocols"]["V-VI"]["test"]
    )


def test_pad_ufes_20_is_probed_in_five_folds_by_patient(tmp_path: Path, tiny_checkpoint: Path) -> None:
    make_pad_ufes_20(tmp_path / "data", patients=60)
    metrics = run("pad_ufes_20", tmp_path / "data", tiny_checkpoint, tmp_path / "out")
    assert (metrics["n"], metrics["patients"]) == (62, 60)
    assert len(metrics["balanced_accuracy_by_fold"]) == len(metrics["strengths"]) == 5
    assert metrics["balanced_accuracy"] > 0.6  # the colour tells the class; chance has 0.17
    low, high = metrics["intervals"]["balanced_accuracy"]
    assert low <= metrics["balanced_accuracy"] <= high
    assert sum(part["n"] for part in metrics["by_skin_type"].values()) == 60
    assert metrics["table"] == [
        {
            "what": "PAD-UFES-20, 5 folds by patient",
            "n": 62,
            "metric": "balanced accuracy",
            "value": metrics["balanced_accuracy"],
            "interval": [low, high],
        }
    ]


def test_ddi_tells_malignant_from_benign_by_skin_tone(tmp_path: Path, tiny_checkpoint: Path) -> None:
    make_ddi(tmp_path / "data", per_tone=24)
    metrics = run("ddi", tmp_path / "data", tiny_checkpoint, tmp_path / "out")
    by_tone = metrics["by_skin_tone"]
    assert {name: (own["n"], own["ours"]) for name, own in by_tone.items()} == {
        "all": (72, 36),
        "I-II": (24, 12),
        "III-IV": (24, 12),
        "V-VI": (24, 12),
    }
    loaded = open_checkpoint(str(tiny_checkpoint), "cpu")
    rows = load_split([str(tmp_path / "data")], "test", labels=("benign", "malignant"))
    scores = malignant_probability(predictions_of(loaded, rows).probabilities, loaded.config)
    dark, ill = np.arange(72) >= 48, np.asarray(rows["label"]) == 1
    pairs = np.sign(scores[dark & ill][:, None] - scores[dark & ~ill][None])
    assert by_tone["V-VI"]["auroc"] == pytest.approx((1 + pairs.mean()) / 2)
    assert by_tone["V-VI"]["sensitivity"]["share"] == pytest.approx(
        (scores[dark & ill] >= loaded.config.malignant_from).mean()
    )
    assert [line["metric"] for line in metrics["table"]] == ["AUROC, malignant"] * 4


def test_a_case_of_scin_counts_once_whatever_its_number_of_pictures(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    make_scin(tmp_path / "data", cases=70)
    metrics = run("scin", tmp_path / "data", tiny_checkpoint, tmp_path / "out")
    assert (metrics["cases"], metrics["cases_left_out"], metrics["pictures"]) == (69, 0, 138)
    assert metrics["classes"] == ["Eczema", "Psoriasis", "Tinea"]
    assert metrics["accuracy"] > 0.8  # the colour tells the condition; chance has 0.33
    # Right answers weigh 0.75 and a second condition 0.25.
    assert 0.5 < metrics["weighted_accuracy"] <= 0.75
    assert metrics["top3_accuracy"] == 1
    assert {name: own["n"] for name, own in metrics["by_efst"].items()} == {
        "I-II": 24,
        "III-IV": 23,
        "V-VI": 22,
    }
    assert sum(own["n"] for own in metrics["by_emst"].values()) == 69


def test_labels_are_learned_by_their_weights() -> None:
    features = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    targets = np.tile([0.7, 0.3], (300, 1))
    thirds = np.array_split(np.arange(300), 3)
    probabilities = probe(features, targets, Part(*thirds), what="made").probabilities
    assert probabilities.mean(axis=0) == pytest.approx([0.7, 0.3], abs=0.02)


def test_what_does_not_fit_is_explained(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_ddi(tmp_path / "ddi")
    make_scin(tmp_path / "scin")
    make_ham10000(tmp_path / "ham")
    torch.manual_seed(0)
    config = ModelConfig(labels=("Acne", "Rosacea"), backbone="test_resnet", head="pool", input_size=32)
    checkpoint.save(tmp_path / "mild", SkinDiseaseNet(config), config, card="# Mild\n")
    for name, data, weights, more, problem in (
        ("pad_ufes_20", "ddi", tiny_checkpoint, (), "is DDI (Diverse Dermatology Images); PAD-UFES-20 as it"),
        ("ddi", "ham", tiny_checkpoint, (), "is none of the sets that are for testing; DDI as it"),
        ("ddi", "ddi", "random", (), "random is not a checkpoint"),
        ("ddi", "ddi", tmp_path / "mild", (), "None of the labels of"),
        ("scin", "scin", tiny_checkpoint, (), "0 conditions lead in 20 cases or more"),
        ("fitzpatrick17k", "ham", tiny_checkpoint, (), "has no picture of Fitzpatrick17k"),
        ("ddi", "ddi", tiny_checkpoint, ("--splits=x",), "--splits was given for ddi"),
    ):
        words = [f"--data={tmp_path / data}", f"--checkpoint={weights}", f"--output={tmp_path / 'out'}"]
        assert main(["benchmark", name, *words, "--device=cpu", *more]) == 1
        assert problem in capsys.readouterr().err


def test_each_yardstick_has_a_command_in_the_documentation() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in YARDSTICKS:
        assert f"python -m train benchmark {name} " in text
