"""What phones, cameras and programs write that is a little unusual, and everyone else can open."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, encode, make_picture
from flask.testing import FlaskClient
from heif_made import alpha, grid, heif, hevc, ramp
from PIL import Image, ImageOps

from model.errors import ImageError
from model.image import read_image

PICTURE = make_picture(96, 72)


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


# HEIC and AVIF


@pytest.mark.parametrize("bits", ["8", "10"])
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1"])
def test_heic(bits: str, brand: bytes) -> None:
    assert difference(read_image(heif(hevc(bits), brand=brand)), ramp()) < 1


def test_tiles_make_one_picture() -> None:
    data = heif(grid(2, 1, 120, 64), hevc(), hevc(), references=[(b"dimg", 1, [2, 3])])
    got = read_image(data)
    assert difference(got.crop((0, 0, 64, 64)), ramp()) < 1
    assert difference(got.crop((64, 0, 120, 64)), ramp().crop((0, 0, 56, 64))) < 1


def test_the_main_picture_is_taken_of_several() -> None:
    turned = hevc("8", (b"irot", b"\2"))
    assert difference(read_image(heif(turned, hevc(), primary=2)), ramp()) < 1


def test_alpha_of_a_heic_is_laid_on_white() -> None:
    got = np.asarray(read_image(heif(hevc(), alpha(), references=[(b"auxl", 2, [1])])), float)
    assert (got[:, :30] > 250).all()
    assert np.abs(got[:, 34:] - np.asarray(ramp(), float)[:, 34:]).mean() < 2


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ((b"irot", b"\1"), ramp().rotate(90, expand=True)),
        ((b"irot", b"\2"), ramp().rotate(180)),
        ((b"irot", b"\3"), ramp().rotate(270, expand=True)),
        ((b"imir", b"\0"), ImageOps.flip(ramp())),
        ((b"imir", b"\1"), ImageOps.mirror(ramp())),
    ],
)
def test_how_a_heic_is_held(told: tuple[bytes, bytes], seen: Image.Image) -> None:
    assert difference(read_image(heif(hevc("8", told))), seen) < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_how_an_avif_is_held(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encode(PICTURE, "PNG", exif=exif))))
    assert difference(read_image(encode(PICTURE, "AVIF", quality=90, exif=exif)), upright) < 3


def test_without_its_package_a_heic_is_named_and_all_else_is_read() -> None:
    program = (
        "import sys; sys.modules['pi_heif'] = None\n"
        "from model.image import read_image, ACCEPT\nfrom model.errors import ImageError\n"
        "from heif_made import heif, hevc\nimport hostile, hostile_newer\n"
        "read_image(hostile.JPEG), read_image(hostile_newer.AVIF)\n"
        "assert 'heic' not in ACCEPT\n"
        "try: read_image(heif(hevc()))\n"
        "except ImageError as error: print(error.code, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "helpers")))},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("unsupported_format This is an iPhone HEIC photo"), done.stderr
    assert "JPEG" in done.stdout


# Animations, orientation, ends


def test_an_animated_png_shows_its_first_frame() -> None:
    others = [ImageOps.mirror(PICTURE), Image.new("RGB", PICTURE.size)]
    stand_in = Image.new("RGB", PICTURE.size, "lime")
    usual = encode(PICTURE, "PNG", save_all=True, append_images=others)
    with_stand_in = encode(
        stand_in, "PNG", save_all=True, append_images=[PICTURE, *others], default_image=True
    )
    assert difference(read_image(usual), PICTURE) == 0
    assert difference(read_image(with_stand_in), PICTURE) == 0
    # One that promises an animation and has none.
    cut = with_stand_in[: with_stand_in.index(b"fcTL") - 4]
    assert difference(read_image(cut + b"\0\0\0\0IEND\xaeB`\x82"), stand_in) == 0


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [(1, "B"), (3, "H"), (4, "I"), (8, "h"), (9, "i")])
def test_an_orientation_of_any_whole_number_is_followed(order: str, kind: tuple[int, str]) -> None:
    number, code = kind
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + code, 6).ljust(4, b"\0")
    exif = b"Exif\0\0" + mark + struct.pack(order + "IHHHI", 8, 1, 0x0112, number, 1) + value + bytes(4)
    stored = PICTURE.rotate(90, expand=True)
    for format_, options in (("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True})):
        assert difference(read_image(encode(stored, format_, exif=exif, **options)), PICTURE) < 3


@pytest.mark.parametrize("target_side", [None, 100])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_is_read(
    progressive: bool, target_side: int | None, missing: int
) -> None:
    data = encode(make_picture(480, 360), "JPEG", progressive=progressive)
    got = read_image(data[:-missing], target_side=target_side)
    assert got.tobytes() == read_image(data, target_side=target_side).tobytes()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.9, 0.99])
def test_a_jpeg_that_lacks_pixels_is_refused(progressive: bool, share: float) -> None:
    data = encode(make_picture(480, 360), "JPEG", quality=95, progressive=progressive)
    with pytest.raises(ImageError, match="cut off or damaged"):
        read_image(data[: int(len(data) * share)])


# At the interfaces


def test_the_pages_let_these_files_be_chosen(client: FlaskClient) -> None:
    page = client.get("/").get_data(as_text=True)
    for kind in ("image/heic", ".heic", "image/avif", ".tif", "image/jpeg"):
        assert kind in page
