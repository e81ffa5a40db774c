"""Numbers, names and texts in a checkpoint that nobody could answer from are refused by name."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import encode, make_picture
from safetensors.torch import load_file, save_file

from app.pages.about import about_html
from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app
from model.checkpoint import find, load, save
from model.config import ModelConfig
from model.decision.ood import DETECTOR, Detector, parse_detector
from model.errors import CheckpointError, ComputationError
from model.network import SkinDiseaseNet

WEIGHTS = "model.safetensors"
VARIANCE, BIAS, COUNT = (
    "backbone.bn1.running_var",
    "head.classifier.bias",
    "backbone.bn1.num_batches_tracked",
)


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, free to damage."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def change(folder: Path, name: str, changed: Callable[[torch.Tensor], torch.Tensor]) -> None:
    weights = load_file(folder / WEIGHTS)
    weights[name] = changed(weights[name].clone())
    save_file(weights, folder / WEIGHTS)


def set_first(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def changed(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[0] = value
        return tensor

    return changed


@pytest.mark.parametrize("name", [VARIANCE, BIAS])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_by_name(folder: Path, name: str, value: float) -> None:
    change(folder, name, set_first(value))
    with pytest.raises(CheckpointError, match=rf"{name} in .* holds {value}") as caught:
        find(folder)
    assert "damaged" in caught.value.hint


def test_a_number_of_64_bits_that_is_too_large_for_the_network_is_refused_by_name(folder: Path) -> None:
    change(folder, BIAS, lambda tensor: set_first(1e300)(tensor.double()))
    with pytest.raises(CheckpointError, match=rf"{BIAS} in .* holds 1e\+300 .*not finite in float32"):
        find(folder)


@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        (BIAS, torch.int32, "holds whole numbers, but the network has floating-point numbers"),
        (BIAS, torch.bool, "holds truth values, but the network has floating-point numbers"),
        (BIAS, torch.complex64, "holds C64"),
        (COUNT, torch.float32, "holds floating-point numbers, but the network has whole numbers"),
        (COUNT, torch.bool, "holds truth values, but the network has whole numbers"),
    ],
)
def test_another_kind_of_number_is_refused_by_name(
    folder: Path, name: str, dtype: torch.dtype, words: str
) -> None:
    change(folder, name, lambda tensor: tensor.to(dtype))
    with pytest.raises(CheckpointError, match=rf"{name} in .* {words}"):
        load(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_floating_point_of_any_width_is_read(folder: Path, dtype: torch.dtype) -> None:
    change(folder, BIAS, lambda tensor: tensor.to(dtype))
    stored = load_file(folder / WEIGHTS)[BIAS]
    assert torch.equal(load(folder).network.state_dict()[BIAS], stored.float())


@pytest.mark.parametrize("value", [1e5, float("nan")])
def test_what_float16_cannot_hold_is_not_saved(folder: Path, tiny_config: ModelConfig, value: float) -> None:
    network = SkinDiseaseNet(tiny_config)
    network.backbone.bn1.running_var[0] = value
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(CheckpointError, match=rf"{VARIANCE} holds {value:g}"):
        save(folder, network, tiny_config, card="")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]


def test_an_answer_that_is_not_finite_is_an_error_and_no_verdict(tmp_path: Path) -> None:
    """Finite weights so large that what they compute overflows."""
    config = ModelConfig(labels=("Acne", "Moles"), backbone="test_resnet", head="pool", input_size=64)
    torch.manual_seed(0)
    network = SkinDiseaseNet(config)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "conv" in name:
                weight.fill_(6e4)
    save(tmp_path / "huge", network, config, card="")
    predictor = Predictor.from_checkpoint(str(tmp_path / "huge"), runtime="torch")
    photo = encode(make_picture())
    with pytest.raises(ComputationError, match="logits that are not finite for this picture"):
        predictor.predict(photo)
    client = create_app(Settings(port=8000), predictor).test_client()
    answer = client.post("/api/v1/predict", data=photo, content_type="image/jpeg")
    assert answer.status_code == 500
    assert answer.json["error"]["code"] == "no_finite_answer"


# The configuration


@pytest.mark.parametrize(
    "name",
    [
        "../detector.safetensors",
        "/etc/detector.safetensors",
        "a/detector.safetensors",
        "..",
        "detector.bin",
        "detector.safetensors\0",
        ".detector.safetensors",
        "model.safetensors",
        "x" * 300 + ".safetensors",
    ],
)
def test_a_file_that_the_config_names_lies_beside_it(folder: Path, name: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "detector": name}))
    with pytest.raises(CheckpointError, match=r"detector is .* name of a \.safetensors file beside it"):
        find(folder)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: "[" * 100_000, "nested too deeply"),
        (lambda text: '{"labels": ' * 100_000, "nested too deeply"),
        (lambda text: text.replace("{", '{"temperature": 2.0,', 1), "'temperature' appears twice"),
        (lambda text: text.replace('"temperature": 0.5', f'"temperature": {"9" * 5000}'), "digits"),
        (
            lambda text: text.replace('"temperature": 0.5', f'"temperature": {"9" * 400}'),
            "temperature is 999",
        ),
        (lambda text: text.replace('"Acne"', '"\\ud800"', 1), "all of them printable"),
        (lambda text: text.encode("utf-16"), "utf-8"),
    ],
)
def test_json_that_cannot_be_relied_upon_is_refused_in_plain_words(
    folder: Path, damage: Callable[[str], str | bytes], words: str
) -> None:
    path = folder / "config.json"
    text = damage(path.read_text())
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CheckpointError, match=words) as caught:
        find(folder)
    assert len(str(caught.value)) < 1000


def test_a_byte_order_mark_before_the_config_changes_nothing(folder: Path, tiny_config: ModelConfig) -> None:
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert find(folder).config == tiny_config


def test_a_backbone_that_cannot_be_built_is_refused_in_plain_words(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "backbone": "resnet50.../../x"}))
    with pytest.raises(CheckpointError, match="describes no network that can be built"):
        load(folder)


# The detector


def detector(**changes: object) -> Detector:
    values = {
        "centres": np.zeros((2, 3), np.float16),
        "directions": np.zeros((3, 1), np.float16),
        "weights": np.ones(1, np.float32),
        "neighbour": 1,
        "normalised": False,
        "reference": np.array([1.0, 2.0]),
        **changes,
    }
    return Detector(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference": np.array([1.0, np.nan])}, "reference"),
        ({"centres": np.full((2, 3), np.inf, np.float16)}, "centres"),
        ({"weights": np.ones(1, np.int64)}, "weights"),
        ({"directions": np.zeros((3, 1), bool)}, "directions"),
        ({"reference": np.empty(0)}, "do not fit"),
        ({"reference": np.array([2.0, 1.0])}, "do not fit"),
        ({"neighbour": 3}, "do not fit"),
        ({"neighbour": "1"}, "do not fit"),
        ({"normalised": 0}, "do not fit"),
    ],
)
def test_a_detector_that_could_not_be_relied_upon_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = detector(**changes)
    if words != "do not fit":
        with pytest.raises(CheckpointError, match=words):
            wrong.save(tmp_path)
        assert not list(tmp_path.iterdir())
    with monkeypatch.context() as unchecked:
        unchecked.setattr("model.decision.stored.check_numbers", lambda *_: None)
        wrong.save(tmp_path)
    with pytest.raises(CheckpointError, match=rf"not a readable detector \(.*{words}"):
        parse_detector((tmp_path / DETECTOR).read_bytes(), tmp_path / DETECTOR)


def test_a_checkpoint_whose_detector_is_damaged_is_refused_at_the_start(
    folder: Path, tiny_config: ModelConfig
) -> None:
    detector().save(folder)
    (folder / "config.json").write_text(dataclasses.replace(tiny_config, detector=DETECTOR).to_json())
    revision = find(folder).revision
    detector(reference=np.array([1.0, 3.0])).save(folder)
    assert find(folder).revision != revision
    (folder / DETECTOR).write_bytes((folder / DETECTOR).read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=r"detector\.safetensors is not a readable detector"):
        find(folder)


# The card

CARD = "---\nlicense: cc-by-nc-4.0\n---\n# Für Ärzte\n"


@pytest.mark.parametrize(
    "data",
    [
        CARD.encode(),
        CARD.replace("\n", "\r\n").encode("utf-8-sig"),
        CARD.encode("cp1252"),
        CARD.encode("utf-16"),
    ],
    ids=["UTF-8", "with a byte order mark", "cp1252", "UTF-16"],
)
def test_a_card_in_any_encoding_keeps_its_terms_and_text(folder: Path, data: bytes) -> None:
    (folder / "README.md").write_bytes(data)
    predictor = Predictor.from_checkpoint(str(folder), runtime="torch")
    assert predictor.terms == "cc-by-nc-4.0"
    assert "<h2>Für Ärzte</h2>" in about_html(predictor.card)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe\0",
        b"\x81\x8d\x00\xff",
        b"---\n- a\n- b\n---\n",
        b"---\nlicense: " + b"[" * 5000 + b"\n---\n",
        b"---\nlicense: *x\n---\n",
        b"---\nlicense: {a: 1}\n---\n",
        b"---\n\tlicense: x\n---\n",
    ],
)
def test_no_card_keeps_a_checkpoint_from_being_served(folder: Path, data: bytes) -> None:
    (folder / "README.md").write_bytes(data)
    predictor = Predictor.from_checkpoint(str(folder), runtime="torch")
    assert predictor.describe().count("\n") == 0
    assert about_html(predictor.card)
