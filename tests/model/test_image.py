"""Bad and unusual pictures at the one decoder: read as a viewer would, or refused with a hint."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import encode, make_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures_made import png
from PIL import Image, ImageOps

from model.errors import ImageError
from model.image import MAX_BYTES, read_image

PICTURE = make_picture(96, 72)
BOMB = encode(Image.new("1", (13_000, 13_000)), "PNG", compress_level=1)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures of equal size, 0 to 255."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


def refusal(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_image(data)
    assert caught.value.hint
    return caught.value


# Refused


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_image"),
        (b"just text, renamed to .jpg", "unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><circle r='9'/></svg>", "unsupported_format"),
        (encode(PICTURE, "TGA"), "unsupported_format"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64), "unsupported_format"),
        (b"%PDF-1.7\n", "unsupported_format"),
        (b"\xff\xd8\xff" + bytes(MAX_BYTES - 2), "image_too_large"),
        (encode(make_picture(1, 1), "PNG"), "image_too_small"),
        (encode(make_picture(31, 400), "PNG"), "image_too_small"),
        (encode(Image.new("L", (10_000, 40)), "PNG"), "image_too_narrow"),
        (encode(Image.new("L", (40, 10_000)), "PNG"), "image_too_narrow"),
        (BOMB, "image_too_large"),
        (png(50_000, 50_000, depth=8, colour=2, rows=b"\0"), "image_too_large"),
        (png(4000, 4000, depth=8, colour=2, rows=b"\0" * 99), "invalid_image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_usable_picture_is_refused_with_a_hint(data: bytes, code: str) -> None:
    assert refusal(data).code == code


def test_the_refusal_of_another_format_names_those_that_work() -> None:
    error = refusal(encode(PICTURE, "TGA"))
    assert "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC" in error.message
    assert "Save the picture as JPEG" in error.hint


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
def test_a_refusal_says_what_was_got_and_what_is_expected() -> None:
    assert "13000 x 13000" in refusal(BOMB).message
    assert "1 x 1" in refusal(encode(make_picture(1, 1), "PNG")).message
    assert "21.0 MB; at most 21 MB" in refusal(bytes(MAX_BYTES + 1)).message


def test_a_file_of_exactly_the_largest_size_is_read() -> None:
    data = encode(PICTURE)
    assert read_image(data + bytes(MAX_BYTES - len(data))).size == PICTURE.size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_that_is_cut_off_is_called_damaged(kind: str, share: float) -> None:
    data = encode(PICTURE, kind)
    error = refusal(data[: int(len(data) * share)])
    assert error.code == "invalid_image"
    assert "cut off or damaged" in error.message


# Read as a viewer would


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF"])
def test_every_format_gives_the_picture_in_rgb(kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    image = read_image(encode(PICTURE, kind, **options))
    assert image.mode == "RGB"
    assert difference(image, PICTURE) < (4 if options else 1e-9)


def test_16_bit_grey_is_scaled_to_8_bits() -> None:
    values = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    got = np.asarray(read_image(encode(Image.fromarray(values), "PNG")))
    assert np.array_equal(got, np.repeat(np.rint(values / 257).astype(np.uint8)[..., None], 3, axis=-1))


def test_16_bit_rgb_is_scaled_to_8_bits() -> None:
    eight = np.asarray(PICTURE)
    wide = (eight.astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    got = read_image(png(96, 72, depth=16, colour=2, rows=rows))
    assert np.array_equal(np.asarray(got), eight)


def test_cmyk_keeps_its_colours() -> None:
    image = read_image(encode(PICTURE.convert("CMYK"), "JPEG", quality=95))
    assert difference(image, PICTURE) < 4


def test_one_bit_pictures_are_black_and_white() -> None:
    pattern = np.indices((64, 64)).sum(axis=0) % 2 == 0
    got = np.asarray(read_image(encode(Image.fromarray(pattern), "PNG")))
    assert np.array_equal(got[..., 1] == 255, pattern)
    assert set(np.unique(got)) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255  # the left half is see-through, over a colour that must not shine through
    red = Image.new("RGB", (64, 64), (255, 0, 0) if mode != "LA" else (90, 90, 90))
    red.putalpha(Image.fromarray(mask))
    if mode == "LA":
        data = encode(red.convert("LA"), "PNG")
    elif mode == "RGBA":
        data = encode(red, "PNG")
    else:
        palette = Image.fromarray(mask // 255).convert("P")
        palette.putpalette([0, 200, 0, 255, 0, 0])
        data = encode(palette, "GIF" if mode == "PA" else "PNG", transparency=0)
    got = np.asarray(read_image(data))
    assert (got[:, :32] == 255).all()
    assert (got[:, 32:] == ((90, 90, 90) if mode == "LA" else (255, 0, 0))).all()


def test_half_transparent_places_are_mixed_with_white() -> None:
    veil = Image.new("RGBA", (64, 64), (0, 0, 0, 128))
    assert np.abs(np.asarray(read_image(encode(veil, "PNG"))).astype(int) - 127).max() <= 1


# What must be done to the upright picture so that a viewer who obeys the tag sees it upright again.
STORED = {
    1: lambda image: image,
    2: ImageOps.mirror,
    3: lambda image: image.rotate(180),
    4: ImageOps.flip,
    5: lambda image: ImageOps.mirror(image.rotate(-90, expand=True)),
    6: lambda image: image.rotate(90, expand=True),
    7: lambda image: ImageOps.mirror(image.rotate(90, expand=True)),
    8: lambda image: image.rotate(-90, expand=True),
}


@pytest.mark.parametrize("orientation", list(STORED))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = STORED[orientation](PICTURE)
    exact = read_image(encode(stored, "PNG", exif=exif))
    assert exact.size == PICTURE.size
    assert difference(exact, PICTURE) == 0
    assert difference(read_image(encode(stored, "JPEG", exif=exif, quality=95)), PICTURE) < 4
    large = STORED[orientation](make_picture(960, 720))
    small = read_image(encode(large, "JPEG", exif=exif), target_side=100)
    assert small.size == (240, 180)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    "block", [b"garbage", b"MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0", b"II*\0\xff\xff\xff\xff", b""]
)
def test_a_damaged_exif_block_does_not_cost_the_picture(block: bytes) -> None:
    got = read_image(encode(PICTURE, "JPEG", exif=b"Exif\0\0" + block, quality=95))
    assert difference(got, PICTURE) < 4


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "MPO"])
def test_the_first_frame_of_several_is_taken(kind: str) -> None:
    colours = ("red", "blue", "lime")
    first, *rest = [Image.new("RGB", (64, 48), colour) for colour in colours]
    got = np.asarray(read_image(encode(first, kind, save_all=True, append_images=rest)))
    assert got.shape == (48, 64, 3)
    assert np.abs(got.astype(int) - (255, 0, 0)).max() <= 3


def test_nothing_but_pixels_remains() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    exif.get_ifd(0x8825)[1] = "N"
    data = encode(PICTURE, "JPEG", exif=exif, comment=b"who", icc_profile=b"profile", dpi=(72, 72))
    assert b"Camera maker" in data
    image = read_image(data)
    assert image.info == {}
    assert not image.getexif()
    again = encode(image, "PNG")
    assert b"Camera maker" not in again
    assert b"profile" not in again


# A smaller copy, decoded faster


@pytest.mark.parametrize("target", [100, 180, 300, 720, 5000])
def test_a_target_side_gives_at_least_that_much_and_the_same_picture(target: int) -> None:
    data = encode(make_picture(1280, 720), "JPEG", quality=95)
    whole, image = read_image(data), read_image(data, target_side=target)
    assert min(image.size) >= min(target, 720)
    assert min(image.size) < 2 * max(target, 90) + 2 or image.size == whole.size
    assert difference(image, whole.resize(image.size, Image.Resampling.BOX)) < 2


# Anything at all


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_decode_or_are_refused(data: bytes) -> None:
    _decodes_or_is_refused(data)


FILES = {
    "JPEG": encode(PICTURE),
    "PNG": encode(PICTURE.convert("P"), "PNG"),
    "WEBP": encode(PICTURE, "WEBP"),
    "GIF": encode(PICTURE, "GIF"),
    "BMP": encode(PICTURE.resize((40, 33)), "BMP"),
    "EXIF": encode(PICTURE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"),
}


@settings(max_examples=120, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(FILES)))
def test_damaged_files_decode_or_are_refused(data: st.DataObject, kind: str) -> None:
    damaged = bytearray(FILES[kind])
    # The first bytes hold the headers, where damage is most telling.
    places = st.one_of(st.integers(0, 120), st.integers(0, len(damaged) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        damaged[place] = value
    _decodes_or_is_refused(bytes(damaged))


def _decodes_or_is_refused(data: bytes) -> None:
    try:
        image = read_image(data)
    except ImageError:
        return
    assert image.mode == "RGB"
    assert min(image.size) >= 32


def test_many_threads_at_once_get_the_same_answers() -> None:
    files = [*FILES.values(), BOMB, b"text"]

    def answer(data: bytes) -> bytes | str:
        try:
            return read_image(data).tobytes()
        except ImageError as error:
            return error.code

    alone = [answer(data) for data in files]
    assert alone[-2:] == ["image_too_large", "unsupported_format"]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(answer, files * 40))
    assert together == alone * 40


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files through /proc")
def test_no_file_stays_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = []
    for data in [*FILES.values(), FILES["JPEG"][:200], b"text"] * 5:
        try:
            kept.append(read_image(data))
        except ImageError as error:
            kept.append(error)
    assert len(os.listdir("/proc/self/fd")) == before
