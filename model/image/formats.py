"""The supported formats, their names, and the limits for all of them."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin

try:
    import pi_heif
except ImportError:  # some platforms have no wheel; everything else works without it
    pi_heif = None

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 64 * 1024 * 1024
MAX_PIXELS_WHOLE = 24 * 1024 * 1024
"""For all but JPEG, which alone can be decoded at a reduced scale; a WebP takes 20 bytes per pixel."""
MIN_SIDE = 32
MAX_ASPECT = 20
MAX_PARTS = 4000
"""Segments, chunks, blocks or items in a file; photographs have a few dozen, an iPhone's a few hundred."""

# Register every decoder now, or the first threads to open a picture would race to do so.
Image.init()
# One core per picture, since a server handles several at once. Other content of a HEIC file is ignored.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Pillow's own reader for uncompressed TIFF mistakes 16 bits in separate planes for 8.
TiffImagePlugin.READ_LIBTIFF = True
if pi_heif is not None:
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


class Format(NamedTuple):
    """The names of a format, for people and for programs."""

    name: str
    media_types: tuple[str, ...]
    suffixes: tuple[str, ...]


_KNOWN = {
    "JPEG": Format("JPEG", ("image/jpeg",), (".jpg", ".jpeg")),
    "PNG": Format("PNG", ("image/png",), (".png",)),
    "WEBP": Format("WebP", ("image/webp",), (".webp",)),
    "GIF": Format("GIF", ("image/gif",), (".gif",)),
    "BMP": Format("BMP", ("image/bmp",), (".bmp",)),
    "TIFF": Format("TIFF", ("image/tiff",), (".tif", ".tiff")),
    "AVIF": Format("AVIF", ("image/avif",), (".avif",)),
    "HEIF": Format("HEIC", ("image/heic", "image/heif"), (".heic", ".heif")),
}
_READ = {"HEIF": pi_heif is not None, "AVIF": AvifImagePlugin.SUPPORTED}

FORMATS = {key: format_ for key, format_ in _KNOWN.items() if _READ.get(key, True)}
"""Pillow's name of each supported format → its other names."""
SUFFIXES = tuple(suffix for format_ in FORMATS.values() for suffix in format_.suffixes)
"""File extensions, in lower case."""
ACCEPT = ",".join([*(kind for format_ in FORMATS.values() for kind in format_.media_types), *SUFFIXES])
"""For HTML's ``accept``; with the extensions, since not every system knows the newer media types."""


def names(*, last: str = "or") -> str:
    """``JPEG, PNG, ... or HEIC``."""
    *others, final = (format_.name for format_ in FORMATS.values())
    return f"{', '.join(others)} {last} {final}"


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """Open a picture of one of ``FORMATS`` with Pillow, without decoding it."""
    return Image.open(io.BytesIO(data), formats=tuple(FORMATS))
