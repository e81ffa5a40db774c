"""Example pictures drawn by code: drawn skin with what may be seen on it, and what is no skin at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 480, 360
LIGHT, BROWN, DARK = (222, 178, 152), (158, 110, 82), (98, 66, 50)
"""Tones of drawn skin: red, green and blue, 0 to 255."""


def cloth() -> Image.Image:
    """A chequered cloth."""
    y, x = _grid()
    bands = ((x // 40 % 2) + (y // 40 % 2))[..., None] / 2
    picture = (1 - bands) * np.array([238, 236, 228]) + bands * np.array([178, 34, 48])
    weave = 0.94 + 0.06 * np.sin(x * 1.9) * np.sin(y * 1.9)
    return _picture(picture * weave[..., None] * _grain(seed=1, strength=0.03)[..., None])


def landscape() -> Image.Image:
    """Hills under a blue sky with a sun."""
    y, x = _grid()
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


def skin(tone: tuple[int, int, int]) -> Floats:
    """(HEIGHT, WIDTH, 3): a patch of skin lit from the left, with fine lines."""
    y, x = _grid()
    light = 1.05 - 0.25 * x / WIDTH - 0.1 * y / HEIGHT
    lines = 1 - 0.05 * (np.sin(x / 5 + np.sin(y / 23)) ** 8 + np.sin(y / 6 + np.sin(x / 19)) ** 8)
    return np.array(tone) * (light * lines * _grain(seed=3, strength=0.06))[..., None]


def spot(
    base: Floats,
    colour: tuple[int, int, int],
    *,
    at: tuple[float, float] = (245, 175),
    radius: float = 52,
    uneven: float = 0.13,
    edge: float = 3,
    strength: float = 1,
) -> Floats:
    """A coloured spot on drawn skin.

    Args:
        base: as of ``skin``.
        colour: of the spot.
        at: its middle, x and y, pixels.
        radius: pixels.
        uneven: how much the radius varies, as a share of it.
        edge: over how many pixels the spot ends.
        strength: how much of the skin's own colour it hides, 0 to 1.
    """
    y, x = _grid()
    angle = np.arctan2(y - at[1], x - at[0])
    outline = radius * (1 + uneven * np.sin(3 * angle + at[0]) + 0.6 * uneven * np.sin(5 * angle + at[1]))
    inside = strength / (1 + np.exp((np.hypot(x - at[0], y - at[1]) - outline) / edge))
    shade = base.mean(axis=2, keepdims=True) / base.mean()
    return (1 - inside[..., None]) * base + inside[..., None] * np.array(colour) * shade


def uneven_mole(base: Floats) -> Floats:
    """A large mole on drawn skin, uneven in outline and in colour."""
    brown = spot(base, (90, 50, 40), radius=80, uneven=0.12)
    dark = spot(brown, (30, 24, 40), at=(270, 150), radius=33.6, uneven=0.2)
    red = spot(dark, (190, 70, 70), at=(215, 200), radius=24, uneven=0.2)
    return spot(red, (226, 190, 150), at=(255, 205), radius=12, uneven=0.3)


def finished(values: Floats) -> Image.Image:
    """The picture of drawn skin."""
    return _picture(values)


def darkened(picture: Image.Image) -> Image.Image:
    """A picture taken in the evening, without a lamp."""
    return picture.point(lambda value: int(value * 0.28))


def _grid() -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    return y, x


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
