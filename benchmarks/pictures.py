"""Pictures drawn by code, as heavy to decode as photographs."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def draw_jpeg(width: int, height: int, *, seed: int, orientation: int = 1, quality: int = 93) -> bytes:
    """A JPEG with detail at every scale, its spectrum falling off as a photograph's does.

    Args:
        width, height: pixels.
        seed: of the noise it is made of.
        orientation: EXIF's; 6 is a phone held upright.
        quality: of the JPEG.
    """
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), (180.0, 140.0, 120.0), np.float32)
    for cells, strength in ((6, 40.0), (24, 20.0), (96, 10.0), (384, 8.0), (1536, 7.0), (6144, 4.0)):
        size = (min(cells, width), max(1, min(cells * 3 // 4, height)))
        for channel in range(3):
            noise = Image.fromarray(random.standard_normal(size[::-1], dtype=np.float32) * strength)
            picture[..., channel] += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def phone_jpeg(seed: int = 0) -> bytes:
    """12 megapixels of a phone held upright."""
    return draw_jpeg(4032, 3024, seed=seed, orientation=6)


def small_jpeg(seed: int) -> bytes:
    """640 x 480 pixels."""
    return draw_jpeg(640, 480, seed=seed, quality=88)
