"""Preprocess a picture for the network; every size and constant comes from the ``ModelConfig``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.config import ModelConfig

QUALITY_SIDE = 256
"""Short side of the copy on which ``model.image.quality`` assesses a photo, pixels."""

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def preprocess(image: Image.Image, *, config: ModelConfig) -> NDArray[np.float32]:
    """RGB picture → normalised (3, input_size, input_size), cropped according to ``crop_mode``.

    Bit for bit the same as timm's evaluation transform, with the same order of steps.
    """
    short, seen = resized_side(config), config.input_size
    width, height = image.size
    if config.crop_mode == "squash":
        size = (short, short)
    elif width <= height:
        size = (short, int(short * height / width))
    else:
        size = (int(short * width / height), short)
    left, top = round((size[0] - seen) / 2), round((size[1] - seen) / 2)
    resized = image.resize(size, _FILTERS[config.interpolation]) if size != image.size else image
    square = resized.crop((left, top, left + seen, top + seen))
    pixels = np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / np.float32(
        255
    )  # (S, S, 3) → (3, S, S)
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (config.mean, config.std))
    return np.ascontiguousarray((pixels - mean) / std)


def resized_side(config: ModelConfig) -> int:
    """The length in pixels to which ``preprocess`` resizes the short side (``squash``: both sides)."""
    return int(config.input_size / config.crop_pct)


def decode_side(config: ModelConfig) -> int:
    """The ``target_side`` for ``read_image``, for serving and evaluation alike.

    1.5 times the size that is needed, so that the resize can average, and enough to assess the photo's
    quality. For 224 pixels, a 12-megapixel photo can be decoded at 1/8.
    """
    return max(resized_side(config) * 3 // 2, QUALITY_SIDE)


def seen_share(size: tuple[int, int], *, config: ModelConfig) -> tuple[float, float]:
    """The centre part of a picture that the network sees, as shares of its width and height, 0 to 1.

    Args:
        size: width and height of the picture, pixels.
        config: of the network.
    """
    share = config.input_size / resized_side(config)
    if config.crop_mode == "squash":
        return share, share
    return share * min(size) / size[0], share * min(size) / size[1]
