"""Picture files written by hand, of kinds that Pillow does not write."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A smooth picture that is neither symmetric nor flat."""
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([x * 255 // width, y * 255 // height, (x + 2 * y) % 256], axis=-1)
    return Image.fromarray(values.astype(np.uint8)).convert(mode)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *, depth: int, colour: int, rows: bytes, interlace: int = 0) -> bytes:
    """A PNG that says it has this size, whatever its rows hold; Pillow writes no 16-bit RGB."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def adam7() -> bytes:
    """An interlaced grey PNG of 40 x 40: seven passes of rows, each with its filter byte."""
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    rows = b""
    for left, top, across, down in passes:
        width = len(range(left, 40, across))
        rows += b"".join(b"\0" + bytes(width) for _ in range(top, 40, down))
    return png(40, 40, depth=8, colour=0, rows=rows, interlace=1)
