"""A checkpoint with opinions, pictures for it, and the commands that measure it."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import torch
from conftest import encode, make_picture
from datasets_made import class_picture, make_rows, write_parquet

from app.prediction import Prediction
from app.predictor import Predictor
from model import checkpoint
from model.decision.ood import DETECTOR
from model.decision.rejection import max_probability, normalized_entropy
from train.calibrate.ood_detector import candidates
from train.data.splits import load_split
from train.inference import predict_rows
from train.predictions import Predictions

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


def write_data(folder: Path) -> Path:
    """``skin`` with the split test, and ``ood`` with the split holdout and no labels."""
    write_parquet(folder / "skin" / "test-00000-of-00001.parquet", ROWS)
    write_parquet(folder / "ood" / "holdout-00000-of-00001.parquet", OTHERS, columns=("image", "source"))
    return folder


def middle(values: np.ndarray) -> float:
    """A number in the widest gap of the values' middle third, so that no rounding decides a side."""
    third = len(values) // 3
    rising = np.sort(values)[third : 2 * third]
    gap = int(np.diff(rising).argmax())
    return float(rising[gap : gap + 2].mean())


def make_opinionated(tiny_checkpoint: Path, data: Path, folder: Path) -> Path:
    """The tiny checkpoint with logits spread over the classes, and thresholds that reject about half."""
    loaded = checkpoint.load(tiny_checkpoint)
    rows = load_split([str(data / "skin")], "test", labels=None)

    def told() -> Predictions:
        return predict_rows(
            loaded.network, rows, loaded.config, device=torch.device("cpu"), what="test", num_workers=0
        )

    first, classifier = told().logits, loaded.network.head.classifier
    with torch.no_grad():
        scale = torch.from_numpy(2 / first.std(axis=0)).float()
        classifier.weight *= scale[:, None]
        classifier.bias.sub_(torch.from_numpy(first.mean(axis=0)).float()).mul_(scale)
    predictions = told().at_temperature(2.0)
    probabilities = predictions.probabilities
    named = candidates(predictions.features.astype(np.float64), predictions.targets)
    detector = next(found for found in named if found.name == "distance to the mean")
    rising = np.sort(detector.score(predictions.features))
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
    checkpoint.save(folder, loaded.network, config, card="# Opinionated\n", detector=detector)
    return folder


def command(name: str, checkpoint: Path, data: Path, split: str, output: Path, *more: str) -> list[str]:
    options = {"checkpoint": checkpoint, "data": data, "split": split, "output": output, "device": "cpu"}
    return [name, *(f"--{option}={value}" for option, value in options.items()), *more]


def read_csv(file: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Header, ids and probabilities."""
    with open(file, newline="", encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    return header, [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=float)


def answers(opinionated: Path) -> dict[str, list[Prediction]]:
    """What the predictor says to the same bytes."""
    predictor = Predictor.from_checkpoint(str(opinionated), device="cpu")
    return {
        name: [predictor.predict(row["image"]["bytes"]) for row in rows]
        for name, rows in (("skin", ROWS), ("ood", OTHERS))
    }
