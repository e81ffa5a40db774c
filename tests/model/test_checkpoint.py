"""The checkpoint folder: what is saved is what is loaded, and what does not fit is refused with a hint."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file, save_file

from model.checkpoint import load, load_config, save
from model.config import ModelConfig
from model.errors import CheckpointError, ConfigError
from model.network import SkinDiseaseNet

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, free to damage."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS)


def refusal(folder: Path | str) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert caught.value.hint
    return caught.value


# Round trip


def test_a_round_trip_keeps_config_card_and_weights_to_half_precision(
    tmp_path: Path, tiny_config: ModelConfig
) -> None:
    torch.manual_seed(7)
    network = SkinDiseaseNet(tiny_config)
    network.backbone(torch.rand(4, 3, 64, 64))  # so that the batch norms have counted something
    config = dataclasses.replace(tiny_config, temperature=1.7, min_max_probability=0.2, uncertain_below=0.4)
    save(tmp_path / "one", network, config, card="# A card — with ü\n")

    first = load(tmp_path / "one")

    assert first.config == config
    assert first.card() == "# A card — with ü\n"
    assert first.id == "one"
    assert not first.network.training
    for name, value in network.state_dict().items():
        got = first.network.state_dict()[name]
        assert got.dtype == value.dtype
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(got, expected), name

    save(tmp_path / "two", first.network, config, card=first.card())
    assert (tmp_path / "two" / WEIGHTS).read_bytes() == (tmp_path / "one" / WEIGHTS).read_bytes()
    assert load(tmp_path / "two").revision == first.revision


def test_the_folder_holds_half_precision_safetensors_and_no_pickle(tiny_checkpoint: Path) -> None:
    assert {file.name for file in tiny_checkpoint.iterdir()} == {"config.json", WEIGHTS, "README.md"}
    kinds = {tensor.dtype for tensor in load_file(tiny_checkpoint / WEIGHTS).values()}
    assert kinds == {torch.float16, torch.int64}


def test_a_channels_last_network_can_be_saved(tmp_path: Path, tiny_config: ModelConfig) -> None:
    network = SkinDiseaseNet(tiny_config)
    save(tmp_path / "rows", network, tiny_config, card="")
    save(tmp_path / "last", network.to(memory_format=torch.channels_last), tiny_config, card="")
    assert (tmp_path / "last" / WEIGHTS).read_bytes() == (tmp_path / "rows" / WEIGHTS).read_bytes()


def test_saving_over_a_folder_replaces_it_and_leaves_nothing_beside(
    tmp_path: Path, tiny_checkpoint: Path, tiny_config: ModelConfig
) -> None:
    target = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, target)
    (target / "old.bin").write_bytes(b"left over")
    config = dataclasses.replace(tiny_config, temperature=3.0)

    save(target, SkinDiseaseNet(config), config, card="new")

    assert load(target).config.temperature == 3.0
    assert {file.name for file in target.iterdir()} == {"config.json", WEIGHTS, "README.md"}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_a_save_that_fails_leaves_the_old_folder_as_it_was(
    folder: Path, tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def full_disk(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(ConfigError, match="No space"):
        save(folder, SkinDiseaseNet(tiny_config), tiny_config, card="")

    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]


def test_the_fingerprint_tells_checkpoints_apart(folder: Path, tiny_checkpoint: Path) -> None:
    original = load(tiny_checkpoint).revision
    assert original.startswith("sha256:")
    assert load(folder).revision == original
    (folder / "README.md").write_text("another card")
    assert load(folder).revision == original, "the card decides no prediction"
    edit_config(folder, temperature=0.51)
    changed = load(folder).revision
    assert changed != original
    edit_weights(folder, lambda weights: weights["head.classifier.bias"].add_(1))
    assert load(folder).revision not in (original, changed)


# Refused


def test_a_folder_that_is_not_there_or_empty_says_what_is_expected(tmp_path: Path) -> None:
    assert "no folder" in refusal(tmp_path / "absent").message
    error = refusal(tmp_path)
    assert "config.json" in error.message
    assert "model.safetensors" in error.message


def test_missing_weights_are_named(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert "model.safetensors is missing" in refusal(folder).message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_a_pickle_instead_of_safetensors_is_not_opened(folder: Path, name: str) -> None:
    (folder / WEIGHTS).unlink()
    (folder / name).write_bytes(pickle.dumps({"head.classifier.bias": 1}))
    error = refusal(folder)
    assert name in error.message
    assert "pickle" in error.message
    assert "safetensors" in error.hint


class _Alarm:
    """Raises an alarm when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was opened",))


