"""Reduce a TIFF to its first page, with a new directory that describes only the pixels (TIFF 6.0)."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from model.errors import ImageError
from model.image.formats import MAX_PIXELS_WHOLE

MAX_STRIPS = 16_000
"""The most strips or tiles of a page; some programs write one for each row."""
_MAX_ENTRIES = 1000

_TYPES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _SAMPLE_FORMAT = 322, 323, 324, 325, 339
_SUBFILE, _FILL_ORDER, _PREDICTOR, _COLOURS, _EXTRA, _PROFILE, _DNG = 254, 266, 317, 320, 338, 34675, 50706
_KEPT = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR),
    *(_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _SAMPLE_FORMAT),
    *(_FILL_ORDER, _PREDICTOR, _COLOURS, _EXTRA),
}
_COMPRESSIONS = {1, 5, 8, 32773, 32946}  # none, LZW, Deflate, PackBits, Deflate
_COLOUR_KINDS = {0, 1, 2, 3, 5, 8}  # grey, RGB, palette, CMYK, L*a*b*
_HINT = "Save the picture as an ordinary TIFF of 8 bits a channel, as JPEG or as PNG, and try again."


class _Entry(NamedTuple):
    kind: int
    number: int
    place: int


def first_page(data: bytes) -> tuple[bytes, bytes | None]:
    """Extract the first page of a TIFF file, and its ICC profile.

    The pixels stay where they are; a new directory after them replaces the old one. So the decoder sees
    neither further pages nor metadata, and no value that has not been checked.

    Raises:
        ImageError: it is damaged or not supported, or its strips would take too much memory or time.
    """
    order = "<" if data.startswith(b"II") else ">"
    try:
        entries = _entries(data, order)
        values = {
            tag: _values(data, entry, order) for tag, entry in entries.items() if tag in _KEPT | {_SUBFILE}
        }
        _check(data, entries, values)
    except (struct.error, KeyError, IndexError):
        raise ImageError(
            "This TIFF file is malformed; it may be cut off or damaged.",
            hint=_HINT,
        ) from None
    profile = entries.get(_PROFILE)
    return _with_directory(data, values, order), profile and data[
        profile.place : profile.place + profile.number
    ]


def _entries(data: bytes, order: str) -> dict[int, _Entry]:
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    if not 0 < count <= _MAX_ENTRIES:
        raise IndexError
    entries: dict[int, _Entry] = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number, place = struct.unpack_from(order + "HHII", data, at)
        size = struct.calcsize(_TYPES.get(kind, "B")) * number
        entries.setdefault(tag, _Entry(kind, number, at + 8 if size <= 4 else place))
    return entries


def _values(data: bytes, entry: _Entry, order: str) -> tuple[int, ...]:
    if entry.number > MAX_STRIPS:
        raise _not_read(f"{entry.number} strips, tiles or colours, over {MAX_STRIPS}")
    return struct.unpack_from(f"{order}{entry.number}{_TYPES[entry.kind]}", data, entry.place)


def _check(data: bytes, entries: dict[int, _Entry], values: dict[int, tuple[int, ...]]) -> None:
    def one(tag: int, default: int) -> int:
        return values.get(tag, (default,))[0]

    if _DNG in entries or one(_SUBFILE, 0) & 1:
        raise _not_read("a camera's raw file")
    if one(_COMPRESSION, 1) not in _COMPRESSIONS:
        raise _not_read(f"compression {one(_COMPRESSION, 1)}")
    bits, kind = values.get(_BITS, (1,)), one(_PHOTOMETRIC, -1)
    if len(set(bits)) != 1 or bits[0] not in (1, 2, 4, 8, 16) or set(values.get(_SAMPLE_FORMAT, (1,))) != {1}:
        raise _not_read("channels other than integers of 1 to 16 bits")
    if kind not in _COLOUR_KINDS or (kind, bits[0]) == (0, 16):
        raise _not_read(f"colours of the kind {kind} with {bits[0]} bits")
    if one(_SAMPLES, 1) > 5:
        raise _not_read(f"{one(_SAMPLES, 1)} channels")
    width, height = values[_WIDTH][0], values[_HEIGHT][0]
    if _TILE_WIDTH in values:
        across, down = values[_TILE_WIDTH][0], values[_TILE_HEIGHT][0]
        offsets, counts = values[_TILE_OFFSETS], values[_TILE_COUNTS]
    else:
        across, down = width, min(one(_ROWS, height), height)
        offsets, counts = values[_OFFSETS], values.get(_COUNTS, (len(data),))
    if not (width and height and across and down) or len(offsets) != len(counts):
        raise IndexError
    planes = one(_SAMPLES, 1) if one(_PLANAR, 1) == 2 else 1
    tiles = math.ceil(width / across) * math.ceil(height / down)
    if max(tiles * across * down, width * height) > 2 * MAX_PIXELS_WHOLE:
        raise ImageError(
            "The picture has {width} x {height} pixels in pieces of {across} x {down}; at most {most} "
            "million pixels are accepted.",
            hint="Save a smaller copy and try again.",
            code="image_too_large",
            values={
                "width": width,
                "height": height,
                "across": across,
                "down": down,
                "most": f"{MAX_PIXELS_WHOLE / 1e6:.0f}",
            },
        )
    if len(offsets) < tiles * planes or max(offsets) > len(data) or sum(counts) > len(data):
        raise IndexError


def _with_directory(data: bytes, values: dict[int, tuple[int, ...]], order: str) -> bytes:
    start = len(data) + len(data) % 2
    directory = struct.pack(order + "H", len(kept := sorted(values.keys() & _KEPT)))
    place = start + 2 + 12 * len(kept) + 4
    behind = b""
    for tag in kept:
        # Use LONG for all if any value needs it: libtiff and Pillow accept either.
        kind = 3 if max(values[tag]) < 1 << 16 else 4
        content = struct.pack(f"{order}{len(values[tag])}{_TYPES[kind]}", *values[tag])
        head = struct.pack(order + "HHI", tag, kind, len(values[tag]))
        if len(content) > 4:
            directory += head + struct.pack(order + "I", place + len(behind))
            behind += content + bytes(len(content) % 2)
        else:
            directory += head + content.ljust(4, b"\0")
    new = data[:4] + struct.pack(order + "I", start) + data[8:] + bytes(len(data) % 2)
    return new + directory + bytes(4) + behind


def _not_read(what: str) -> ImageError:
    return ImageError(
        "The TIFF file holds {what}, which is not supported.",
        hint=_HINT,
        code="unsupported_format",
        values={"what": what},
    )
