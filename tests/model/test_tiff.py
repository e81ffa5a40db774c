"""TIFF: the first page is read as a viewer would, and what is not read is named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from conftest import encode, make_picture
from PIL import Image, ImageCms
from tiff_made import tiff, tiled

from model.errors import ImageError
from model.image import read_image

PICTURE = make_picture(96, 72)


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.convert("RGB").tobytes()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK"])
def test_every_kind_of_pixels(mode: str, compression: str) -> None:
    picture = PICTURE.convert(mode)
    assert same(read_image(encode(picture, "TIFF", compression=compression)), picture)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [1, 2])
def test_planes_bits_and_byte_orders(order: str, bits: int, planar: int) -> None:
    pixels = np.asarray(PICTURE).astype(f"{order}u{bits // 8}") * (257 if bits == 16 else 1)
    assert same(read_image(tiff(pixels, order=order, planar=planar)), PICTURE)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_is_scaled(order: str) -> None:
    pixels = np.linspace(0, 65535, 64 * 64).round().astype(f"{order}u2").reshape(64, 64)
    got = np.asarray(read_image(tiff(pixels, order=order)))
    assert np.array_equal(got[..., 0], np.rint(pixels / 257))


def test_tiles() -> None:
    assert same(read_image(tiled(np.asarray(PICTURE), 32, 16)), PICTURE)


def test_the_first_page_is_read_without_the_others() -> None:
    pages = encode(PICTURE, "TIFF", save_all=True, append_images=[Image.new("RGB", (5, 5))] * 3)
    assert same(read_image(pages), PICTURE)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation(orientation: int) -> None:
    turn = {1: 0, 3: 180, 6: 90, 8: -90}[orientation]
    stored = PICTURE.rotate(turn, expand=True)
    assert same(read_image(encode(stored, "TIFF", tiffinfo={274: orientation})), PICTURE)


def test_lab_colours() -> None:
    lab = ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    got = read_image(encode(transform.apply(PICTURE), "TIFF"))
    assert np.abs(np.asarray(got, float) - np.asarray(PICTURE, float)).mean() < 2


def test_white_is_zero() -> None:
    grey = np.asarray(PICTURE.convert("L"))
    assert same(read_image(tiff(255 - grey, photometric=0)), PICTURE.convert("L"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (encode(Image.new("F", (64, 64)), "TIFF"), "channels other than integers"),
        (encode(Image.new("I", (64, 64)), "TIFF"), "channels other than integers"),
        (encode(PICTURE, "TIFF", compression="jpeg"), "compression 7"),
        (encode(PICTURE.convert("1"), "TIFF", compression="group4"), "compression 4"),
        (tiff(np.asarray(PICTURE), more=[(50706, 1, (1, 4, 0, 0))]), "raw file"),
        (tiff(np.asarray(PICTURE), more=[(254, 4, (1,))]), "raw file"),
        (tiff(np.zeros((64, 64), "<u2"), photometric=0), "with 16 bits"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words) as refused:
        read_image(data)
    assert refused.value.code == "unsupported_format"
    assert "JPEG" in refused.value.hint


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_cut_off_files_are_called_damaged(share: float) -> None:
    for data in (encode(PICTURE, "TIFF"), encode(PICTURE, "TIFF", compression="tiff_lzw")):
        with pytest.raises(ImageError) as refused:
            read_image(data[: max(8, int(len(data) * share))])
        assert refused.value.code == "invalid_image"
        assert "cut off" in refused.value.message


def test_a_directory_that_names_itself_ends() -> None:
    data = tiff(np.asarray(PICTURE))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    after = start + 2 + 12 * count
    assert same(read_image(data[:after] + data[4:8] + data[after + 4 :]), PICTURE)
