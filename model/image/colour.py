"""Convert colours from a picture's ICC profile to sRGB, so that only the decoder deals with profiles.

Rendering intent: relative colorimetric, without black point compensation. littleCMS converts, through Pillow.
"""

from __future__ import annotations

import functools
import io
import itertools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from model.image.profiles import CURVES, MAX_TAGS, PRIMARIES, profile_of_tags, srgb_curve, tags_of

MAX_PROFILE = 4 * 1024 * 1024
"""The largest ICC profile that is used, bytes; a screen's has 1 to 20 kB, a printing press's up to 3 MB."""
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_COARSE = 3
"""Of sRGB's 255: more than one 8-bit step amounts to at ordinary gammas of 1.8 to 2.4."""
_CLASSES = {"mntr", "scnr", "prtr", "spac"}
# Tags with arbitrarily long chains of calculations, which littleCMS would evaluate for every node of its
# table. A profile that has them also has an ordinary description of its colours.
_CHAINS = tuple(f"{way}{intent}".encode() for way in ("D2B", "B2D") for intent in range(4))
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_SRGB = ImageCms.createProfile("sRGB")
_STRAIGHT = {"La": "LA", "RGBa": "RGBA", "P": "RGBA", "PA": "RGBA", "1": "L"}


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture to sRGB, given its ICC profile; alpha is unchanged.

    A profile is ignored, and the values taken as sRGB, if it is broken, larger than ``MAX_PROFILE``, for
    another colour space than the picture's, or maps black and white to nearly the same colour.

    Args:
        image: of 8 bits a channel.
        profile: ICC, if the file has one.

    Returns:
        The same picture if there is nothing to convert, else one of mode RGB or RGBA.
    """
    if image.mode == "LAB":
        return _lab().apply(image)
    if profile is None or not 132 <= len(profile) <= MAX_PROFILE:
        return image
    whole = image.convert(_STRAIGHT.get(image.mode, image.mode))
    alpha = whole.getchannel("A") if whole.mode in ("LA", "RGBA") else None
    plain = whole.convert(
        {"LA": "L", "RGBA": "RGB", "RGBX": "RGB", "YCbCr": "RGB"}.get(whole.mode, whole.mode)
    )
    if plain.mode == "L" and profile[16:20] == b"RGB ":
        plain = plain.convert("RGB")
    transform = _transform(profile, plain.mode)
    if transform is None:
        return image
    converted = plain
    if plain.mode == "L":
        converted = Image.fromarray(_of_256_greys(transform)[np.asarray(plain)])
    elif plain.mode == "RGB":
        transform.apply_in_place(plain)  # a quarter faster
    else:
        converted = transform.apply(plain)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def wide_grey_to_srgb(grey: NDArray[np.uint16], profile: bytes | None) -> Image.Image | None:
    """Convert 16-bit grey to sRGB; None if there is nothing to convert.

    Interpolates between the 256 steps of 8 bits, which are too coarse for dark areas in linear light.
    """
    ramp = to_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), profile)
    if ramp.mode == "L":
        return None
    steps, numbers = np.arange(256), np.asarray(ramp, float)[0]
    table = np.stack([np.interp(np.arange(65536) / 257, steps, numbers[:, i]) for i in range(3)], axis=-1)
    return Image.fromarray(np.rint(table).astype(np.uint8)[grey])


@functools.lru_cache(maxsize=16)
def straightened(profile: bytes) -> tuple[list[NDArray[np.uint8]], bytes] | None:
    """How to reduce 16-bit colours to 8 bits if 8 bits of the profile's own values are too coarse.

    Returns:
        The 65536 values of red, green and blue on the curve of sRGB, and the matching profile. None if the
        profile's own values are fine enough, or it is not defined by three primaries and their curves.
    """
    tags = tags_of(profile) if profile[16:20] == b"RGB " and len(profile) <= MAX_PROFILE else {}
    if b"A2B0" in tags or not {*CURVES, *PRIMARIES} <= set(tags):
        return None
    tables = []
    for name in CURVES:
        ramp = np.arange(65536, dtype=np.uint16)[None]
        light = wide_grey_to_srgb(ramp, profile_of_tags(b"GRAY", [(b"kTRC", tags[name])]))
        if light is None:
            return None
        tables.append(np.asarray(light)[0, :, 0])
    if max(np.diff(table[::257].astype(int)).max() for table in tables) <= _COARSE:
        return None
    kept = [(name, tags[name]) for name in PRIMARIES] + [(name, srgb_curve()) for name in CURVES]
    return tables, profile_of_tags(b"RGB ", kept)


def _of_256_greys(transform: ImageCms.ImageCmsTransform) -> NDArray[np.uint8]:
    """The converted colour of each grey: (256, 3)."""
    return np.asarray(transform.apply(Image.fromarray(np.arange(256, dtype=np.uint8)[None])))[0]


# A camera writes the same profile into every picture. littleCMS's transforms may be shared by threads.
@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform for pictures of this mode; None if there is nothing to do."""
    tags = int.from_bytes(profile[128:132], "big")
    if tags > MAX_TAGS:
        return None
    table = bytearray(profile)
    for entry in range(132, min(132 + 12 * tags, len(profile) - 11), 12):
        if table[entry : entry + 4] in _CHAINS:
            table[entry : entry + 4] = b"none"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(bytes(table)))
        space, kind = source.profile.xcolor_space, source.profile.device_class
        if _SPACES.get(space) != mode or kind not in _CLASSES:
            return None
        # For grey, littleCMS's shortcut is a table of 33 steps, too coarse for dark areas.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB", _INTENT, flags)
        return transform if _is_of_use(transform, mode) else None
    except Exception:  # whatever is wrong with the profile, the picture can still be read
        return None


def _is_of_use(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether white stays much brighter than black, and at least one colour changes."""
    steps = (0, 17, 51, 102, 153, 204, 238, 255)
    channels = len(Image.new(mode, (1, 1)).getbands())
    nodes = np.array(list(itertools.product(steps, repeat=channels if channels < 4 else 1)), np.uint8)
    if mode == "CMYK":  # from paper to black ink, which is never sRGB
        nodes = np.hstack([np.zeros((len(nodes), 3), np.uint8), nodes[::-1]])
    grid = Image.frombytes(mode, (len(nodes), 1), nodes.tobytes())
    got = np.asarray(transform.apply(grid))[0].astype(int)
    if got[-1].mean() - got[0].mean() < 64:
        return False
    return mode == "CMYK" or int(np.abs(got - nodes.astype(int)).max()) > 1


@functools.cache
def _lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _SRGB, "LAB", "RGB", _INTENT)