def test_a_pickle_under_the_right_name_is_refused_unopened(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(_Alarm()))
    error = refusal(folder)
    assert "not a whole safetensors file" in error.message
    assert "pickle" in error.hint


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_refused(folder: Path, share: float) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: int(len(data) * share)])
    error = refusal(folder)
    assert "not a whole safetensors file" in error.message
    assert "cut off" in error.hint


def test_a_wrong_number_of_labels_is_refused(folder: Path, tiny_config: ModelConfig) -> None:
    edit_config(folder, labels=tiny_config.labels[:-1])
    error = refusal(folder)
    assert "head.classifier" in error.message
    assert "(22" in error.message
    assert "(21" in error.message
    assert "number of labels" in error.hint


def test_an_extra_tensor_is_refused_by_name(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.update(surplus=torch.zeros(2)))
    assert "surplus" in refusal(folder).message


def test_a_missing_tensor_is_refused_by_name(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("head.lstm.weight_hh_l1"))
    error = refusal(folder)
    assert "lacks 1 tensors" in error.message
    assert "head.lstm.weight_hh_l1" in error.message


def test_another_head_than_the_weights_is_refused(folder: Path) -> None:
    edit_config(folder, head="pool")
    assert "does not have" in refusal(folder).message


def test_an_unknown_config_key_is_refused_with_the_known_ones(folder: Path) -> None:
    edit_config(folder, temprature=1.0)
    error = refusal(folder)
    assert "temprature" in error.message
    assert "temperature" in error.hint


@pytest.mark.parametrize("name", ["skin22", "ham10000"])
def test_a_configuration_is_written_as_it_was_read(name: str) -> None:
    """Also one that was written before there were some of the fields: they have their defaults."""
    stored = json.loads((ROOT / "checkpoints" / name / "config.json").read_text())
    written = json.loads(load_config(ROOT / "checkpoints" / name).to_json())
    assert list(written) == [field.name for field in dataclasses.fields(ModelConfig)]
    assert {**written, **stored} == written


def test_whole_numbers_in_a_configuration_are_numbers(folder: Path) -> None:
    edit_config(folder, temperature=2, min_max_probability=0, mean=[0, 0, 1])
    config = load_config(folder)
    assert (config.temperature, config.mean) == (2.0, (0.0, 0.0, 1.0))


def test_a_missing_entry_is_named(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({"head": "pool"}))
    assert "labels is missing in the model configuration" in refusal(folder).message


@pytest.mark.parametrize("text", [b"", b"{", b"[1, 2]", b"null", b'"text"', b"\xff\xfe\x00\x9f"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: bytes) -> None:
    (folder / "config.json").write_bytes(text)
    assert "config.json is not a readable" in refusal(folder).message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 0),
        ("temperature", float("nan")),
        ("temperature", "1"),
        ("temperature", True),
        ("crop_pct", 0),
        ("crop_pct", 1.5),
        ("min_max_probability", 1.1),
        ("max_normalized_entropy", -0.1),
        ("uncertain_below", 2),
        ("input_size", 0),
        ("input_size", 224.5),
        ("hidden_size", 0),
        ("hidden_size", 16.5),
        ("interpolation", "nearest-ish"),
        ("crop_mode", "corner"),
        ("backbone", "resnet-eighteen"),
        ("backbone", 18),
        ("head", "transformer"),
        ("stride_in_1x1", "yes"),
        ("labels", ["same", "same"]),
        ("labels", "Acne"),
        ("labels", [1, 2]),
        ("labels", None),
        ("mean", [0.5, 0.5]),
        ("mean", ["a", "b", "c"]),
        ("std", [0.2, 0.2, 0]),
        ("format_version", 2),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(folder: Path, key: str, value: object) -> None:
    edit_config(folder, **{key: value})
    error = refusal(folder)
    assert "config.json" in error.message
    assert key in error.message or str(value) in error.message
