"""Training runs of a few seconds, and what they leave behind."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import torch

from model.labels import LABELS
from train.config import TrainConfig
from train.run_folder import STATE, read

SIX = list(LABELS[:6])


def options(data: Path, output: Path, **changes: object) -> TrainConfig:
    """A run of a few seconds."""
    small = TrainConfig(
        data=[str(data)],
        output=str(output),
        init="random",
        labels=SIX,
        backbone="test_resnet",
        head="pool",
        hidden_size=8,
        dropout=0.0,
        input_size=32,
        train_size=32,
        trainable=["*"],
        epochs=1,
        batch_size=8,
        num_workers=0,
        device="cpu",
        head_lr=3e-3,
        backbone_lr=1e-3,
    )
    return dataclasses.replace(small, **changes)  # type: ignore[arg-type]


def command(config: TrainConfig, *more: str) -> list[str]:
    words = [sys.executable, "-m", "train", "fit"]
    for name, value in dataclasses.asdict(config).items():
        if name == "resume":
            continue
        if name == "data":
            words += ["--data", *value]
        else:
            words += [f"--{name}", json.dumps(value) if isinstance(value, (list, bool)) else str(value)]
    return [*words, *more]


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Of the network, and those of the auxiliary layer, where there is one, as ``diagnosis.*``."""
    return {name.removeprefix("network."): value for name, value in read(run / STATE)["learner"].items()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor], *, tolerance: float = 0.0) -> bool:
    return left.keys() == right.keys() and all(
        torch.allclose(left[name].double(), right[name].double(), rtol=0, atol=tolerance) for name in left
    )
