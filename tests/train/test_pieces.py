"""``pieces``: healthy skin beside a condition, cut out of drawn pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import encode
from datasets_made import write_parquet
from PIL import Image, ImageDraw

from model.checkpoint import save
from model.config import ModelConfig
from model.labels import NO_CONDITION
from model.network import SkinDiseaseNet
from train.__main__ import main
from train.data.healthy_pieces import Piece, away_from, smooth_pieces
from train.data.splits import load_split

SKIN = (205, 155, 130)
NAMES = ["Acne", NO_CONDITION]


def arm(*, spot: bool = True, side: int = 320) -> Image.Image:
    """Evenly lit skin, with a red, rough place in its lower right quarter."""
    picture = Image.new("RGB", (side, side), SKIN)
    if spot:
        draw = ImageDraw.Draw(picture)
        for step in range(0, side // 3, 6):
            place = side * 5 // 8 + step
            draw.rectangle([place, side * 5 // 8, place + 3, side - 8], fill=(190, 60, 60))
    return picture


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose evidence for every label is nowhere: all weights of its head are 0."""
    folder = tmp_path_factory.mktemp("pieces") / "checkpoint"
    config = ModelConfig(labels=tuple(NAMES), backbone="test_resnet", head="pool", input_size=64)
    torch.manual_seed(0)
    network = SkinDiseaseNet(config)
    with torch.no_grad():
        network.head.classifier.weight.zero_()
    save(folder, network, config, card="")
    return folder


def write(folder: Path, pictures: list[Image.Image], labels: list[str]) -> Path:
    rows = [
        {
            "image": {"bytes": encode(picture, "PNG"), "path": f"{number}.png"},
            "label": label,
            "source": "drawn here" if number % 2 else "clinic",
            "group": str(number),
        }
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True))
    ]
    write_parquet(folder / "train.parquet", rows, names=NAMES)
    return folder


def command(data: Path, checkpoint: Path, output: Path) -> list[str]:
    return ["pieces", "--data", str(data), "--checkpoint", str(checkpoint), "--output", str(output)]


def test_a_piece_is_smooth_skin_and_leaves_the_rough_place_out() -> None:
    pieces = smooth_pieces(arm())
    assert pieces
    for piece in pieces:
        _, _, right, bottom = piece.box
        assert right <= 205 or bottom <= 205, "it reaches into the red, rough place"
    assert smooth_pieces(Image.new("RGB", (320, 320), (40, 90, 200))) == [], "blue is no skin"


def test_a_piece_holds_no_evidence() -> None:
    pieces = [Piece((0, 0, 100, 100), 1.0), Piece((100, 100, 200, 200), 2.0)]
    evidence = np.zeros((4, 4), dtype=np.float32)
    evidence[0, 0] = 1
    assert away_from(pieces, evidence, (200, 200)) == pieces[1]
    assert away_from(pieces[:1], evidence, (200, 200)) is None


def test_pieces_become_a_data_set_with_a_sheet_a_source(blank: Path, tmp_path: Path) -> None:
    pictures = [arm(), arm(), arm(spot=False), Image.new("RGB", (200, 200), "blue")]
    data = write(tmp_path / "data", pictures, ["Acne", "Acne", NO_CONDITION, "Acne"])
    output = tmp_path / "out"
    assert main(command(data, blank, output)) == 0
    rows = load_split([str(output)], "train", labels=NAMES)
    assert [NAMES[label] for label in rows["label"]] == [NO_CONDITION] * 2
    assert rows["source"] == ["pieces_clinic", "pieces_drawn here"]
    assert rows["group"] == ["0", "1"], "a piece stays with the picture that it was cut from"
    with Image.open(io.BytesIO(rows[0]["image"]["bytes"])) as piece:
        assert piece.size == (160, 160)
        assert np.asarray(piece.convert("RGB")).mean(axis=(0, 1)) == pytest.approx(SKIN, abs=6)
    sheets = sorted(path.name for path in (output / "sheets").iterdir())
    assert sheets == ["train-pieces_clinic-1.jpg", "train-pieces_drawn-here-1.jpg"]
    with Image.open(output / "sheets" / sheets[0]) as sheet:
        assert sheet.size == (96, 108)


def test_where_there_is_no_piece_nothing_is_written(
    blank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data", [Image.new("RGB", (200, 200), "blue")] * 2, ["Acne"] * 2)
    assert main(command(data, blank, tmp_path / "out")) == 1
    assert "None of the 2 pictures" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))
