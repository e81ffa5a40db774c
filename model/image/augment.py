"""Picture to tensor for training and evaluation; every size and constant comes from the ``ModelConfig``."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable

import torch
from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms import Compose

from model.config import ModelConfig
from model.image.preprocess import preprocess

# Width over height of the narrowest random crop.
_NARROWEST = 3 / 4

Transform = Callable[[Image.Image], Tensor]

_QUARTER_TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def eval_transform(*, config: ModelConfig) -> Transform:
    """The steps of ``preprocess`` as a transform to a tensor (3, input_size, input_size)."""
    return _EvalTransform(config)


class _EvalTransform:
    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    def __call__(self, image: Image.Image) -> Tensor:
        return torch.from_numpy(preprocess(image, config=self.config))


class RandomDownscale:
    """Randomly shrinks a picture and enlarges it again, so that sharpness does not reveal the source.

    Args:
        probability: how often, 0 to 1.
        smallest: the smallest factor, above 0, at most 1.
    """

    def __init__(self, *, probability: float, smallest: float) -> None:
        self.probability = probability
        self.smallest = smallest

    def __call__(self, image: Image.Image) -> Image.Image:
        if random.random() >= self.probability:
            return image
        factor = random.uniform(self.smallest, 1.0)
        small = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
        return image.resize(small, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)


class RandomCompression:
    """Randomly compresses a picture as JPEG, so that compression does not reveal the source.

    Args:
        probability: how often, 0 to 1.
        lowest: the lowest quality, 1 to 95.
    """

    def __init__(self, *, probability: float, lowest: int) -> None:
        self.probability = probability
        self.lowest = lowest

    def __call__(self, image: Image.Image) -> Image.Image:
        if random.random() >= self.probability:
            return image
        stored = io.BytesIO()
        image.save(stored, "JPEG", quality=random.randint(self.lowest, 95))
        return Image.open(stored).convert("RGB")


class RandomWhiteBalance:
    """Scales red, green and blue independently, like a different lamp or white balance.

    Args:
        strength: the factors lie between 1 - strength and 1 + strength, 0 to 1.
    """

    def __init__(self, *, strength: float) -> None:
        self.strength = strength

    def __call__(self, image: Image.Image) -> Image.Image:
        if self.strength == 0:
            return image
        tables = []
        for _ in range(3):
            factor = random.uniform(1 - self.strength, 1 + self.strength)
            tables += [min(255, round(value * factor)) for value in range(256)]
        return image.point(tables)


class RandomQuarterTurn:
    """Rotates a picture by 0, 90, 180 or 270 degrees with equal probability, if ``on``."""

    def __init__(self, *, on: bool) -> None:
        self.on = on

    def __call__(self, image: Image.Image) -> Image.Image:
        turn = random.choice(_QUARTER_TURNS) if self.on else None
        return image if turn is None else image.transpose(turn)


def train_decode_side(*, size: int, min_scale: float) -> int:
    """The ``target_side`` for ``read_image`` at which even the smallest random crop is not enlarged.

    Args:
        size, min_scale: as for ``train_transform``.

    Returns:
        Pixels: the short side of a square picture whose narrowest crop of the smallest area has a short side
        of ``size``; a longer picture's crops are larger.
    """
    return math.ceil(size / math.sqrt(min_scale * _NARROWEST))


def train_transform(
    *,
    config: ModelConfig,
    size: int,
    min_scale: float,
    color_jitter: float,
    white_balance: float,
    grayscale: float,
    blur: float,
    downscale: float,
    compress: float,
    erase: float,
    quarter_turns: bool,
) -> Transform:
    """Augmentation for skin pictures: RGB picture → normalised tensor (3, size, size).

    A lesion has no upright side, so both flips are used; crops keep enough of the picture to hold it.

    Args:
        config: interpolation and normalisation.
        size: side of the training crop, pixels; smaller than ``input_size`` saves time and suits the larger
            objects of random crops (Touvron et al. 2019).
        min_scale: smallest area of the random crop, 0 to 1.
        color_jitter: strength of brightness, contrast and saturation changes, 0 to 1.
        white_balance: strength of a colour cast, see ``RandomWhiteBalance``, 0 to 1.
        grayscale, blur, downscale, compress, erase: probability of each, 0 to 1.
        quarter_turns: also rotate pictures by multiples of 90 degrees.
    """
    geometry, colour, tensor = create_transform(
        size,
        is_training=True,
        interpolation=config.interpolation,
        mean=config.mean,
        std=config.std,
        scale=(min_scale, 1.0),
        ratio=(_NARROWEST, 1 / _NARROWEST),
        hflip=0.5,
        vflip=0.5,
        color_jitter=color_jitter,
        grayscale_prob=grayscale,
        gaussian_blur_prob=blur,
        re_prob=erase,
        separate=True,
    )
    return Compose(
        [
            RandomQuarterTurn(on=quarter_turns),
            geometry,
            RandomDownscale(probability=downscale, smallest=0.4),
            colour,
            RandomWhiteBalance(strength=white_balance),
            RandomCompression(probability=compress, lowest=30),
            tensor,
        ]
    )
