"""Whole training runs on small made-up data: what they learn, leave behind, and carry over a kill."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import ROOT
from datasets_made import make_parquet, make_rows, write_parquet
from runs_made import SIX, command, options, same, weights

from model.checkpoint import load, save
from model.config import ModelConfig
from model.errors import CheckpointError, ConfigError, DataError
from model.network import SkinDiseaseNet
from train.config import TrainConfig
from train.finish import fit_checkpoint as fit
from train.fit.initial import load_backbone_weights
from train.run_folder import STATE, read


@pytest.fixture(scope="module")
def six_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("six") / "data"
    return make_parquet(folder, {"train": 96, "validation": 24}, labels=SIX)


def test_a_run_learns_and_leaves_a_usable_checkpoint(six_classes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = fit(options(six_classes, run, epochs=6, erase=0.0, grayscale=0.0, color_jitter=0.0))
    log = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in log] == [1, 2, 3, 4, 5, 6]
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert max(entry["balanced_accuracy"] for entry in log) > 0.6  # chance: 0.17
    assert list((run / "tensorboard").glob("events.*"))
    loaded = load(folder)
    assert loaded.config.labels == tuple(SIX)
    assert loaded.config.min_max_probability > 0
    assert loaded.config.max_normalized_entropy < 1
    assert "python -m train fit" in loaded.card()
    measured = json.loads((run / "calibration.json").read_text())
    assert (measured["checkpoint"]["revision"], measured["n"]) == (loaded.revision, 24)
    assert f"{measured['ece']['after']:.3f} at the fitted one" in loaded.card()
    assert str(tmp_path) not in loaded.card()


def test_the_sizes_of_the_crops_share_the_epochs_out() -> None:
    grows = TrainConfig(epochs=5, train_size=[128, 160, 224])
    assert [grows.size_of_epoch(epoch) for epoch in range(5)] == [128, 128, 160, 160, 224]
    assert TrainConfig(train_size=176).size_of_epoch(3) == 176


def test_a_killed_run_goes_on_to_the_very_same_weights(six_classes: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of an epoch, with workers, augmentation, sampler, dropout and the BiLSTM."""
    recipe = options(
        six_classes,
        tmp_path / "whole",
        head="bilstm",
        dropout=0.3,
        epochs=2,
        batch_size=4,
        num_workers=2,
        save_every=3,
        sampler_power=0.5,
        class_weight_power=0.25,
        ema_decay=0.9,
        diagnosis_weight=0.5,
        mixup=0.2,
        cutmix=1.0,
        drop_path=0.2,
        layer_decay=0.5,
        stages=2,
        train_size=[24, 32],
    )
    fit(recipe)

    killed = dataclasses.replace(recipe, output=str(tmp_path / "killed"))
    state = tmp_path / "killed" / STATE
    process = subprocess.Popen(
        command(killed),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not state.is_file():
        assert process.poll() is None, "the run ended before its first save"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    progress = read(state)["progress"]
    assert 0 < progress["epoch"] * 24 + progress["step"] < 48
    assert progress["step"] > 0, "the kill was meant to hit the middle of an epoch"

    AcceleratorState._reset_state(reset_partial_state=True)
    fit(dataclasses.replace(killed, resume=True))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    ends = [
        (tmp_path / name / "checkpoint" / "model.safetensors").read_bytes() for name in ("whole", "killed")
    ]
    assert ends[0] == ends[1]


def test_frozen_parts_stay_as_the_initial_weights_had_them(six_classes: Path, tmp_path: Path) -> None:
    init = tmp_path / "init"
    config = ModelConfig(labels=tuple(SIX), backbone="test_resnet", head="pool", input_size=32)
    torch.manual_seed(5)
    start = SkinDiseaseNet(config)
    save(init, start, config, card="")
    from safetensors.torch import save_file

    save_file(start.backbone.state_dict(), tmp_path / "backbone.safetensors")
    recipe = options(
        six_classes, tmp_path / "run", init=str(tmp_path / "backbone.safetensors"), trainable=["layer4.*"]
    )
    fit(recipe)
    load_backbone_weights(start, tmp_path / "backbone.safetensors")
    before, after = start.state_dict(), weights(tmp_path / "run")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("backbone.layer4.", "head.")) for name in moved)


