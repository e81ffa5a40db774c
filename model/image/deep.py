"""Pictures with 16 bits per channel: Pillow keeps only the upper eight, but dark areas need the others.

If values are linear in light, one 8-bit step near black is 13 of sRGB's 255.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image

from model.image.colour import straightened, wide_grey_to_srgb
from model.image.formats import open_picture

_BITS_PER_SAMPLE = 258
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def eight_bits(image: Image.Image, data: bytes, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Convert a decoded picture to 8 bits per channel; return it with the matching profile.

    Args:
        image: as decoded by Pillow, of any depth.
        data: its file.
        profile: ICC, if the file has one.
    """
    if image.mode.startswith("I"):
        return wide_grey_to_srgb(np.asarray(image, np.uint16), profile) or scaled(image), None
    if profile is None or not _is_deep(image, data):
        return image, profile
    if image.format == "PNG" and data[25] == 4:
        return _grey_with_alpha(image, data, profile)
    straight = straightened(profile) if image.mode in ("RGB", "RGBA") else None
    if straight is None:
        return image, profile
    tables, profile = straight
    lower = _lower_bytes(data)
    bands = [
        Image.fromarray(table[np.asarray(band).astype(np.uint16) << 8 | np.asarray(lower.getchannel(name))])
        for table, band, name in zip(tables, image.split()[:3], "RGB", strict=True)
    ]
    plain = Image.merge("RGB", bands)
    if image.mode == "RGBA":
        plain.putalpha(image.getchannel("A"))
    return plain, profile


def scaled(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits."""
    # Pillow's own conversion clips 16-bit grey at 255 instead of scaling it. 257 x 255 = 65535.
    grey = np.asarray(image).clip(0, 65535).astype(np.uint32)
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8))


def without_colour(
    image: Image.Image, data: bytes, profile: bytes | None
) -> tuple[Image.Image, bytes | None]:
    """Replace the one transparent colour (tRNS) of a grey or RGB PNG by an alpha channel.

    The colour is given in the file's own bit depth, so pixels must be compared in that depth. Arguments and
    result are those of ``eight_bits``.
    """
    transparent, depth = image.info.pop("transparency"), data[24]
    if image.mode == "RGB":
        pixels = np.asarray(image).astype(np.uint16)
        if depth == 16:
            pixels = pixels << 8 | np.asarray(_lower_bytes(data))
        hidden = (pixels == np.asarray(transparent, np.uint16)).all(axis=-1)
        plain, profile = eight_bits(image, data, profile)
    elif depth == 16:
        hidden = np.asarray(image) == transparent
        plain, profile = eight_bits(image, data, profile)
    else:
        plain = image.convert("L")
        transparent = transparent if image.mode == "1" else transparent * 255 // (2**depth - 1)
        hidden = np.asarray(plain) == transparent
    with_alpha = plain.convert("RGBA" if plain.mode == "RGB" else "LA")
    with_alpha.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))
    return with_alpha, profile


def _is_deep(image: Image.Image, data: bytes) -> bool:
    if image.format == "TIFF":
        return image.tag_v2.get(_BITS_PER_SAMPLE, (1,))[0] == 16  # type: ignore[attr-defined]
    return image.format == "PNG" and data[24] == 16


def _lower_bytes(data: bytes) -> Image.Image:
    # The decoder keeps the upper bytes; given the opposite byte order, it keeps the lower ones. For a TIFF
    # with separate planes it keeps the upper ones anyway, which is good enough except in dark areas.
    with open_picture(data) as image:
        image.tile = [tile._replace(args=_other_order(tile.args)) for tile in image.tile]
        image.load()
        return image


def _other_order(args: Any) -> Any:
    if isinstance(args, tuple):
        return (_other_order(args[0]), *args[1:])
    mode, _, order = str(args).partition(";16")
    return f"{mode};16{_OTHER_ORDER[order]}"


def _grey_with_alpha(image: Image.Image, data: bytes, profile: bytes) -> tuple[Image.Image, bytes | None]:
    """Read a 16-bit grey PNG with alpha from its raw four bytes per pixel; Pillow would convert it to
    RGBA."""
    with open_picture(data) as raw:
        raw.tile = [tile._replace(args="RGBA") for tile in raw.tile]
        upper, lower = np.moveaxis(np.asarray(raw), -1, 0)[:2]
    grey = wide_grey_to_srgb(upper.astype(np.uint16) << 8 | lower, profile)
    if grey is None:
        return image, None
    grey.putalpha(image.getchannel("A"))
    return grey, None
