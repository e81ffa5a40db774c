"""HEIC and AVIF files put together by code, for tests of metadata.

Nothing that the project installs can encode HEVC. So the coded pictures are kept here: `ramp()` of 64 x 64 in
8 and 10 bits, and an alpha that hides its left half, drawn by code and encoded with x265.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

_HEVC = {
    "8": (
        "AQQIAAAAAAAAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCeOAAAAwAAHpAEECCy"
        "3UklNc3AQ0GBAAADABkAAAMAAQhiAAEACEQBwXKGDAIk",
        "AAAAiSgBrwng1ocNdUDl31/JOdxuwX6NHFrgLRJE7PCyhCej43867WLKr3qKZw/ewWavCt38lABdi+f/RTAaxhin3ftsRrkTja65tJCT"
        "hmmd7NtVsJpxBPb2Hzf4yOOlxmUqhVthX4e4vap3A5q+V48gA1hiMIWL+LDSxw6X4xQcN7Jv7MnsXfgxQRQQ",
    ),
    "10": (
        "AQQIAAAAAAAAAAAAHvAA/P/6+gAADwNgAAEAF0ABDAH//wQIAAADAJw4AAADAAAeugJAYQABACtCAQEECAAAAwCcOAAAAwAAHpAEECCb"
        "LdSSU1zcBDQYEAAAAwGQAAADABCAYgABAAhEAcFyhgwCJA==",
        "AAAAhCgBrwngI0DakWQ0vgn1cOwX6NHNi4C0SQhDwsoQeK+NsSu1iyq96imcP3sFmrwrd/vNLFxIdfopgNYwxUVUp3vVyJxtddiUhJwz"
        "TO9m2q2A7vyBOrXP0H4oOOlxmUqhVthX4e4vapy2ZsAZSujS/SZSk+EPw1jdzRnfk6tZejhuJaOMeA==",
    ),
    "alpha": (
        "AQQIAAAAAAAAAAAAHvAA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAAeugJAYQABACZCAQEECAAAAwCf+AAAAwAAHsCCBBZb"
        "qSSmubAgAAADAyAAAAMAIWIAAQAHRAHBcrAiQA==",
        "AAAAGSgBrhPAO4jr///uierk8/1VTVLx//x8/+A=",
    ),
}
# The header of one colour at 8192 x 8192.
_LARGE = (
    "AQNwAAAAAAAAAAAAvfAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAvboCQGEAAQAtQgEBA3AAAAMAkAAAAwAAAwC9oABA"
    "AgAIAFlupJKa5uAhoMCAAAAMgAAAAwCEYgABAAdEAcFysGJA"
)
LARGE_HEADER = base64.b64decode(_LARGE)

Box = tuple[bytes, bytes]


class Item(NamedTuple):
    """A picture, a tile, a grid or metadata: four letters, its bytes, its properties."""

    kind: bytes
    content: bytes
    properties: tuple[Box, ...] = ()


def ramp(width: int = 64, height: int = 64) -> Image.Image:
    """Red from left to right, green from top to bottom: what the coded pictures show."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, x * 0 + 128], -1).astype(np.uint8))


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def extent(width: int, height: int) -> Box:
    """The property that tells an item's size."""
    return b"ispe", struct.pack(">III", 0, width, height)


def hevc(name: str = "8", *properties: Box) -> Item:
    """A coded picture of 64 x 64."""
    header, content = (base64.b64decode(text) for text in _HEVC[name])
    return Item(b"hvc1", content, (extent(64, 64), *properties, (b"hvcC", header)))


def alpha() -> Item:
    """A coded alpha of 64 x 64."""
    return hevc("alpha", (b"auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"))


def grid(columns: int, rows: int, width: int, height: int, *properties: Box) -> Item:
    """What puts tiles together."""
    content = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    return Item(b"grid", content, (extent(width, height), *properties))


def heif(
    *items: Item,
    references: Sequence[tuple[bytes, int, Sequence[int]]] = (),
    primary: int = 1,
    brand: bytes = b"heic",
) -> bytes:
    """A file of these items, which are numbered from 1 (ISO/IEC 14496-12, 8.11)."""
    told = [entry for item in items for entry in item.properties]
    infos = b"".join(
        box(b"infe", struct.pack(">IHH4sx", 2 << 24, n, 0, item.kind)) for n, item in enumerate(items, 1)
    )
    associations, done = b"", 0
    for number, item in enumerate(items, 1):
        places = range(done + 1, done + 1 + len(item.properties))
        associations += struct.pack(f">HB{len(places)}H", number, len(places), *places)
        done += len(places)
    boxes = [
        box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        box(b"pitm", struct.pack(">IH", 0, primary)),
        box(b"iinf", struct.pack(">IH", 0, len(items)) + infos),
        box(
            b"iprp",
            box(b"ipco", b"".join(box(*entry) for entry in told))
            + box(b"ipma", struct.pack(">II", 1, len(items)) + associations),
        ),
    ]
    named = [
        box(kind, struct.pack(f">HH{len(to)}H", source, len(to), *to)) for kind, source, to in references
    ]
    boxes.append(box(b"iref", bytes(4) + b"".join(named)))
    head = box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    start = len(head) + 12 + sum(map(len, boxes)) + 16 + 14 * len(items) + 8
    places = struct.pack(">IHH", 0, 0x4400, len(items))
    for number, item in enumerate(items, 1):
        places += struct.pack(">HHHII", number, 0, 1, start, len(item.content))
        start += len(item.content)
    content = b"".join(item.content for item in items)
    return head + box(b"meta", bytes(4) + b"".join(boxes) + box(b"iloc", places)) + box(b"mdat", content)