def test_a_checkpoint_is_trained_further(six_classes: Path, tmp_path: Path) -> None:
    start = fit(options(six_classes, tmp_path / "first", head="bilstm"))
    nothing_moves = {"head_lr": 0.0, "trainable": [], "warmup_epochs": 0.0}
    still = options(six_classes, tmp_path / "still", head="bilstm", init=str(start), **nothing_moves)
    AcceleratorState._reset_state(reset_partial_state=True)
    again = fit(still)
    assert (again / "model.safetensors").read_bytes() == (start / "model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=r"lacks|does not have"):
        fit(dataclasses.replace(still, head="pool", output=str(tmp_path / "pool")))
    with pytest.raises(CheckpointError, match="other labels"):
        fit(dataclasses.replace(still, labels=SIX[::-1], output=str(tmp_path / "turned")))


def test_a_share_of_the_initial_weights_can_be_kept(six_classes: Path, tmp_path: Path) -> None:
    def floats(folder: Path) -> dict[str, torch.Tensor]:
        state = load(folder).network.state_dict()
        return {name: value for name, value in state.items() if value.is_floating_point()}

    start = fit(options(six_classes, tmp_path / "first"))
    initial, ends = floats(start), {}
    for share in (0.0, 0.25, 1.0):
        AcceleratorState._reset_state(reset_partial_state=True)
        run = options(six_classes, tmp_path / str(share), init=str(start), init_share=share, seed=1)
        ends[share] = floats(fit(run))
    assert same(ends[1.0], initial)
    assert not same(ends[0.0], initial, tolerance=1e-2)
    mixed = {name: 0.75 * trained + 0.25 * initial[name] for name, trained in ends[0.0].items()}
    assert same(ends[0.25], mixed, tolerance=2e-3)


def test_diagnoses_teach_the_backbone_and_leave_nothing_behind(tmp_path: Path) -> None:
    """With a head that does not learn, the auxiliary layer alone changes the backbone another way."""
    rows = make_rows(96, labels=SIX)
    columns = ("image", "label", "group", "diagnosis")
    for split, part in (("train", rows[:72]), ("validation", rows[72:])):
        write_parquet(tmp_path / "data" / f"{split}.parquet", part, columns=columns, names=SIX)
    still = options(tmp_path / "data", tmp_path / "still", head_lr=0.0, weight_decay=0.0, epochs=2)
    fit(still)
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = fit(dataclasses.replace(still, output=str(tmp_path / "aided"), diagnosis_weight=1.0))
    name = "backbone.layer4.0.conv2.weight"
    aided, alone = weights(tmp_path / "aided"), weights(tmp_path / "still")
    assert not torch.equal(aided[name], alone[name])
    assert aided["diagnosis.weight"].shape == (6, 96)
    assert set(load(folder).network.state_dict()) == set(alone)


def test_early_stopping_keeps_the_best_epoch(six_classes: Path, tmp_path: Path) -> None:
    """With learning rates of zero nothing gets better after the first epoch."""
    recipe = options(
        six_classes, tmp_path / "run", epochs=9, patience=2, head_lr=0.0, backbone_lr=0.0, trainable=[]
    )
    fit(recipe)
    log = (tmp_path / "run" / "epochs.jsonl").read_text().splitlines()
    assert len(log) == 3


def test_the_checkpoint_holds_the_moving_average_of_the_weights(six_classes: Path, tmp_path: Path) -> None:
    recipe = options(six_classes, tmp_path / "run", ema_decay=0.9, trainable=[], warmup_epochs=0.0)
    folder = fit(recipe)
    saved = read(tmp_path / "run" / STATE)
    name = "head.classifier.weight"
    assert not torch.allclose(saved["averaged"][name], weights(tmp_path / "run")[name], atol=1e-4)
    assert torch.equal(load(folder).network.state_dict()[name], saved["averaged"][name].half().float())


def test_a_finished_run_resumes_to_the_same_checkpoint(six_classes: Path, tmp_path: Path) -> None:
    recipe = options(six_classes, tmp_path / "run")
    folder = fit(recipe)
    before = (folder / "model.safetensors").read_bytes()
    fit(dataclasses.replace(recipe, resume=True))
    assert (folder / "model.safetensors").read_bytes() == before
    with pytest.raises(ConfigError, match="already holds a run") as refused:
        fit(recipe)
    assert "--resume" in refused.value.hint
    with pytest.raises(ConfigError, match=r"seed was 0 and is 1"):
        fit(dataclasses.replace(recipe, resume=True, seed=1))


@pytest.mark.parametrize("head", ["bilstm", "attention"])
def test_every_head_trains(head: str, six_classes: Path, tmp_path: Path) -> None:
    fit(options(six_classes, tmp_path / "run", head=head, hidden_size=16))
    entry = json.loads((tmp_path / "run" / "epochs.jsonl").read_text())
    assert np.isfinite(entry["loss"])


def test_bfloat16_trains_on_the_cpu_when_asked_to(six_classes: Path, tmp_path: Path) -> None:
    fit(options(six_classes, tmp_path / "run", head="bilstm", precision="bf16"))
    state = weights(tmp_path / "run")
    assert all(tensor.dtype != torch.bfloat16 for tensor in state.values())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": []}, ConfigError, "No data set"),
        ({"init": "timm", "stride_in_1x1": True}, ConfigError, "stride_in_1x1 is set"),
        ({"head": "lstm"}, ConfigError, "no head called 'lstm'"),
        ({"head": "convlstm"}, ConfigError, "no head called 'convlstm'"),
        ({"init_share": 0.5}, ConfigError, "random is not a checkpoint"),
        ({"trainable": ["layer9.*"]}, ConfigError, r"layer9\.\*"),
        ({"labels": [*SIX[:5], "Bulous"]}, DataError, "Bulous"),
        ({"batch_size": 500}, DataError, "do not fill one batch"),
    ],
)
def test_a_wrong_option_stops_before_training(
    changes: dict[str, object], error: type[Exception], message: str, six_classes: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        fit(dataclasses.replace(options(six_classes, tmp_path / "run"), **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("init", ["timm", "org/checkpoint@main"])
def test_a_wrong_path_is_found_before_weights_are_fetched(init: str, tmp_path: Path) -> None:
    wrong = options(tmp_path / "nowhere", tmp_path / "run", init=init)
    with pytest.raises(DataError, match="nowhere"):
        fit(wrong)


def test_the_command_says_what_is_wrong_without_a_traceback(six_classes: Path, tmp_path: Path) -> None:
    wrong = options(six_classes, tmp_path / "run", init=str(tmp_path / "none.safetensors"))
    done = subprocess.run(command(wrong), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "none.safetensors is missing" in done.stderr
    assert "Traceback" not in done.stderr
