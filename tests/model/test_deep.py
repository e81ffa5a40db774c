"""Pictures of 16 bits a channel whose numbers stand for light: dark places too look as they are meant."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from conftest import make_picture
from pictures_made import png, png_chunk
from PIL import Image
from profiles_made import grey_profile, linear, rgb_profile
from tiff_made import tiff

from model.image import read_image

DARK = np.asarray(make_picture(96, 72), float) / 255 * 0.2
LINEAR_GAMMA = png_chunk(b"gAMA", struct.pack(">I", 100_000))


def sixteen(light: np.ndarray) -> np.ndarray:
    """Light, 0 to 1, as 16-bit numbers."""
    return np.rint(light * 65535).astype(np.uint16)


def png_of(values: np.ndarray, colour: int, *chunks: bytes) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    data = png(values.shape[1], values.shape[0], depth=16, colour=colour, rows=rows)
    return data[:33] + b"".join(chunks) + data[33:]


def iccp(profile: bytes) -> bytes:
    return png_chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))


def error(got: Image.Image, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(got, float) - expected * 255).mean())


def test_rgb_of_a_png() -> None:
    assert error(read_image(png_of(sixteen(linear(DARK)), 2, LINEAR_GAMMA)), DARK) < 1
    assert error(read_image(png_of(sixteen(linear(DARK)), 2, iccp(rgb_profile("linear sRGB")))), DARK) < 1


def test_rgb_with_alpha() -> None:
    alpha = np.full((72, 96, 1), 65535, np.uint16)
    alpha[:20] = 0
    expected = DARK.copy()
    expected[:20] = 1
    values = np.concatenate([sixteen(linear(DARK)), alpha], axis=-1)
    assert error(read_image(png_of(values, 6, LINEAR_GAMMA)), expected) < 1


@pytest.mark.parametrize("chunk", [LINEAR_GAMMA, iccp(grey_profile(1.0))])
def test_grey_with_alpha(chunk: bytes) -> None:
    grey = DARK[..., 1]
    alpha = np.full((72, 96), 65535, np.uint16)
    alpha[:20] = 0
    expected = np.repeat(grey[..., None], 3, axis=-1)
    expected[:20] = 1
    values = np.stack([sixteen(linear(grey)), alpha], axis=-1)
    assert error(read_image(png_of(values, 4, chunk)), expected) < 1


def test_a_colour_that_counts_as_transparent() -> None:
    values = sixteen(linear(DARK))
    values[:20] = (500, 700, 900)
    expected = DARK.copy()
    expected[:20] = 1
    hidden = png_chunk(b"tRNS", struct.pack(">3H", 500, 700, 900))
    assert error(read_image(png_of(values, 2, LINEAR_GAMMA, hidden)), expected) < 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_rgb_of_a_tiff(order: str) -> None:
    profile = (34675, 1, list(rgb_profile("linear sRGB")))
    data = tiff(sixteen(linear(DARK)), order=order, more=[profile])
    assert error(read_image(data), DARK) < 1


def test_ordinary_numbers_of_16_bits_with_a_profile() -> None:
    colours = np.asarray(make_picture(96, 72).convert("L").convert("RGB"), float) / 255
    got = read_image(png_of(sixteen(colours), 2, iccp(rgb_profile("Display P3"))))
    assert error(got, colours) < 1
