"""``shift``: a copy of a checkpoint that finds one label more often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import make_picture

from model.checkpoint import find, load
from model.image.preprocess import preprocess
from model.labels import NO_CONDITION
from model.runtime.torch import TorchRuntime
from train.__main__ import main


def test_only_the_logit_of_the_label_changes(tiny_checkpoint: Path, tmp_path: Path) -> None:
    words = ["shift", f"--checkpoint={tiny_checkpoint}", f"--output={tmp_path / 'copy'}", "--by=2"]
    assert main(words) == 0
    before, after = load(tiny_checkpoint), load(tmp_path / "copy")
    image = preprocess(make_picture(), config=before.config)[None]
    logits = [TorchRuntime(one).forward(image)[0] for one in (before, after)]
    expected = np.zeros(len(before.config.labels))
    expected[before.config.labels.index(NO_CONDITION)] = 2
    assert (logits[1] - logits[0]).squeeze() == pytest.approx(expected, abs=2e-3)
    assert find(tmp_path / "copy").card() == before.card()


def test_a_label_that_is_not_there_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "shift",
        f"--checkpoint={tiny_checkpoint}",
        f"--output={tmp_path / 'x'}",
        "--by=1",
        "--label=Measles",
    ]
    assert main(words) == 1
    assert "There is no label 'Measles'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
