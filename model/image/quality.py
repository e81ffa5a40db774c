"""Photo quality: warns of dark, bright, blurred or small photos, with advice; never blocks a result.

Brightness and sharpness are measured on a grey copy whose short side has ``SIDE`` pixels, about what the
network sees, so that they mean the same for a phone's 12 megapixels as for a small picture, whether or not a
JPEG was decoded at a reduced scale.

The thresholds were chosen on the 872 validation pictures of the clinical photographs that the embedded
checkpoint learned from (``skin22``): together they warn of 4 in 100 of them. Each constant below says of how
many it warns by itself, and, measured on every fourth of these pictures, of how many after they were
darkened, brightened or blurred.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from PIL import Image

from model.image.preprocess import QUALITY_SIDE

SIDE = QUALITY_SIDE
"""Short side of the copy that is measured, pixels; decode with at least this ``target_side``."""

SMALLEST = 192
"""``too_small``: the short side has fewer pixels. A network that looks at 224 pixels would
see little more than an enlarged thumbnail. Warns of 2.8 % of the validation pictures."""

DARK_BELOW = 0.35
"""``too_dark``: the 95th percentile of luminance (Rec. 601, 0 to 1) is less.

A high percentile rather than the mean: neither dark skin nor a black backdrop makes a dark photo, since both
have highlights when they are well lit. Warns of 0.1 %, and of none of the 156 training and validation
pictures that are marked Fitzpatrick V or VI; of 31 % at half the brightness, of all at a third."""

WHITE_FROM = 0.94
BRIGHT_ABOVE = 0.35
"""``too_bright``: a larger share of the pixels (0 to 1) has at least the luminance ``WHITE_FROM``.

The share of clipped pixels, as a camera's histogram shows it; a white sheet around an arm seldom fills a
third. Warns of 0.6 %; of 78 % at twice the brightness, of 95 % at three times."""

SHARP_FROM = 20.0
"""``blurred``: the variance of the Laplacian of the grey values (0 to 255) is less, from 0 upwards.

Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000; LAP4 in the comparison of
Pertuz et al. (2013). Not measured if the photo is too dark, which reduces all contrast. Warns of 0.9 %; of
91 % after a Gaussian blur of 1.5 pixels on the copy, of all after 2."""


WORDS = {
    "too_small": (
        "The photo is small: its shorter side has {value} pixels.",
        "Send the original photo rather than a screenshot, a preview or a small crop of it.",
    ),
    "too_dark": (
        "The photo is dark.",
        "Take it again in daylight or beside a bright lamp, and keep your own shadow off the skin.",
    ),
    "blurred": (
        "The photo looks blurred, or shows very little detail.",
        "Hold the phone with both hands, tap on the spot to focus, and move back a little if it stays soft.",
    ),
    "too_bright": (
        "Much of the photo is washed out to white.",
        "Take it again without the flash and out of direct sun.",
    ),
}
"""Name → what is wrong, and how to take a better photo; ``{value}`` is the rounded value."""

Problem = Literal["too_small", "too_dark", "blurred", "too_bright"]


@dataclasses.dataclass(frozen=True)
class QualityWarning:
    """A quality problem that was found.

    Attributes:
        name: ``too_small``, ``too_dark``, ``too_bright`` or ``blurred``.
        value, threshold: in the unit of the measure, see this module.
        message: what is wrong, one plain sentence.
        advice: how to take a better photo, one plain sentence.
    """

    name: Problem
    value: float
    threshold: float
    message: str
    advice: str


def check_quality(picture: Image.Image) -> tuple[QualityWarning, ...]:
    """Check one picture; returns warnings, or none if all is well.

    Args:
        picture: RGB, decoded in full or with a ``target_side`` of at least ``SIDE``: a reduced decode leaves
            a short side of that length or more, so `too_small` measures the original size when it matters.
    """
    found = []
    if min(picture.size) < SMALLEST:
        found.append(_warning("too_small", float(min(picture.size)), float(SMALLEST)))
    grey = _small_grey(picture)
    shares = np.cumsum(grey.histogram()) / (grey.width * grey.height)  # of pixels at most this bright
    highlights = int(np.searchsorted(shares, 0.95)) / 255
    white = 1.0 - float(shares[int(WHITE_FROM * 255)])
    if highlights < DARK_BELOW:
        found.append(_warning("too_dark", highlights, DARK_BELOW))
    elif (sharpness := _laplacian_variance(grey)) < SHARP_FROM:
        found.append(_warning("blurred", sharpness, SHARP_FROM))
    if white > BRIGHT_ABOVE:
        found.append(_warning("too_bright", white, BRIGHT_ABOVE))
    return tuple(found)


def _warning(name: Problem, value: float, threshold: float) -> QualityWarning:
    message, advice = WORDS[name]
    return QualityWarning(name, value, threshold, message.format(value=round(value)), advice)


def brightness(picture: Image.Image) -> float:
    """The mean luminance (Rec. 601) of an RGB picture, 0 (black) to 1 (white)."""
    side = min(SIDE, *picture.size)
    return float(np.asarray(picture.resize((side, side), Image.Resampling.NEAREST).convert("L")).mean()) / 255


def _small_grey(picture: Image.Image) -> Image.Image:
    """A small grey copy, averaged down, never enlarged."""
    grey = picture.convert("L")
    factor = SIDE / min(grey.size)
    if factor < 1:
        size = (round(grey.width * factor), round(grey.height * factor))
        grey = grey.resize(size, Image.Resampling.BOX)
    return grey


def _laplacian_variance(grey: Image.Image) -> float:
    values = np.asarray(grey, dtype=np.float32)
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return float((4 * values[1:-1, 1:-1] - around).var())
