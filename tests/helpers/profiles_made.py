"""ICC profiles made by code, and what pictures with them look like in sRGB, by published matrices."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Pixels = NDArray[np.float64]


class Space(NamedTuple):
    """An RGB space: the columns of its matrix to XYZ (D50), its gamma (None: sRGB's), linear RGB to sRGB's.

    The numbers are those of Bruce Lindbloom's tables and, for Display P3, of CSS Color 4.
    """

    columns: tuple[tuple[float, float, float], ...]
    gamma: float | None
    to_srgb: tuple[tuple[float, float, float], ...]


SPACES = {
    "Display P3": Space(
        ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
        None,
        ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
    ),
    "Adobe RGB": Space(
        ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
        563 / 256,
        ((1.3982, -0.3982, 0.0), (0.0, 1.0, 0.0), (0.0, -0.0429, 1.0429)),
    ),
    "ProPhoto": Space(
        ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)),
        1.8,
        ((2.0340, -0.7273, -0.3067), (-0.2288, 1.2317, -0.0029), (-0.0086, -0.1533, 1.1619)),
    ),
    "linear sRGB": Space(
        ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)), 1.0, tuple(np.eye(3))
    ),
}


def as_srgb(picture: Image.Image, space: str) -> Image.Image:
    """The picture whose numbers are of the space, in sRGB."""
    numbers = np.asarray(picture.convert("RGB"), float) / 255
    gamma = SPACES[space].gamma
    light = linear(numbers) if gamma is None else numbers**gamma
    light = (light @ np.asarray(SPACES[space].to_srgb).T).clip(0, 1)
    return Image.fromarray((from_linear(light) * 255 + 0.5).astype(np.uint8))


def linear(numbers: Pixels) -> Pixels:
    """sRGB's numbers, 0 to 1, as light."""
    return np.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)


def from_linear(light: Pixels) -> Pixels:
    """Light, 0 to 1, as sRGB's numbers."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def rgb_profile(space: str, *, padding: int = 0) -> bytes:
    """A profile of one of ``SPACES``, larger by so many bytes."""
    columns, gamma, _ = SPACES[space]
    tags = [(name + b"XYZ", _xyz(column)) for name, column in zip((b"r", b"g", b"b"), columns, strict=True)]
    tags += [(name + b"TRC", _curve(gamma)) for name in (b"r", b"g", b"b")]
    return profile(b"RGB ", [*tags, (b"cprt", b"text" + bytes(4 + padding))])


def grey_profile(gamma: float) -> bytes:
    """A profile of grey."""
    return profile(b"GRAY", [(b"kTRC", _curve(gamma))])


def cmyk_profile(corners: Sequence[tuple[float, float, float]]) -> bytes:
    """A profile of ink with a table of its 16 corners in L*a*b*, black ink the fastest (ICC.1:2010, 10.8)."""
    head = b"mft2\0\0\0\0" + struct.pack(">BBBx", 4, 3, 2) + _matrix() + struct.pack(">HH", 2, 2)
    straight = struct.pack(">HH", 0, 65535)
    table = b"".join(
        struct.pack(">HHH", round(light * 652.8), round((a + 128) * 256), round((b + 128) * 256))
        for light, a, b in corners
    )
    return profile(
        b"CMYK", [(b"A2B0", head + straight * 4 + table + straight * 3)], kind=b"prtr", pcs=b"Lab "
    )


def _matrix() -> bytes:
    return b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))


def profile(
    space: bytes, tags: Sequence[tuple[bytes, bytes]], *, kind: bytes = b"mntr", pcs: bytes = b"XYZ "
) -> bytes:
    """A profile of these tags (ICC.1:2001-04)."""
    tags = [*tags, (b"wtpt", _xyz((0.9642, 1.0, 0.8249)))]
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, kind, space, pcs)
    head += (
        struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
        + b"acsp"
        + bytes(28)
        + _xyz((0.9642, 1.0, 0.8249))[8:]
        + bytes(48)
    )
    return head + table + body


def srgb_profile() -> bytes:
    """littleCMS's own profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _curve(gamma: float | None) -> bytes:
    numbers = np.linspace(0, 1, 4096)
    light = linear(numbers) if gamma is None else numbers**gamma
    return b"curv\0\0\0\0" + struct.pack(">I", 4096) + np.round(light * 65535).astype(">u2").tobytes()
