"""Warnings about a photo: dark, washed out, blurred and small ones get theirs, a good one none."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import encode
from PIL import Image, ImageFilter

from app.predictor import Predictor
from model.image import read_image
from model.image.quality import SIDE, check_quality


def photo(
    width: int = 640, height: int = 480, *, tone: tuple[int, int, int] = (205, 160, 135)
) -> Image.Image:
    """Skin of one tone, drawn by code: light that falls off to one side; pores and lines on every scale."""
    random = np.random.default_rng(1)
    light = np.linspace(1.0, 0.75, width)[None, :, None] * np.ones((height, 1, 1))
    for cell in (1, 3, 9):
        shape = (height // cell + 1, width // cell + 1)
        grain = Image.fromarray(random.normal(0, 0.05, shape).astype(np.float32)).resize((width, height))
        light = light + np.asarray(grain)[..., None]
    return Image.fromarray((np.array(tone) * light).clip(0, 255).astype(np.uint8))


def names(picture: Image.Image) -> list[str]:
    return [warning.name for warning in check_quality(picture)]


@pytest.mark.parametrize("tone", [(235, 205, 190), (205, 160, 135), (120, 80, 60)])
def test_a_good_photo_gets_no_warning_on_any_skin(tone: tuple[int, int, int]) -> None:
    assert names(photo(tone=tone)) == []


def test_a_black_backdrop_and_a_white_sheet_are_no_fault() -> None:
    for colour in ("black", "white"):
        picture = photo()
        picture.paste(colour, (0, 0, 120, 480))
        assert names(picture) == []


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda picture: picture.point(lambda value: int(value * 0.3)), ["too_dark"]),
        (lambda picture: picture.point(lambda value: min(255, int(value * 2))), ["too_bright"]),
        (lambda picture: picture.filter(ImageFilter.GaussianBlur(8)), ["blurred"]),
        (lambda picture: picture.crop((0, 0, 250, 150)), ["too_small"]),
        (
            lambda picture: picture.resize((150, 112)).filter(ImageFilter.GaussianBlur(4)),
            ["too_small", "blurred"],
        ),
    ],
)
def test_a_spoilt_photo_gets_its_warning_with_advice(spoil: object, expected: list[str]) -> None:
    warnings = check_quality(spoil(photo()))  # type: ignore[operator]
    assert [warning.name for warning in warnings] == expected
    for warning in warnings:
        low = warning.name != "too_bright"
        assert (warning.value < warning.threshold) if low else (warning.value > warning.threshold)
        assert warning.message.endswith(".")
        assert warning.advice.endswith(".")


def test_a_reduced_decode_gives_the_same_warnings() -> None:
    for blur in (0, 3, 12):
        data = encode(photo(2400, 1800).filter(ImageFilter.GaussianBlur(blur)), "JPEG", quality=92)
        reduced = read_image(data, target_side=SIDE)
        assert min(reduced.size) < 600
        assert names(reduced) == names(read_image(data)) == (["blurred"] if blur == 12 else [])


def test_the_original_size_counts(predictor: Predictor) -> None:
    """The tiny checkpoint needs far fewer pixels than either photo has."""
    large = predictor.predict(encode(photo(1600, 1200))).to_json()
    small = predictor.predict(encode(photo(300, 190))).to_json()
    assert large["quality"] == []
    assert [set(row) for row in small["quality"]] == [{"name", "value", "threshold", "message", "advice"}]
    assert (small["quality"][0]["name"], small["quality"][0]["value"]) == ("too_small", 190.0)
    assert "shorter side has 190 pixels" in small["quality"][0]["message"]
    assert small["verdict"] in ("condition", "uncertain", "no_condition"), "a warning is no block"
