"""The gate: fitted on both kinds of pictures, measured on sources left out, stored, and asked every time."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import encode, make_picture
from datasets_made import make_rows, write_parquet
from PIL import Image, ImageDraw
from safetensors.numpy import save_file

from app.pages import render
from app.pages.batch import rows
from app.predictor import Predictor
from model.checkpoint import files, find, fingerprint
from model.decision.modality import GATE, Gate, parse_gate
from model.errors import CheckpointError
from train.__main__ import main
from train.calibrate.gate import Kinds, fit, held_out
from train.config import TrainConfig
from train.report.card import model_card


def kinds(count: int = 200, *, shift: float = 2.0) -> Kinds:
    """Three clinical sources and one of dermoscopy, two pictures a group, each source with its own offset."""
    rng = np.random.default_rng(0)
    dermoscopy = np.arange(2 * count) >= count
    sources = np.array([("clinic", "atlas", "web")[n % 3] for n in range(count)] + ["scope"] * count, object)
    offsets = {name: rng.normal(size=30) for name in ("clinic", "atlas", "web", "scope")}
    features = rng.normal(size=(2 * count, 30)) + np.stack([offsets[name] for name in sources])
    features[dermoscopy, :5] += shift
    groups = np.array([f"{n // 6}-{n % 3}" for n in range(2 * count)], object)
    return Kinds(features, features, dermoscopy, sources, groups)


def test_each_source_is_measured_by_a_gate_that_never_saw_it() -> None:
    found = held_out(kinds())
    assert set(found) == {"clinic", "atlas", "web"}, "without its only source dermoscopy could not be learned"
    assert [own["own"] for own in found.values()] == [67, 67, 66]
    for own in found.values():
        assert own["auroc"] > 0.9
        assert own["n"] == own["own"] + own["ours"]
        assert 30 < own["ours"] < 50, "a fifth of the other kind"
    nothing = held_out(kinds(shift=0.0)._replace(plain=np.random.default_rng(1).normal(size=(400, 30))))
    assert all(0.2 < own["auroc"] < 0.8 for own in nothing.values())


def test_a_gate_is_a_logistic_regression_on_standardised_features() -> None:
    made = kinds()
    gate = fit(made.augmented, made.dermoscopy, expects="clinical")
    chances = gate.dermoscopy(made.plain)
    assert ((chances > 0.5) == made.dermoscopy).mean() > 0.95
    scaled = fit(made.augmented * 100 + 7, made.dermoscopy, expects="clinical")
    assert scaled.dermoscopy(made.plain * 100 + 7) == pytest.approx(chances, abs=1e-3)
    with pytest.raises(CheckpointError, match="features of 30 channels, but the network gives 5"):
        gate.dermoscopy(np.zeros((2, 5)))


GATES = {"weights": np.ones(3, np.float32), "bias": np.zeros(1, np.float32), "expects": "clinical"}


@pytest.mark.parametrize(
    "changes",
    [{"weights": np.ones((3, 1))}, {"bias": np.zeros(2)}, {"expects": "painting"}, {"figures": [1]}, {}],
)
def test_a_file_that_is_no_gate_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    Gate(**{**GATES, **changes}).save(tmp_path)  # type: ignore[arg-type]
    if not changes:
        save_file({"weights": np.ones(3)}, tmp_path / GATE)
    with pytest.raises(CheckpointError, match=r"gate\.safetensors is not a readable gate"):
        parse_gate((tmp_path / GATE).read_bytes(), tmp_path / GATE)


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not all of weights are finite"):
        Gate(**{**GATES, "weights": np.full(3, np.nan)}).save(tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


# As a command


def scoped(seed: int) -> bytes:
    """A picture with the dark corners of a dermatoscope."""
    picture = make_picture(72, 72, seed=seed)
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse((6, 6, 66, 66), fill=255)
    return encode(Image.composite(picture, Image.new("RGB", picture.size), mask), "WEBP")


@pytest.fixture(scope="module")
def gated(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gated")
    folder = place / "tiny"
    shutil.copytree(tiny_checkpoint, folder)
    photographs, scopes = make_rows(66, seed=1), make_rows(40, seed=2)
    for row, values in enumerate(scopes):
        values["image"] = {"bytes": scoped(row), "path": f"{row}.webp"}
    write_parquet(place / "clinical" / "validation.parquet", photographs)
    write_parquet(place / "scoped" / "train.parquet", scopes, columns=("image", "lesion_id"))
    words = ["gate", f"--checkpoint={folder}", "--clinical", str(place / "clinical"), "--dermoscopy"]
    words += [str(place / "scoped"), "--dermoscopy_split=train", "--expects=clinical", "--device=cpu"]
    assert main(words) == 0
    return folder


def test_the_command_adds_the_gate_and_its_figures(gated: Path, tiny_checkpoint: Path) -> None:
    found = find(gated)
    assert found.gate is not None
    assert (found.config.gate, found.gate.expects) == (GATE, "clinical")
    assert set(found.gate.figures) == {"clinic", "atlas"}
    card = model_card(found.config, options=dataclasses.asdict(TrainConfig()), training="", gate=found.gate)
    assert "learned from clinical photographs" in card
    assert "| clinic | 33 | " in card
    assert files(gated)[GATE].is_file()
    assert fingerprint(gated) != fingerprint(tiny_checkpoint)
    assert (gated / "model.safetensors").read_bytes() == (tiny_checkpoint / "model.safetensors").read_bytes()


def test_a_picture_of_the_other_kind_is_called_what_it_is(gated: Path) -> None:
    served = Predictor.from_checkpoint(str(gated), device="cpu", runtime="torch")
    photograph = served.predict(make_rows(2, seed=7)[0]["image"]["bytes"])
    scope = served.predict(scoped(99))
    assert photograph.modality is not None
    assert (photograph.modality.name, photograph.modality.message) == ("clinical", None)
    seen = scope.to_json()["modality"]
    assert (seen["name"], seen["expected"]) == ("dermoscopy", "clinical")
    assert 0.5 < seen["probability"] <= 1
    way = render.Way(address="/", report="/report", start="/", several="/batch", learn="/learn")
    page = render.answer(scope, picture="data:,", way=way)
    assert seen["message"] in page
    assert "another kind" not in render.answer(photograph, picture="data:,", way=way)
    assert [row.modality for row in rows([photograph, scope])] == ["", seen["message"]]


def test_the_other_way_round_it_says_so_too(gated: Path) -> None:
    found = find(gated)
    assert found.gate is not None
    sure = {"weights": found.gate.weights * 20, "bias": found.gate.bias * 20}
    turned = dataclasses.replace(found, gate=dataclasses.replace(found.gate, expects="dermoscopy", **sure))
    served = Predictor(turned, runtime=Predictor.from_checkpoint(str(gated), runtime="torch").runtime)
    seen = served.predict(make_rows(2, seed=7)[0]["image"]["bytes"]).modality
    assert seen is not None
    assert "ordinary photo" in (seen.message or "")
    assert served.predict(scoped(99)).modality == dataclasses.replace(
        served.predict(scoped(99)).modality, message=None
    )


def test_a_checkpoint_without_a_gate_says_nothing(predictor: Predictor) -> None:
    assert predictor.predict(scoped(1)).to_json()["modality"] is None
