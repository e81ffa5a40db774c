"""``validate``: a clinic's own pictures against requirements that it set beforehand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from datasets_made import make_rows, write_parquet

from model.config import ModelConfig
from train.__main__ import main
from train.evaluate.validate import measure
from train.predictions import Predictions

LABELS = ("Moles", "SkinCancer", "Eczema")


def predictions(rights: list[bool], *, groups: list[str] | None = None) -> Predictions:
    """Pictures of moles that were called right with 0.8, or eczema."""
    rows = [[0.8, 0.1, 0.1] if right else [0.1, 0.1, 0.8] for right in rights]
    return Predictions.of(LABELS, np.array(rows), [0] * len(rights), groups=groups)


def config(**changes: object) -> ModelConfig:
    return ModelConfig(labels=LABELS, **changes)  # type: ignore[arg-type]


def test_the_worse_end_of_the_interval_decides() -> None:
    found = measure(predictions([True] * 90 + [False] * 10), config(), {"accuracy": 0.85, "top3": 0.95})
    accuracy = found["accuracy"]
    assert accuracy.share == pytest.approx(0.9)
    assert accuracy.low == pytest.approx(0.84, abs=0.02)
    assert accuracy.met is False
    assert measure(predictions([True] * 90 + [False] * 10), config(), {"accuracy": 0.8})["accuracy"].met
    assert found["top3"].met


def test_few_pictures_do_not_pass_by_luck() -> None:
    found = measure(predictions([True] * 12), config(), {"accuracy": 0.9})["accuracy"]
    assert (found.share, found.high, found.met) == (1.0, 1.0, False)
    assert found.low == pytest.approx(0.7353, abs=1e-3)  # Clopper and Pearson, 12 of 12


def test_pictures_of_one_patient_count_as_one() -> None:
    one = measure(predictions([True] * 200, groups=["patient"] * 200), config(), {"accuracy": 0.9})
    assert one["accuracy"].low == pytest.approx(0.025, abs=1e-3)


def test_less_is_better_for_rejections() -> None:
    strict = config(min_max_probability=0.9)
    found = measure(predictions([True] * 50), strict, {"rejected": 0.1})["rejected"]
    assert (found.share, found.met) == (1.0, False)
    assert measure(predictions([True] * 50), config(), {"rejected": 0.1})["rejected"].met


def test_a_requirement_without_a_picture_for_it_is_not_met() -> None:
    found = measure(predictions([True] * 50), config(), {"sensitivity": 0.5})["sensitivity"]
    assert (found.pictures, found.share, found.met) == (0, None, False)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "pictures"
    write_parquet(folder / "test.parquet", make_rows(44, seed=3))
    return folder


def run(tiny: Path, own: Path, output: Path, *options: str) -> int:
    return main(["validate", f"--checkpoint={tiny}", f"--data={own}", f"--output={output}", *options])


def test_the_command_says_go_or_no_go(
    tiny_checkpoint: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_checkpoint, own, tmp_path, "--min-accuracy", "0", "--max-rejected", "1") == 0
    assert "**Go**" in capsys.readouterr().out
    assert run(tiny_checkpoint, own, tmp_path, "--min-accuracy", "0.99") == 3
    said = capsys.readouterr().out
    assert "**No go**" in said
    assert "| first label right | 44 |" in said
    assert "at least 0.99 | not met |" in said
    stored = json.loads((tmp_path / "validation.json").read_text())
    assert (stored["go"], stored["figures"]["accuracy"]["met"]) == (False, False)
    assert (tmp_path / "validation.md").read_text() in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "No requirement was set"),
        (["--min-accuracy", "80"], "each must be from 0 to 1"),
        (["--min-coverage", "0.9"], "no prediction sets"),
    ],
)
def test_what_cannot_be_required_is_refused(
    tiny_checkpoint: Path,
    own: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    assert run(tiny_checkpoint, own, tmp_path, *options) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
