"""What training and evaluation do to a picture before the network sees it."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from conftest import make_picture
from PIL import Image

from model.config import ModelConfig
from model.image.augment import RandomCompression, RandomDownscale, RandomQuarterTurn, eval_transform
from model.labels import LABELS

SOME = LABELS[:3]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("width", "height"), [(300, 200), (150, 290)])
def test_eval_transform_is_resize_crop_and_normalise(width: int, height: int, interpolation: str) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    config = ModelConfig(
        labels=SOME, input_size=96, crop_pct=0.8, interpolation=interpolation, mean=mean, std=std
    )
    picture = make_picture(width, height, seed=4)
    scale = 120 / min(width, height)
    size = (int(width * scale), int(height * scale))
    resized = picture.resize(size, Image.Resampling[interpolation.upper()])
    left, top = round((size[0] - 96) / 2), round((size[1] - 96) / 2)
    values = np.asarray(resized.crop((left, top, left + 96, top + 96))) / 255.0
    wanted = ((values - mean) / std).transpose(2, 0, 1)
    got = eval_transform(config=config)(picture)
    assert got.shape == (3, 96, 96)
    assert np.allclose(got.numpy(), wanted, atol=1e-5)


def test_squash_sees_the_whole_picture_made_square() -> None:
    config = ModelConfig(labels=SOME, input_size=96, crop_mode="squash")
    picture = make_picture(300, 150, seed=4)
    values = np.asarray(picture.resize((96, 96), Image.Resampling.BICUBIC)) / 255.0
    wanted = ((values - config.mean) / config.std).transpose(2, 0, 1)
    assert np.allclose(eval_transform(config=config)(picture).numpy(), wanted, atol=1e-5)


def test_quarter_turns_show_every_side_equally_often_or_leave_the_picture_alone() -> None:
    picture = make_picture(60, 40, seed=3)
    random.seed(0)
    turned = RandomQuarterTurn(on=True)
    seen = Counter(turned(picture).tobytes() for _ in range(400))
    assert set(seen) == {picture.rotate(90 * quarter, expand=True).tobytes() for quarter in range(4)}
    assert min(seen.values()) > 60
    assert all(RandomQuarterTurn(on=False)(picture) is picture for _ in range(20))


def test_random_downscale_blurs_with_its_probability_and_keeps_the_size() -> None:
    fine = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    random.seed(0)
    never = RandomDownscale(probability=0.0, smallest=0.3)
    assert all(never(fine) is fine for _ in range(20))
    half = RandomDownscale(probability=0.5, smallest=0.3)
    results = [half(fine) for _ in range(200)]
    assert 70 < sum(result is not fine for result in results) < 130
    assert all(result.size == fine.size for result in results)
    always = RandomDownscale(probability=1.0, smallest=0.3)(fine)
    assert np.asarray(always).std() < np.asarray(fine).std() - 5


def test_compression_changes_a_picture_only_as_a_jpeg_would() -> None:
    picture = make_picture(64, 48)
    random.seed(0)
    compressed = RandomCompression(probability=1.0, lowest=30)(picture)
    assert (compressed.size, compressed.mode) == (picture.size, "RGB")
    difference = np.abs(np.asarray(compressed).astype(int) - np.asarray(picture))
    assert 0 < difference.mean() < 20
    assert RandomCompression(probability=0.0, lowest=30)(picture) is picture
