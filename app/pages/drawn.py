"""Example pictures drawn by code: no skin, and badly photographed skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 480, 360


def cloth() -> Image.Image:
    """A chequered cloth."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    bands = ((x // 40 % 2) + (y // 40 % 2))[..., None] / 2
    picture = (1 - bands) * np.array([238, 236, 228]) + bands * np.array([178, 34, 48])
    weave = 0.94 + 0.06 * np.sin(x * 1.9) * np.sin(y * 1.9)
    return _picture(picture * weave[..., None] * _grain(seed=1, strength=0.03)[..., None])


def landscape() -> Image.Image:
    """Hills under a blue sky with a sun."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    down = (y / HEIGHT)[..., None]
    picture = (1 - down) * np.array([70, 130, 215]) + down * np.array([225, 235, 250])
    sun = np.hypot(x - 380, y - 70) < 34
    picture[sun] = (255, 232, 120)
    for level, height, length, colour in (
        (190, 40, 95, (96, 125, 139)),
        (240, 30, 60, (74, 124, 67)),
        (295, 18, 38, (46, 92, 40)),
    ):
        hill = y > level + height * np.sin(x / length + level)
        picture[hill] = colour
    return _picture(picture * _grain(seed=2, strength=0.05)[..., None])


def skin_spot() -> Image.Image:
    """A patch of skin with a brown spot, well lit and sharp."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    light = 1.05 - 0.25 * x / WIDTH - 0.1 * y / HEIGHT
    angle = np.arctan2(y - 175, x - 245)
    radius = 52 + 7 * np.sin(3 * angle + 1) + 4 * np.sin(5 * angle)
    inside = 1 / (1 + np.exp((np.hypot(x - 245, y - 175) - radius) / 3))
    colour = (1 - inside[..., None]) * np.array([218, 172, 146]) + inside[..., None] * np.array([112, 70, 50])
    lines = 1 - 0.05 * (np.sin(x / 5 + np.sin(y / 23)) ** 8 + np.sin(y / 6 + np.sin(x / 19)) ** 8)
    return _picture(colour * (light * lines * _grain(seed=3, strength=0.06))[..., None])


def darkened(picture: Image.Image) -> Image.Image:
    """A picture taken in the evening, without a lamp."""
    return picture.point(lambda value: int(value * 0.28))


def washed_out(picture: Image.Image) -> Image.Image:
    """A picture taken under a flash held too close."""
    return picture.point(lambda value: min(255, int(value * 1.9)))


def out_of_focus(picture: Image.Image) -> Image.Image:
    """A picture out of focus."""
    return picture.filter(ImageFilter.GaussianBlur(7))


def thumbnail(picture: Image.Image) -> Image.Image:
    """A thumbnail of a picture."""
    return picture.resize((160, 120), Image.Resampling.LANCZOS)


def _grain(*, seed: int, strength: float) -> Floats:
    """(HEIGHT, WIDTH) around 1: fine and coarse unevenness, the same in every run."""
    random = np.random.default_rng(seed)
    grain = np.zeros((HEIGHT, WIDTH))
    for cell in (1, 3, 8):
        shape = (HEIGHT // cell + 1, WIDTH // cell + 1)
        noise = Image.fromarray(random.standard_normal(shape).astype(np.float32))
        grain += np.asarray(noise.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    return 1 + strength * grain / 2


def _picture(values: Floats) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))
