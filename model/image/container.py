"""Metadata is stripped from JPEG and PNG files before the decoder sees them.

Metadata can be used to attack a decoder: a megabyte of EXIF whose entries all refer to the same bytes grew to
gigabytes in Pillow, and four megabytes of GIF comments took it a minute. Only the EXIF orientation and the
colour profile are needed; they are read without following references, and the rest is dropped unread.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

import numpy as np

from model.errors import ImageError
from model.image.boxes import check_parts
from model.image.colour import MAX_PROFILE
from model.image.profiles import SRGB, make_profile, profile_of_code_points
from model.image.still import still_picture
from model.image.tiff import first_page

MAX_SCANS_OF_LARGEST = 12
"""The most scans of a progressive JPEG of the largest size; encoders use about ten."""

_SAVE_AGAIN = "Open the picture in an image program, save it as JPEG or PNG and try again."
_LONG_ENOUGH = 1024  # An IDAT chunk of at least this many bytes does not count towards MAX_PARTS.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)
_METADATA = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})  # APP1 to APP13, APP15, COM; APP14 sets colours
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_EOI, _SOS, _APP1, _APP2 = 0xD9, 0xDA, 0xE1, 0xE2
_ICC = b"ICC_PROFILE\0"
_INTEGERS = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}
"""Exif's integer types, and their sizes in bytes."""
# Markers in a header after which Pillow continues at once while other decoders skip a segment, so that they
# would see different files; no valid JPEG has them there.
_ODD_MARKERS = frozenset({0xC8, 0xD8, 0xD9, *range(0xF0, 0xFE)})


class Bare(NamedTuple):
    """A picture file for the decoder, and what its metadata said.

    Attributes:
        data: the file.
        orientation: the EXIF orientation, 1 to 8; 1 if there is none.
        profile: the ICC profile, embedded or built from other colour metadata; not yet validated.
    """

    data: bytes
    orientation: int = 1
    profile: bytes | None = None


def strip(data: bytes) -> Bare:
    """Strip the metadata of a JPEG or PNG file.

    Other files, and truncated ones, are returned unchanged for the decoder to check.

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
    if data.startswith((b"II*\0", b"MM\0*")):
        bare, profile = first_page(data)
        return Bare(bare, exif_orientation(data), profile)
    if data[4:8] == b"ftyp":
        return Bare(*still_picture(data))
    return Bare(data)


def count_scans(data: bytes, *, at_most: int) -> int:
    """Count the scans of a JPEG, up to ``at_most + 1``.

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
        check_parts(steps)
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return scans


def exif_orientation(exif: bytes) -> int:
    """Read the orientation from EXIF data, with or without its ``Exif`` header; 1 if there is none.

    Only the first directory's entries are read (Exif 2.32, 4.6.2 and 4.6.4: 0x0112, one SHORT; some programs
    write another integer type).
    """
    tiff = exif[6:] if exif.startswith(b"Exif\0\0") else exif
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        return 1

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)  # type: ignore[arg-type]

    first = number(4, 4)
    for entry in range(first + 2, min(first + 2 + 12 * number(first, 2), len(tiff) - 11), 12):
        size = _INTEGERS.get(number(entry + 2, 2))
        if size and number(entry, 2) == 0x0112:
            value = number(entry + 8, size)
            return value if 1 <= value <= 8 else 1
    return 1


def _strip_jpeg(data: bytes) -> Bare:
    kept, orientation = [data[:2]], 1
    profile: dict[int, tuple[int, bytes]] = {}
    position, steps = 2, 0
    while found := _MARKER.search(data, position):
        steps += (
            1 + found.end() - position - 2
        )  # Bytes between segments cost the decoder as much as segments do.
        check_parts(steps)
        kind, body = found[1][0], found.end() + 2
        if kind == _SOS:
            break
        end = found.end() + int.from_bytes(data[found.end() : body], "big")
        if kind in _ODD_MARKERS or end < body:
            raise odd("JPEG")
        if end > len(data):
            break
        if kind == _APP1 and orientation == 1 and data[body : body + 6] == b"Exif\0\0":
            orientation = exif_orientation(data[body:end])
        if kind == _APP2 and data.startswith(_ICC, body) and end >= body + 14:
            profile.setdefault(data[body + 12], (data[body + 13], data[body + 14 : end]))
        if kind not in _METADATA:
            kept.append(data[found.start() : end])
        position = end
    kept.append(data[position:])
    return Bare(b"".join(kept), orientation, _joined(profile))


