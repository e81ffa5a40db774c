"""TIFF files written by hand, honest and lying."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

Entry = tuple[int, int, Sequence[int]]
"""Tag, type (1: bytes, 3: shorts, 4: longs) and values."""


def tiff(
    pixels: np.ndarray,
    *,
    order: str = "<",
    planar: int = 1,
    photometric: int | None = None,
    more: Sequence[Entry] = (),
) -> bytes:
    """An uncompressed TIFF of (H, W) grey or (H, W, 3) RGB, 8 or 16 bits, one strip or one for each plane."""
    samples = 3 if pixels.ndim == 3 else 1
    planes = [pixels[..., i] for i in range(3)] if planar == 2 else [pixels]
    strips = [plane.astype(pixels.dtype.newbyteorder(order)).tobytes() for plane in planes]
    entries = [
        *(
            (256, 4, [pixels.shape[1]]),
            (257, 4, [pixels.shape[0]]),
            (258, 3, [8 * pixels.itemsize] * samples),
        ),
        *((259, 3, [1]), (262, 3, [samples - 1 + (samples == 1) if photometric is None else photometric])),
        *((277, 3, [samples]), (278, 4, [pixels.shape[0]]), (284, 3, [planar])),
    ]
    return directory(entries, strips, order=order, more=more)


def tiled(pixels: np.ndarray, across: int, down: int) -> bytes:
    """A TIFF of (H, W, 3) in tiles that go beyond its edges."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % down), (0, -width % across), (0, 0)))
    tiles = [
        zlib.compress(padded[top : top + down, left : left + across].tobytes())
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]
    entries = [
        *((256, 4, [width]), (257, 4, [height]), (258, 3, [8] * 3), (259, 3, [8]), (262, 3, [2])),
        *((277, 3, [3]), (322, 4, [across]), (323, 4, [down])),
    ]
    return directory(entries, tiles, tags=(324, 325))


def directory(
    entries: Sequence[Entry],
    strips: Sequence[bytes],
    *,
    order: str = "<",
    tags: tuple[int, int] = (273, 279),
    more: Sequence[Entry] = (),
) -> bytes:
    """A TIFF file of these entries and strips; ``more`` comes in place of entries of the same tags."""
    starts = [8 + sum(map(len, strips[:i])) for i in range(len(strips))]
    told = {tag: (kind, values) for tag, kind, values in entries}
    told |= {tags[0]: (4, starts), tags[1]: (4, [len(strip) for strip in strips])}
    told |= {tag: (kind, values) for tag, kind, values in more}
    body = b"".join(strips)
    body += b"\0" * (len(body) % 2)
    start = 8 + len(body)
    table, behind, place = struct.pack(order + "H", len(told)), b"", start + 2 + 12 * len(told) + 4
    for tag, (kind, values) in sorted(told.items()):
        content = struct.pack(f"{order}{len(values)}{ {1: 'B', 3: 'H', 4: 'I'}[kind] }", *values)
        short = len(content) <= 4
        table += struct.pack(order + "HHI", tag, kind, len(values))
        table += content.ljust(4, b"\0") if short else struct.pack(order + "I", place + len(behind))
        behind += b"" if short else content + b"\0" * (len(content) % 2)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return head + body + table + bytes(4) + behind
