"""Several processes under `accelerate launch`: what one process does, shared out."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from accelerate.state import AcceleratorState
from conftest import ROOT
from datasets_made import make_parquet, make_rows, write_parquet
from processes import free_port
from runs_made import SIX, command, options, same, weights

from train.__main__ import main
from train.config import TrainConfig
from train.finish import fit_checkpoint as fit
from train.run_folder import STATE, read

# 25 validation pictures: an odd number cannot be divided evenly.
SPLITS = {"train": 96, "validation": 25}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parquet(tmp_path_factory.mktemp("six") / "data", SPLITS, labels=SIX)


NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")


def launcher(processes: int) -> list[str]:
    """`accelerate launch` before ``-m train ...``; its own --cpu starts one process, whatever the number."""
    words = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    words += ["--num_processes", str(processes), "--mixed_precision", "no", "--dynamo_backend", "no"]
    return [*words, "--main_process_port", str(free_port())]


def run_to_its_end(words: list[str]) -> subprocess.CompletedProcess[str]:
    places = (ROOT, ROOT / "tests", ROOT / "tests/helpers")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)


def kill_after_a_save(words: list[str], state: Path) -> None:
    """Runs a command and kills it with all its processes once it has saved its state anew."""
    before = state.stat().st_mtime_ns if state.exists() else 0
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 200
        while not state.exists() or state.stat().st_mtime_ns == before:
            assert process.poll() is None, "the run ended before its first save"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            one.kill()


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]


def recipe(data: Path, output: Path) -> TrainConfig:
    """Frozen batch norms and no dropout: only the dealing out of pictures could make a difference."""
    return options(
        data, output, trainable=["layer4.0.conv*"], epochs=3, sampler_power=0.5, save_every=2, ema_decay=0.9
    )


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    AcceleratorState._reset_state(reset_partial_state=True)
    fit(recipe(data, run))
    return run


def assert_alike(one: Path, other: Path) -> None:
    assert same(weights(one), weights(other), tolerance=1e-3)
    for left, right in zip(log(one), log(other), strict=True):
        assert right["loss"] == pytest.approx(left["loss"], abs=2e-3)
        assert right["accuracy"] == pytest.approx(left["accuracy"], abs=2 / 25 + 1e-9)


def measuring(checkpoint: Path, data: Path, output: Path) -> list[list[str]]:
    """The three commands on a split with one unreadable picture."""
    shared = [f"--checkpoint={checkpoint}", f"--data={data}", "--split=test", "--device=cpu"]
    shared += ["--max_unreadable=0.1"]
    return [
        ["evaluate", *shared, f"--output={output / 'figures'}"],
        ["predict", *shared, f"--output={output / 'table.csv'}"],
        ["ood", *shared, f"--output={output / 'ood'}", f"--ood={data}"],
    ]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An odd number of pictures, one of which cannot be read."""
    folder = tmp_path_factory.mktemp("odd") / "data"
    rows = make_rows(26)
    rows[7]["image"]["bytes"] = b"broken"
    write_parquet(folder / "test-00000-of-00001.parquet", rows)
    return folder


@pytest.fixture(scope="module")
def launched(
    data: Path, odd: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Two processes measured, trained, and got a batch that they cannot share: their folder and end."""
    folder = tmp_path_factory.mktemp("launched")
    uneven = dataclasses.replace(recipe(data, folder / "uneven"), batch_size=9)
    trained = [command(config)[3:] for config in (recipe(data, folder / "run"), uneven)]
    work = [*measuring(tiny_checkpoint, odd, folder), *trained]
    return folder, run_to_its_end([*launcher(2), __file__, json.dumps(work)])


def test_two_processes_train_what_one_does(
    alone: Path, launched: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    folder, done = launched
    run = folder / "run"
    assert_alike(alone, run)
    assert done.stdout.count('"epoch": 3') == 1, "one process speaks"
    assert len(list((run / "tensorboard").glob("events.*"))) == 1, "one process writes"
    assert (run / "checkpoint" / "config.json").is_file()


def test_a_batch_that_cannot_be_shared_out_evenly_is_named(
    launched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = launched
    assert done.returncode != 0
    assert "9 pictures cannot be divided evenly among 2 processes" in done.stderr
    assert done.stdout.count("[0, 0, 0, 0, 1]") == 2, "nothing else went wrong"


def test_a_killed_run_goes_on_with_another_number_of_processes(
    data: Path, alone: Path, tmp_path: Path
) -> None:
    """Two processes, then one, then two again."""
    run = tmp_path / "run"
    words = command(recipe(data, run))
    kill_after_a_save([*launcher(2), *words[1:]], run / STATE)
    kill_after_a_save([*words, "--resume"], run / STATE)
    progress = read(run / STATE)["progress"]
    assert progress["epoch"] < 2, "the kills were meant to come early"
    done = run_to_its_end([*launcher(2), *words[1:], "--resume"])
    assert done.returncode == 0, done.stderr
    assert_alike(alone, run)


def test_measuring_is_shared_out_too(
    odd: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    launched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = launched
    for words in measuring(tiny_checkpoint, odd, tmp_path):
        assert main(words) == 0
    assert done.stdout.count("25 rows in") == 1, "one process speaks"
    files = ("figures/metrics.json", "ood/ood.json", "table.csv")
    one, two = ([(run / name).read_text() for name in files] for run in (tmp_path, folder))
    for alone, shared in zip(one, two, strict=True):
        # Batches of other sizes are rounded differently on some processors.
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (alone, shared)]
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-6)
        assert NUMBER.sub("", alone) == NUMBER.sub("", shared)
    assert json.loads(one[0])["n"] == 25
    assert len(json.loads(one[0])["unreadable"]) == 1


if __name__ == "__main__":  # what the launcher starts in each process
    ends = [main(words) for words in json.loads(sys.argv[1])]
    print(ends, flush=True)
    sys.exit(max(ends))
