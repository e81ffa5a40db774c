"""A run's folder: the state for resuming, the history of metrics, and a lock."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from model.errors import ConfigError, DataError
from model.files import atomic_path, read_json, remove_unfinished, write_json, write_text
from train.config import FREE_ON_RESUME, TrainConfig

STATE, BEST, LOG, CONFIG = "state.pt", "best.pt", "epochs.jsonl", "train_config.json"
_LOCK = ".lock"
_SEAL = b"sha256:"
_SEAL_SIZE = len(_SEAL) + 64
_BLOCK = 1 << 20


@dataclasses.dataclass
class Progress:
    """The progress of a run.

    Attributes:
        epoch: the current epoch, from 0. step: its finished steps.
        loss_sum: sum of the losses of those steps.
        best: best validation balanced accuracy so far. best_epoch: when (-1: never).
        history: one entry per finished epoch.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = -1.0
    best_epoch: int = -1
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def next_epoch(self) -> None:
        """Start the next epoch."""
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0

    def exhausted(self, config: TrainConfig) -> bool:
        """Whether all epochs are done, or too many in a row brought no improvement."""
        return self.epoch >= config.epochs or (
            self.best_epoch >= 0 and self.epoch - 1 - self.best_epoch >= config.patience
        )


class _Sealing:
    """A file object for ``torch.save`` that updates a digest while writing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def write_atomically(path: Path, content: Any) -> None:
    """Save an object atomically with ``torch.save``, with a checksum at the file's end."""
    with atomic_path(path) as partial, open(partial, "wb") as file:
        sealing = _Sealing(file)
        torch.save(content, cast(IO[bytes], sealing))
        file.write(_SEAL + sealing.digest.hexdigest().encode())


def read(path: Path) -> Any:
    """Read a file that ``write_atomically`` wrote; tensors and plain values only.

    Raises:
        ConfigError: the file is missing, empty, cut off or damaged.
    """
    try:
        with open(path, "rb") as file:
            if not _sealed(file):
                raise ValueError("its checksum is missing or wrong")
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{path} is damaged or missing ({problem}).",
            hint="The run cannot continue: restore a copy of the file, or start again in another --output.",
        ) from error


def _sealed(file: BinaryIO) -> bool:
    left = file.seek(0, os.SEEK_END) - _SEAL_SIZE
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (block := file.read(min(_BLOCK, left))):
        digest.update(block)
        left -= len(block)
    return file.read() == _SEAL + digest.hexdigest().encode()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a run's folder, which is created if needed, against other processes while the block runs.

    The lock belongs to this process, not to its children, and is released when it ends, however it ends.
    Unfinished files of killed processes are removed.

    Raises:
        ConfigError: another process is using the folder, or it cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / _LOCK, "a+", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written to ({error.strerror}).", hint="Choose another --output."
        ) from error
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            who = file.read(200).strip() or "unknown"
            raise ConfigError(
                f"Another process is using {folder} ({who}).",
                hint="Wait until it has ended, or choose another --output.",
            ) from error
        except OSError as error:
            tqdm.write(f"{folder} cannot be locked ({error.strerror}): make sure that no other run uses it.")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        remove_unfinished(folder)
        yield


def open_run(config: TrainConfig) -> Path:
    """Create the run's folder, or open the one to resume.

    Raises:
        ConfigError: the folder holds a run and ``resume`` is off; the options differ in ways that would
            change its result; or its files cannot be read.
    """
    folder = Path(config.output)
    options = dataclasses.asdict(config)
    stored = folder / CONFIG
    if not stored.exists():
        if (folder / STATE).exists():
            raise ConfigError(
                f"{folder} holds the state of a run, but no {CONFIG} that says which.",
                hint=f"Restore {CONFIG}, or choose another --output.",
            )
        write_json(stored, options)
        return folder
    if not config.resume:
        raise ConfigError(
            f"{folder} already holds a run.",
            hint="Add --resume to continue it, or choose another --output.",
        )
    before = read_stored(stored)
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
    return folder


@contextmanager
def of_this_run(folder: Path) -> Iterator[None]:
    """Raise ``ConfigError`` if a run's saved state does not fit the network."""
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{folder / STATE} or {BEST} beside it does not belong to this run ({type(error).__name__}: "
            f"{str(error).splitlines()[0][:200] if str(error) else 'no details'}).",
            hint="Restore the run's own files, or start again in another --output.",
        ) from error


def read_stored(path: Path) -> dict[str, Any]:
    """Read a JSON object from a run's folder; raises ``ConfigError`` if it is not valid."""
    try:
        return read_json(path)
    except DataError as error:
        raise ConfigError(
            error.message,
            hint="The run cannot continue: restore a copy of the file, or start again in another --output.",
        ) from error


def refuse_diverged(loss: float, epoch: int, *networks: nn.Module) -> None:
    """Raise ``ConfigError`` if the loss, a weight or a buffer of a network is not finite.

    Args:
        loss: of the epoch so far.
        epoch: its index, from 0.
        networks: the trained ones and the averaged ones.
    """
    what = "" if np.isfinite(loss) else "the loss"
    for network in networks:
        for name, tensor in network.state_dict().items():
            if not what and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                what = name
    if what:
        raise ConfigError(
            f"The training diverged in epoch {epoch + 1}: {what} is no longer finite.",
            hint="Lower the learning rates, or compute with --precision fp32.",
        )


def write_log(folder: Path, progress: Progress) -> None:
    """Write ``epochs.jsonl``, one line per finished epoch."""
    write_text(folder / LOG, "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in progress.history))
