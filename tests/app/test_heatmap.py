"""The heat map: where it lies, how large it is, what it explains."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import encode, make_picture
from PIL import Image

from app.heatmap import overlay, png_bytes
from app.predictor import Predictor
from model.config import ModelConfig
from model.errors import ConfigError
from model.image import read_image
from model.image.preprocess import seen_share
from model.labels import LABELS

PHOTO = encode(make_picture(120, 90, seed=4))


def heatmap(predictor: Predictor, data: bytes = PHOTO, explain: str | None = None) -> str:
    drawn = predictor.predict(data, heatmap=True, explain=explain).heatmap
    assert drawn is not None
    return drawn


def test_outside_the_square_that_the_network_saw_there_is_no_heat(predictor: Predictor) -> None:
    data = encode(make_picture(160, 64, seed=1), "PNG")
    picture = np.asarray(read_image(data)).astype(int)
    inside = np.zeros((64, 160), bool)
    inside[:, 48:112] = True
    heat = 0
    for label in LABELS[:6]:
        uri = heatmap(predictor, data, label)
        assert uri.startswith("data:image/png;base64,")
        drawn = np.asarray(read_image(png_bytes(uri))).astype(int)
        assert drawn.shape == picture.shape
        assert np.array_equal(drawn[~inside], picture[~inside])
        heat += np.abs(drawn - picture)[inside].sum()
    assert heat > 0


@pytest.mark.parametrize(("size", "square"), [((200, 80), (60, 0)), ((80, 200), (0, 60)), ((80, 80), (0, 0))])
@pytest.mark.parametrize("place", [(0, 0), (0, 3), (3, 0), (2, 1)])
def test_heat_lies_over_its_place(
    size: tuple[int, int], square: tuple[int, int], place: tuple[int, int]
) -> None:
    grey = Image.new("RGB", size, (90, 90, 90))
    evidence = np.zeros((4, 4), np.float32)
    evidence[place] = 1
    seen = seen_share(size, config=ModelConfig(labels=LABELS, input_size=80))
    change = np.abs(np.asarray(overlay(grey, evidence, seen=seen)).astype(int) - 90).sum(axis=-1)
    y, x = np.argwhere(change == change.max()).mean(axis=0)
    assert (y - square[1]) // 20 == place[0]
    assert (x - square[0]) // 20 == place[1]


def test_a_network_that_sees_a_smaller_square_has_heat_only_there() -> None:
    grey = Image.new("RGB", (100, 100), (90, 90, 90))
    seen = seen_share(grey.size, config=ModelConfig(labels=LABELS, input_size=80, crop_pct=0.8))
    drawn = np.asarray(overlay(grey, np.ones((4, 4), np.float32), seen=seen)).astype(int)
    heated = (drawn != 90).any(axis=-1)
    assert heated[10:90, 10:90].all()
    assert heated.sum() == 80 * 80


def test_a_network_that_sees_the_whole_picture_has_heat_up_to_its_edges() -> None:
    grey = Image.new("RGB", (200, 80), (90, 90, 90))
    config = ModelConfig(labels=LABELS, input_size=80, crop_mode="squash")
    seen = seen_share(grey.size, config=config)
    drawn = np.asarray(overlay(grey, np.ones((4, 4), np.float32), seen=seen)).astype(int)
    assert (drawn != 90).any(axis=-1).all()


def test_a_large_picture_gets_a_heat_map_of_bounded_size(predictor: Predictor) -> None:
    uri = heatmap(predictor, encode(make_picture(1400, 1000), "PNG"))
    assert read_image(png_bytes(uri)).size == (512, 366)


def test_another_label_than_the_first_can_be_explained(predictor: Predictor) -> None:
    ranked = [row.name for row in predictor.predict(PHOTO).conditions]
    first = heatmap(predictor)
    assert heatmap(predictor, explain=ranked[0]) == first
    others = {heatmap(predictor, explain=name) for name in ranked[1:5]}
    assert others - {first}


def test_an_unknown_label_to_explain_is_refused_with_the_labels(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match="no label 'Acné'") as caught:
        predictor.predict(PHOTO, heatmap=True, explain="Acné")
    assert "Acne" in caught.value.hint
