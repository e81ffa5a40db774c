"""Picture to tensor, on timm's transforms; every size and constant comes from the ``ModelConfig``."""

from __future__ import annotations

import random
from collections.abc import Callable

from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms import Compose

from model.config import ModelConfig

Transform = Callable[[Image.Image], Tensor]

_QUARTER_TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def eval_transform(*, config: ModelConfig) -> Transform:
    """RGB picture → normalised tensor (3, input_size, input_size), seen as ``crop_mode`` says."""
    return create_transform(
        config.input_size,
        is_training=False,
        interpolation=config.interpolation,
        mean=config.mean,
        std=config.std,
        crop_pct=config.crop_pct,
        crop_mode=config.crop_mode,
    )


def resized_side(config: ModelConfig) -> int:
    """The length in pixels to which ``eval_transform`` resizes the short side (``squash``: both sides)."""
    return int(config.input_size / config.crop_pct)


def decode_side(config: ModelConfig) -> int:
    """The ``target_side`` for ``read_image``: twice what is needed, so that the resize can average."""
    return 2 * resized_side(config)


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


class RandomDownscale:
    """Shrinks a picture and enlarges it again with some probability, so that sharpness tells no source.

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


class RandomQuarterTurn:
    """Turns a picture by 0, 90, 180 or 270 degrees, each equally often, where ``on``."""

    def __init__(self, *, on: bool) -> None:
        self.on = on

    def __call__(self, image: Image.Image) -> Image.Image:
        turn = random.choice(_QUARTER_TURNS) if self.on else None
        return image if turn is None else image.transpose(turn)


def train_transform(
    *,
    config: ModelConfig,
    size: int,
    min_scale: float,
    color_jitter: float,
    grayscale: float,
    blur: float,
    downscale: float,
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
        grayscale, blur, downscale, erase: probability of each, 0 to 1.
        quarter_turns: also turn pictures by multiples of 90 degrees.
    """
    geometry, colour, tensor = create_transform(
        size,
        is_training=True,
        interpolation=config.interpolation,
        mean=config.mean,
        std=config.std,
        scale=(min_scale, 1.0),
        ratio=(3 / 4, 4 / 3),
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
            tensor,
        ]
    )
