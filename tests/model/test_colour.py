"""A picture looks as its colour profile says, whatever the format; a profile of no use costs nothing."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import encode, make_picture
from heif_made import heif, hevc
from pictures_made import png_chunk
from PIL import Image
from profiles_made import (
    SPACES,
    as_srgb,
    cmyk_profile,
    from_linear,
    grey_profile,
    profile,
    rgb_profile,
    srgb_profile,
)

from model.errors import ImageError
from model.image import read_image

# Of little saturation, so that it has a twin in sRGB.
PICTURE = Image.blend(make_picture(96, 72), Image.new("RGB", (96, 72), (200, 160, 140)), 0.6)
FINE = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}, "AVIF": {"quality": 90}}
P3 = rgb_profile("Display P3")


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.tobytes() == other.tobytes()


# Profiles


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_colours_are_those_that_the_profile_means(kind: str, space: str) -> None:
    data = encode(PICTURE, kind, icc_profile=rgb_profile(space), **FINE.get(kind, {}))
    plain = read_image(encode(PICTURE, kind, **FINE.get(kind, {})))
    expected = as_srgb(plain, space)
    assert difference(plain, expected) > 2
    assert difference(read_image(data), expected) < 1


def test_a_heic_photo_with_a_profile() -> None:
    plain = read_image(heif(hevc()))
    got = read_image(heif(hevc("8", (b"colr", b"prof" + P3))))
    assert difference(got, as_srgb(plain, "Display P3")) < 1
    assert difference(got, plain) > 4


def test_orientation_and_a_reduced_scale_go_with_a_profile() -> None:
    large = PICTURE.resize((1280, 960))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(large, "JPEG", icc_profile=P3, exif=exif, **FINE["JPEG"])
    got = read_image(data, target_side=200)
    assert got.size == (240, 320)
    expected = as_srgb(large.resize((320, 240)).rotate(-90, expand=True), "Display P3")
    assert difference(got, expected) < 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_no_colour(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    veiled = PICTURE.convert("RGBA")
    veiled.putalpha(Image.linear_gradient("L").resize(PICTURE.size))
    opaque = as_srgb(PICTURE, "Display P3")
    expected = Image.new("RGB", PICTURE.size, "white")
    expected.paste(opaque, mask=veiled.getchannel("A"))
    assert difference(read_image(encode(veiled, kind, icc_profile=P3, **options)), expected) < 1


def test_a_palette_has_colours_too() -> None:
    few = PICTURE.quantize(64)
    got = read_image(encode(few, "PNG", icc_profile=P3))
    assert difference(got, as_srgb(few, "Display P3")) < 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
def test_grey_of_another_gamma(kind: str, gamma: float) -> None:
    grey = Image.linear_gradient("L").resize((96, 256))
    light = (np.asarray(grey, float) / 255) ** gamma
    expected = np.round(from_linear(light) * 255)
    got = read_image(encode(grey, kind, icc_profile=grey_profile(gamma), **FINE.get(kind, {})))
    assert np.abs(np.asarray(got, float) - expected[..., None]).mean() < 1


def test_16_bit_grey_of_another_gamma() -> None:
    light = np.linspace(0, 0.02, 64 * 64).reshape(64, 64)  # dark, where 8 bits would be few
    wide = Image.fromarray(np.round(light * 65535).astype(np.uint16))
    got = np.asarray(read_image(encode(wide, "PNG", icc_profile=grey_profile(1.0))), float)
    assert np.abs(got - 255 * from_linear(light)[..., None]).mean() < 1.5


def test_grey_with_a_profile_of_rgb() -> None:
    grey = PICTURE.convert("L")
    got = read_image(encode(grey, "PNG", icc_profile=rgb_profile("linear sRGB")))
    assert difference(got, as_srgb(grey, "linear sRGB")) < 1


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("ink", "lab", "expected"),
    [
        ((0, 0, 0, 0), (100, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (60, -20, -25), (67, 156, 188)),  # without the profile it would be 0, 255, 255
        ((0, 0, 0, 255), (20, 0, 0), (48, 48, 48)),
    ],
)
def test_ink_looks_as_the_press_prints_it(
    kind: str, ink: tuple[int, ...], lab: tuple[float, ...], expected: tuple[int, ...]
) -> None:
    corners = [(100.0, 0.0, 0.0), (20.0, 0.0, 0.0)] * 4 + [(60.0, -20.0, -25.0), (10.0, 0.0, 0.0)] * 4
    got = read_image(encode(Image.new("CMYK", (64, 64), ink), kind, icc_profile=cmyk_profile(corners)))
    assert np.abs(np.asarray(got, float).mean(axis=(0, 1)) - expected).max() < 4, lab


# In parts


def with_segments(parts: list[tuple[int, int, bytes]]) -> bytes:
    """A JPEG with a profile in these parts: number, how many there are, content."""
    segments = b"".join(
        b"\xff\xe2" + struct.pack(">H", 16 + len(part)) + b"ICC_PROFILE\0" + bytes((number, count)) + part
        for number, count, part in parts
    )
    data = encode(PICTURE, "JPEG", **FINE["JPEG"])
    return data[:2] + segments + data[2:]


def test_a_profile_in_several_segments_in_any_order() -> None:
    whole = rgb_profile("Display P3", padding=100_000)
    parts = [(i + 1, 3, whole[i * 40_000 : (i + 1) * 40_000]) for i in range(3)]
    expected = as_srgb(read_image(with_segments([])), "Display P3")
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        assert difference(read_image(with_segments([parts[i] for i in order])), expected) < 1
    assert same(read_image(with_segments(parts[:2])), read_image(with_segments([])))
    assert same(read_image(with_segments([(0, 1, P3)])), read_image(with_segments([])))


# Of no use


USELESS = {
    "garbage": b"\xff" * 5000,
    "nothing but a header": P3[:128],
    "cut off": P3[: len(P3) // 2],
    "over 4 MB": rgb_profile("Display P3", padding=5_000_000),
    "of grey": grey_profile(1.0),
    "of ink": cmyk_profile([(100.0, 0.0, 0.0)] * 16),
    "all is black": profile(
        b"RGB ",
        [(name + b"XYZ", b"XYZ " + bytes(16)) for name in (b"r", b"g", b"b")]
        + [(name + b"TRC", b"curv" + bytes(8)) for name in (b"r", b"g", b"b")],
    ),
    "of 4 billion tags": P3[:128] + b"\xff\xff\xff\xff" + P3[132:],
    "sRGB": srgb_profile(),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("name", list(USELESS))
def test_a_profile_of_no_use_costs_nothing(kind: str, name: str) -> None:
    data = encode(PICTURE, kind, icc_profile=USELESS[name])
    assert same(read_image(data), read_image(encode(PICTURE, kind)))


def test_threads_share_what_converts() -> None:
    files = [
        encode(PICTURE, "PNG", icc_profile=rgb_profile(space, padding=n))
        for space in SPACES
        for n in range(6)
    ]
    alone = [read_image(data).tobytes() for data in files]
    with ThreadPoolExecutor(8) as pool:
        assert [image.tobytes() for image in pool.map(read_image, files * 5)] == alone * 5


# What PNG, HEIC and AVIF tell without a profile


def png_with(*chunks: tuple[bytes, bytes], picture: Image.Image = PICTURE) -> bytes:
    data = encode(picture, "PNG")
    return data[:33] + b"".join(png_chunk(kind, body) for kind, body in chunks) + data[33:]


def chromaticities(*values: float) -> bytes:
    return b"".join(struct.pack(">I", round(value * 100_000)) for value in values)


LINEAR = (b"gAMA", struct.pack(">I", 100_000))
USUAL = (b"gAMA", struct.pack(">I", 45_455))
P3_PRIMARIES = (b"cHRM", chromaticities(0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06))
SRGB_PRIMARIES = (b"cHRM", chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06))


@pytest.mark.parametrize(
    ("chunks", "space"),
    [
        ([LINEAR], "linear sRGB"),
        ([LINEAR, SRGB_PRIMARIES], "linear sRGB"),
        ([USUAL, P3_PRIMARIES], "Display P3"),
        ([P3_PRIMARIES], "Display P3"),
        ([(b"cICP", b"\x0c\x0d\0\1"), LINEAR], "Display P3"),
        ([(b"cICP", b"\x0c\x0d\0\1"), (b"iCCP", b"a\0\0" + zlib.compress(srgb_profile()))], "Display P3"),
        ([(b"iCCP", b"a\0\0" + zlib.compress(P3)), LINEAR], "Display P3"),
    ],
)
def test_what_a_png_tells_of_its_colours(chunks: list[tuple[bytes, bytes]], space: str) -> None:
    assert difference(read_image(png_with(*chunks)), as_srgb(PICTURE, space)) < 1


@pytest.mark.parametrize(
    "chunks",
    [
        [USUAL],
        [USUAL, SRGB_PRIMARIES],
        [(b"sRGB", b"\0"), LINEAR, P3_PRIMARIES],
        [(b"gAMA", bytes(4))],
        [(b"gAMA", b"\xff\xff\xff\xff")],
        [(b"gAMA", b"\1")],
        [(b"cHRM", bytes(32))],
        [(b"cHRM", chromaticities(*[0.3] * 8))],
        [(b"cHRM", b"\xff" * 32)],
        [(b"cICP", b"\1\x0d\0\1")],
        [(b"iCCP", b"a\0\0garbage")],
    ],
)
def test_what_a_png_tells_that_is_sRGB_or_nothing(chunks: list[tuple[bytes, bytes]]) -> None:
    assert same(read_image(png_with(*chunks)), PICTURE)


def test_grey_png_of_linear_light() -> None:
    grey = PICTURE.convert("L")
    got = read_image(png_with(LINEAR, picture=grey))
    assert difference(got, as_srgb(grey, "linear sRGB")) < 1


def test_code_points_of_a_heic() -> None:
    plain = read_image(heif(hevc()))
    got = read_image(heif(hevc("8", (b"colr", b"nclx" + struct.pack(">HHHB", 12, 13, 6, 128)))))
    assert difference(got, as_srgb(plain, "Display P3")) < 1.5
    usual = read_image(heif(hevc("8", (b"colr", b"nclx" + struct.pack(">HHHB", 1, 13, 6, 128)))))
    assert difference(usual, plain) < 1


@pytest.mark.parametrize("transfer", [16, 18])
def test_numbers_for_hdr_screens_are_refused_in_plain_words(transfer: int) -> None:
    for data in (
        heif(hevc("10", (b"colr", b"nclx" + struct.pack(">HHHB", 9, transfer, 9, 128)))),
        png_with((b"cICP", bytes((9, transfer, 0, 1)))),
    ):
        with pytest.raises(ImageError, match="HDR") as refused:
            read_image(data)
        assert refused.value.code == "unsupported_format"
