"""A run's folder: it belongs to one process, and what is damaged in it is said in plain words."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import ROOT
from datasets_made import make_parquet
from runs_made import SIX, command, options

from model.errors import ConfigError, DataError
from train.__main__ import main
from train.config import TrainConfig
from train.finish import fit_checkpoint as fit
from train.run_folder import BEST, CONFIG, STATE, locked, read, refuse_diverged, write_atomically

HOLDER = (
    "import os, sys, time, pathlib; from train.run_folder import locked\n"
    "with locked(pathlib.Path(sys.argv[1])):\n"
    "    child = os.fork()\n"  # as the processes that load pictures are
    "    print('held', flush=True) if child else None\n"
    "    time.sleep(600)"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("six") / "data"
    return make_parquet(folder, {"train": 48, "validation": 12}, labels=SIX)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "run"
    AcceleratorState._reset_state(reset_partial_state=True)
    fit(options(data, run, ema_decay=0.9))
    return run


@contextlib.contextmanager
def holding(run: Path) -> Iterator[psutil.Process]:
    """Another process that holds a run's folder, and has a child."""
    words = [sys.executable, "-c", HOLDER, str(run)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        holder = psutil.Process(process.pid)
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "held"
            children = holder.children()
            yield holder
        finally:
            for one in [*children, holder]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()


def test_a_second_process_is_refused_and_the_lock_dies_with_the_first(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with holding(run) as holder:
        assert main(command(options(data, run))[3:]) == 1
        said = capsys.readouterr().err
        assert f"error: Another process is using {run} (process {holder.pid} on " in said
        holder.kill()
        holder.wait()
        with locked(run):
            pass  # though the child lives on


def test_a_run_takes_away_what_a_killed_one_left_half_written(tmp_path: Path) -> None:
    half = tmp_path / ".partial-0a1b2c3d-state.pt"
    half.write_bytes(b"half")
    with locked(tmp_path):
        assert not half.exists()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "cut off at the very end": lambda content: content[:-1],
    "garbage": lambda content: b"\x00\xff garbage \xe9" * 50,
    "one bit": lambda content: (
        content[: len(content) // 2]
        + bytes([content[len(content) // 2] ^ 1])
        + content[len(content) // 2 + 1 :]
    ),
}


@pytest.mark.parametrize("name", [STATE, BEST, CONFIG, "unreadable.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_stops_a_resumption_in_plain_words(
    name: str, damage: str, data: Path, finished: Path
) -> None:
    file = finished / name
    whole = file.read_bytes().rstrip(b"\n")
    file.write_bytes(DAMAGES[damage](whole))
    try:
        with pytest.raises((ConfigError, DataError)) as refused:
            fit(options(data, finished, ema_decay=0.9, resume=True))
    finally:
        file.write_bytes(whole)
    if damage != "one bit":
        assert name in refused.value.message
    assert "another --output" in refused.value.hint


def test_a_state_of_another_run_or_without_its_options_is_refused(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    recipe = options(data, tmp_path / "run", ema_decay=0.9, head="attention", hidden_size=16)
    fit(recipe)
    write_atomically(tmp_path / "run" / STATE, read(finished / STATE))
    with pytest.raises(ConfigError, match=r"state\.pt.* does not belong to this run"):
        fit(dataclasses.replace(recipe, resume=True))
    (tmp_path / "run" / CONFIG).unlink()
    with pytest.raises(ConfigError, match=r"the state of a run, but no train_config\.json"):
        fit(dataclasses.replace(recipe, resume=True))


def test_a_run_does_not_go_on_with_data_that_has_been_rewritten(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    copy = make_parquet(tmp_path / "data", {"train": 48, "validation": 12}, labels=SIX)
    recipe = options(copy, tmp_path / "run")
    fit(recipe)
    make_parquet(copy, {"train": 48, "validation": 12}, labels=SIX, seed=3)
    with pytest.raises(DataError, match="The rows of train and validation have changed since the run"):
        fit(dataclasses.replace(recipe, resume=True))


def test_a_run_that_stopped_before_it_began_may_be_started_again(data: Path, tmp_path: Path) -> None:
    recipe = options(data, tmp_path / "run")
    with pytest.raises(DataError, match="unknown class"):
        fit(dataclasses.replace(recipe, labels=[*SIX[:5], "Bulous"]))
    fit(recipe)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_that_diverges_says_so_and_saves_nothing(
    data: Path, tmp_path: Path, ema_decay: float
) -> None:
    wild = options(data, tmp_path / "run", clip_norm=1e9, save_every=1)
    with pytest.raises(ConfigError, match=r"diverged in epoch 1: .* is no longer finite") as refused:
        fit(dataclasses.replace(wild, ema_decay=ema_decay, batch_size=4, head_lr=1e12, backbone_lr=1e12))
    assert "Lower the learning rates" in refused.value.hint
    for file in (tmp_path / "run").glob("*.pt"):
        for tensor in read(file)["learner"].values():
            assert torch.isfinite(tensor).all()


def test_a_moving_average_that_alone_is_not_finite_is_told(tmp_path: Path) -> None:
    good, bad = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    refuse_diverged(1.0, 0, good, good)
    with torch.no_grad():
        bad.bias[1] = float("inf")
    with pytest.raises(ConfigError, match="epoch 3: bias is no longer finite"):
        refuse_diverged(1.0, 2, good, bad)
    with pytest.raises(ConfigError, match="epoch 3: the loss is no longer finite"):
        refuse_diverged(float("nan"), 2, good)


def test_every_file_of_a_run_is_json_or_sealed_and_none_is_left_half_written(finished: Path) -> None:
    assert TrainConfig(**json.loads((finished / CONFIG).read_text())).epochs == 1
    assert set(json.loads((finished / "unreadable.json").read_text())) == {"train", "validation", "rows"}
    assert read(finished / BEST).keys() == read(finished / STATE)["averaged"].keys()
    assert not list(finished.rglob("*partial*"))
