"""A run's folder: what is needed to go on after a kill, and what the run has measured so far."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch

from model.errors import ConfigError
from train.config import FREE_ON_RESUME, TrainConfig

STATE, BEST, LOG, CONFIG = "state.pt", "best.pt", "epochs.jsonl", "train_config.json"


@dataclasses.dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: the epoch in hand, from 0. step: steps of it that are done.
        loss_sum: sum of the losses of those steps.
        best: best validation balanced accuracy so far. best_epoch: when (-1: never).
        history: one entry a finished epoch.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = -1.0
    best_epoch: int = -1
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def exhausted(self, config: TrainConfig) -> bool:
        """Whether all epochs are done, or too many in a row have brought nothing better."""
        return self.epoch >= config.epochs or (
            self.best_epoch >= 0 and self.epoch - 1 - self.best_epoch >= config.patience
        )


def write_atomically(path: Path, content: Any) -> None:
    """Saves an object with ``torch.save`` beside its place and moves it there, so no kill can spoil it."""
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def read(path: Path) -> Any:
    """Reads what ``write_atomically`` wrote, tensors and plain values only."""
    return torch.load(path, map_location="cpu", weights_only=True)


def open_run(config: TrainConfig) -> Path:
    """Makes the run's folder, or finds the one to go on with.

    Raises:
        ConfigError: the folder holds a run and ``resume`` is off; or it is to be resumed with options that
            would change its result.
    """
    folder = Path(config.output)
    options = dataclasses.asdict(config)
    stored = folder / CONFIG
    if stored.is_file():
        if not config.resume:
            raise ConfigError(
                f"{folder} already holds a run.",
                hint="Add --resume to go on with it, or choose another --output.",
            )
        before = json.loads(stored.read_text(encoding="utf-8"))
        changed = [
            f"{name} was {before.get(name)!r} and is {value!r}"
            for name, value in options.items()
            if name not in FREE_ON_RESUME and before.get(name) != value
        ]
        if changed:
            raise ConfigError(
                f"The run in {folder} had other options: {'; '.join(changed)}.",
                hint="Resume with the same options, or start a new run in another --output.",
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        stored.write_text(json.dumps(options, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return folder


def write_log(folder: Path, progress: Progress) -> None:
    """Writes ``epochs.jsonl``, one line a finished epoch."""
    lines = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in progress.history)
    (folder / LOG).write_text(lines, encoding="utf-8")
