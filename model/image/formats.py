"""Which formats are read, what they are called, and the bounds that hold for all of them."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin

try:
    import pi_heif
except ImportError:  # there is no wheel for some platforms; everything else works without it
    pi_heif = None

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 64 * 1024 * 1024
MAX_PIXELS_WHOLE = 24 * 1024 * 1024
"""For all but JPEG, the only one that can be decoded at a reduced scale; a WebP takes 20 bytes a pixel."""
MIN_SIDE = 32
MAX_ASPECT = 20
MAX_PARTS = 4000
"""Segments, chunks, blocks or items in a file; photographs have a few dozen, an iPhone's a few hundred."""

# Every decoder at once, or the first threads to open a picture would race to register them.
Image.init()
# One picture, one core: a server answers several at once. What else a HEIC file carries is not looked at.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Pillow's own reading of uncompressed TIFF takes 16 bits in separate planes for 8.
TiffImagePlugin.READ_LIBTIFF = True
if pi_heif is not None:
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


class Format(NamedTuple):
    """What people and programs call a format."""

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
"""Pillow's name of each format that is read here → what it is called elsewhere."""
SUFFIXES = tuple(suffix for format_ in FORMATS.values() for suffix in format_.suffixes)
"""Endings of the files' names, in small letters."""
ACCEPT = ",".join([*(kind for format_ in FORMATS.values() for kind in format_.media_types), *SUFFIXES])
"""For HTML's ``accept``; the endings too, since not every system knows the newer media types."""


def names(*, last: str = "or") -> str:
    """``JPEG, PNG, ... or HEIC``."""
    *others, final = (format_.name for format_ in FORMATS.values())
    return f"{', '.join(others)} {last} {final}"


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """A picture file that Pillow has looked at and not yet decoded; of one of ``FORMATS``."""
    return Image.open(io.BytesIO(data), formats=tuple(FORMATS))