def _joined(parts: dict[int, tuple[int, bytes]]) -> bytes | None:
    """Join a profile's segments, number → (how many there are, content); None if one is missing.

    ICC.1:2010, annex B.4: numbered from 1, in any order.
    """
    count = len(parts)
    if set(parts) != set(range(1, count + 1)) or any(told != count for told, _ in parts.values()):
        return None
    return b"".join(parts[number][1] for number in range(1, count + 1)) or None


def _strip_png(data: bytes) -> Bare:
    kept, orientation = [data[:8]], 1
    colours: dict[bytes, bytes] = {}
    position, steps = 8, 0
    animation, before_pixels, frames, stand_in = b"", 0, 0, False
    while position + 12 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            break
        if kind not in (b"IDAT", b"fdAT") or length < _LONG_ENOUGH:
            steps += 1
            check_parts(steps)
        if kind == b"eXIf":
            orientation = exif_orientation(data[position + 8 : end - 4])
        elif kind in _COLOUR_CHUNKS and not before_pixels:
            colours.setdefault(kind, data[position + 8 : end - 4])
        elif kind == b"acTL" and not before_pixels and not frames:
            animation = data[position:end]
        elif kind == b"IDAT" and not before_pixels:
            before_pixels = len(kept)
        elif kind == b"fcTL":
            frames += 1
            if frames == 1 and before_pixels and animation:
                # The picture before it is not part of the animation: it is the fallback for viewers that do
                # not animate.
                stand_in = True
                kept.insert(before_pixels, animation)
                kept.append(data[position:end])
        elif kind == b"fdAT" and frames == 1 and stand_in:
            kept.append(data[position:end])
        if kind in _PIXEL_CHUNKS:
            kept.append(data[position:end])
        position = end
        if kind == b"IEND":
            position = len(data)
    kept.append(data[position:])
    return Bare(b"".join(kept), orientation, _png_profile(colours, grey=data[25:26] in (b"\0", b"\4")))


def _png_profile(colours: dict[bytes, bytes], *, grey: bool) -> bytes | None:
    """The profile for a PNG's colour chunks, using the one with the highest precedence (PNG 3rd edition,
    4.3)."""
    if len(colours.get(b"cICP", b"")) == 4:
        return profile_of_code_points(colours[b"cICP"][0], colours[b"cICP"][1])
    if b"iCCP" in colours:
        packed = colours[b"iCCP"].partition(b"\0")[2][1:]
        try:
            return zlib.decompressobj().decompress(packed, MAX_PROFILE + 1)
        except zlib.error:
            return None
    gamma, chromaticities = None, SRGB
    if b"sRGB" in colours:
        return None
    if len(colours.get(b"gAMA", b"")) == 4:
        power = int.from_bytes(colours[b"gAMA"], "big") / 100_000
        # 1/2.2 means sRGB; a gamma of 0 or 100 is meaningless.
        gamma = 1 / power if 0.05 < power < 10 and abs(power * 2.2 - 1) > 0.05 else None
    if len(colours.get(b"cHRM", b"")) == 32 and not grey:
        white, *others = [
            tuple(int.from_bytes(colours[b"cHRM"][at + i : at + i + 4], "big") / 100_000 for i in (0, 4))
            for at in range(0, 32, 8)
        ]
        chromaticities = (*others[0], *others[1], *others[2], *white)
    if gamma is None and (grey or np.abs(np.subtract(chromaticities, SRGB)).max() < 0.002):
        return None
    return make_profile(None if grey else chromaticities, gamma=gamma)


def _check_gif(data: bytes) -> None:
    """Check the extension blocks up to the first frame; the decoder reads no further."""
    flags = data[10] if len(data) > 10 else 0
    position = 13 + (3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0)
    steps = 0
    while position < len(data) and data[position] not in b",;":
        steps += 1
        check_parts(steps)
        if data[position] != ord("!"):
            position += 1
            continue
        label, position, start, blocks = data[position + 1 : position + 2], position + 2, position + 3, 0
        while position < len(data) and data[position]:
            steps, blocks = steps + 1, blocks + 1
            check_parts(steps)
            position += 1 + data[position]
        position += 1
        # Pillow takes the end of such an extension for one of its blocks, and would read a different file.
        if label != b"\xfe" and blocks < (2 if data.startswith(b"NETSCAPE2.0", start) else 1):
            raise odd("GIF")


def odd(kind: str) -> ImageError:
    """The error for a malformed file."""
    return ImageError(
        "This {kind} file is malformed; it may be damaged.", hint=_SAVE_AGAIN, values={"kind": kind}
    )
