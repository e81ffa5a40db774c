"""What stands around the pixels of a picture file: metadata is taken off before the decoder sees the file.

A decoder that reads metadata can be kept busy by it: a megabyte of EXIF whose entries all name the same bytes
grew to gigabytes in Pillow, and four megabytes of GIF comments took it a minute. Only the EXIF orientation
matters here, so it is read without following any reference, and the rest is dropped, uncopied and unread.
"""

from __future__ import annotations

import re

from model.errors import ImageError

MAX_PARTS = 4000
"""Segments, chunks or blocks in a file; photographs have a few dozen."""
MAX_SCANS_OF_LARGEST = 12
"""Passes over a picture of the largest size that a progressive JPEG may take; encoders use about ten."""

_SAVE_AGAIN = "Open the picture in an image program, save it as JPEG or PNG and try again."
_LONG_ENOUGH = 1024  # An IDAT chunk of this many bytes carries pixels and is no mere part.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)
_METADATA = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})  # APP1 to APP13, APP15, COM; APP14 tells the colours
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
# Markers in a header after which Pillow looks on at once while others skip a segment, so that the two would
# see different files; no JPEG has them there.
_ODD_MARKERS = frozenset({0xC8, 0xD8, 0xD9, *range(0xF0, 0xFE)})


def strip(data: bytes) -> tuple[bytes, int]:
    """A picture file without its metadata, as far as it is a JPEG or PNG, and its EXIF orientation.

    What is no such file, or one that is cut off, is handed back as it is for the decoder to judge.

    Returns:
        ``(data, orientation)``; orientation 1 to 8, 1 where none is told.

    Raises:
        ImageError: the file has more than ``MAX_PARTS`` parts, or is so malformed that two decoders
            would read it differently.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _strip_jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _strip_png(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        _check_gif(data)
    return data, 1


def count_scans(data: bytes, *, at_most: int) -> int:
    """How many passes over the pixels a JPEG asks for, counted up to ``at_most + 1``.

    Raises:
        ImageError: more than ``MAX_PARTS`` parts.
    """
    position, scans, steps = 2, 0, 0
    while scans <= at_most and (found := _MARKER.search(data, position)):
        kind = found[1][0]
        if kind == _EOI:
            break
        scans += kind == _SOS
        steps += kind != _SOS
        _check_parts(steps)
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return scans


def exif_orientation(exif: bytes) -> int:
    """The orientation in a block of EXIF, with or without its ``Exif`` header; 1 where it tells none.

    Looks at the first directory's entries and nowhere else (Exif 2.32, 4.6.2 and 4.6.4: 0x0112, one SHORT).
    """
    tiff = exif[6:] if exif.startswith(b"Exif\0\0") else exif
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        return 1

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)  # type: ignore[arg-type]

    first = number(4, 4)
    for entry in range(first + 2, min(first + 2 + 12 * number(first, 2), len(tiff) - 11), 12):
        if (number(entry, 2), number(entry + 2, 2)) == (0x0112, 3):
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def _strip_jpeg(data: bytes) -> tuple[bytes, int]:
    kept, orientation = [data[:2]], 1
    position, steps = 2, 0
    while found := _MARKER.search(data, position):
        steps += (
            1 + found.end() - position - 2
        )  # Bytes between segments cost the decoder as much as segments.
        _check_parts(steps)
        kind, body = found[1][0], found.end() + 2
        if kind == _SOS:
            break
        end = found.end() + int.from_bytes(data[found.end() : body], "big")
        if kind in _ODD_MARKERS or end < body:
            raise _odd("JPEG")
        if end > len(data):
            break
        if kind == _APP1 and orientation == 1 and data[body : body + 6] == b"Exif\0\0":
            orientation = exif_orientation(data[body:end])
        if kind not in _METADATA:
            kept.append(data[found.start() : end])
        position = end
    kept.append(data[position:])
    return b"".join(kept), orientation


def _strip_png(data: bytes) -> tuple[bytes, int]:
    kept, orientation = [data[:8]], 1
    position, steps = 8, 0
    while position + 12 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            break
        if kind != b"IDAT" or length < _LONG_ENOUGH:
            steps += 1
            _check_parts(steps)
        if kind == b"eXIf":
            orientation = exif_orientation(data[position + 8 : end - 4])
        if kind in _PIXEL_CHUNKS:
            kept.append(data[position:end])
        position = end
        if kind == b"IEND":
            return b"".join(kept), orientation
    kept.append(data[position:])
    return b"".join(kept), orientation


def _check_gif(data: bytes) -> None:
    """Extension blocks up to the first frame; the decoder reads no further."""
    flags = data[10] if len(data) > 10 else 0
    position = 13 + (3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0)
    steps = 0
    while position < len(data) and data[position] not in b",;":
        steps += 1
        _check_parts(steps)
        if data[position] != ord("!"):
            position += 1
            continue
        label, position, start, blocks = data[position + 1 : position + 2], position + 2, position + 3, 0
        while position < len(data) and data[position]:
            steps, blocks = steps + 1, blocks + 1
            _check_parts(steps)
            position += 1 + data[position]
        position += 1
        # Pillow takes the end of such an extension for one of its blocks, and would see another file.
        if label != b"\xfe" and blocks < (2 if data.startswith(b"NETSCAPE2.0", start) else 1):
            raise _odd("GIF")


def _odd(kind: str) -> ImageError:
    return ImageError(
        f"The {kind} file is not put together as its format has it; it may be damaged.", hint=_SAVE_AGAIN
    )


def _check_parts(steps: int) -> None:
    if steps > MAX_PARTS:
        raise ImageError(
            f"The picture file has more than {MAX_PARTS} parts; a few dozen are usual.",
            hint=_SAVE_AGAIN,
        )
