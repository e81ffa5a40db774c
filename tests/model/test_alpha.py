"""What is see-through is laid on white, whichever way a format tells it; what is only unused is not."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from conftest import encode, make_picture
from pictures_made import png, png_chunk
from PIL import Image

from model.image import read_image

PICTURE = make_picture(64, 48)


def packed(values: np.ndarray, depth: int) -> bytes:
    """Rows of a PNG: (H, W) or (H, W, 3) whole numbers of so many bits."""
    if depth >= 8:
        rows = values.astype(">u2" if depth == 16 else np.uint8)
    else:
        bits = (values[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(len(values), -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def png_with_transparent(values: np.ndarray, depth: int, transparent: tuple[int, ...]) -> bytes:
    colour = 2 if values.ndim == 3 else 0
    data = png(values.shape[1], values.shape[0], depth=depth, colour=colour, rows=packed(values, depth))
    told = png_chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    return data[:33] + told + data[33:]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_grey_of_a_png_is_transparent(depth: int) -> None:
    levels = 2**depth
    values = np.arange(64 * 64).reshape(64, 64) * (257 if depth == 16 else 1) % levels
    # In 16 bits, a neighbour looks the same once it is scaled, and is not the one that is meant.
    wanted = 25957 if depth == 16 else levels // 2
    values[0, :2] = wanted, wanted + 1 if depth == 16 else wanted - 1
    got = np.asarray(read_image(png_with_transparent(values, depth, (wanted,))))
    expected = np.rint(values * 255 / (levels - 1))
    expected[values == wanted] = 255
    assert np.array_equal(got, np.repeat(expected[..., None], 3, axis=-1))
    assert (got[0, 1] < 255).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_one_colour_of_a_png_is_transparent(depth: int) -> None:
    scale = 1 if depth == 8 else 256
    values = np.full((64, 64, 3), (40 * scale, 80 * scale, 120 * scale))
    wanted = (200 * scale + scale // 2, 100 * scale, 50 * scale + scale - 1)
    values[:, 32:] = wanted
    values[:, 48:, 2] -= 1  # in 16 bits: equal to the wanted colour in the upper bytes
    got = np.asarray(read_image(png_with_transparent(values, depth, wanted)))
    assert (got[:, :32] == (40, 80, 120)).all()
    assert (got[:, 32:48] == 255).all()
    assert (got[:, 48:] == (200, 100, 50 if depth == 16 else 49)).all()


def test_transparency_of_a_grey_png_with_a_profile() -> None:
    values = np.full((64, 64), 128)
    values[:, 32:] = 7
    data = png_with_transparent(values, 8, (7,))
    got = np.asarray(read_image(data[:33] + png_chunk(b"gAMA", struct.pack(">I", 100_000)) + data[33:]))
    assert (got[:, 32:] == 255).all()
    assert np.abs(got[:, :32].astype(int) - 188).max() <= 1  # half the light


@pytest.mark.parametrize("colours", [2, 4, 16, 200])
def test_a_palette_with_alpha(colours: int) -> None:
    few = PICTURE.quantize(colours, dither=Image.Dither.NONE)
    got = np.asarray(read_image(encode(few, "PNG", transparency=bytes([0, 128]))), float)
    expected = np.asarray(few.convert("RGB"), float)
    places = np.asarray(few)
    expected[places == 0] = 255
    expected[places == 1] = (expected[places == 1] * 128 + 255 * 127) / 255
    assert np.abs(got - expected).max() <= 1


def bmp(rows: np.ndarray, *, header: int, compression: int) -> bytes:
    """A BMP of 32 bits, its rows BGRA from the bottom, with a header of 40, 56, 108 or 124 bytes."""
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    height, width = rows.shape[:2]
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, 32, compression, rows.size, 0, 0, 0, 0)
    info = (info + (masks if header > 40 else masks[:12] if compression == 3 else b"")).ljust(header, b"\0")
    head = b"BM" + struct.pack("<IHHI", 14 + len(info) + rows.size, 0, 0, 14 + len(info))
    return head + info + rows.astype(np.uint8).tobytes()


@pytest.mark.parametrize(("header", "compression"), [(40, 0), (40, 3), (56, 3), (108, 3), (124, 3), (124, 0)])
def test_a_bmp_whose_alpha_is_all_zero_is_opaque(header: int, compression: int) -> None:
    pixels = np.asarray(PICTURE)[::-1, :, ::-1]
    rows = np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    assert read_image(bmp(rows, header=header, compression=compression)).tobytes() == PICTURE.tobytes()


@pytest.mark.parametrize("header", [56, 108, 124])
def test_a_bmp_with_alpha_is_laid_on_white(header: int) -> None:
    rows = np.dstack([np.asarray(PICTURE)[::-1, :, ::-1], np.full(PICTURE.size[::-1], 255)])
    rows[:, 32:, 3] = 0
    got = np.asarray(read_image(bmp(rows, header=header, compression=3)))
    assert np.array_equal(got[:, :32], np.asarray(PICTURE)[:, :32])
    assert (got[:, 32:] == 255).all()
