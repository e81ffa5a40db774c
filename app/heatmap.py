"""Overlay a Grad-CAM map on the picture that it explains."""

from __future__ import annotations

import base64
import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from model.image import read_image

MAX_SIDE = 512
PREVIEW_SIDE = 640
STRENGTH = 0.6
"""Opacity of the heat map where the evidence is strongest."""
AREAS = "Areas"
"""The key of the PNG's text that says of how many areas the network's map is made, such as "7 x 7"."""
# Dark violet, orange, pale yellow: lightness rises evenly, also for colour-blind people.
_COLOURS = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64
)
# For evidence from 0 to 255: red, green and blue, and the opacity.
_LEVELS = np.linspace(0, 1, 256)
_CHANNELS = [
    np.interp(_LEVELS, np.linspace(0, 1, len(_COLOURS)), channel).round().astype(int).tolist()
    for channel in _COLOURS.T
]
_OPACITY = (255 * STRENGTH * _LEVELS).round().astype(int).tolist()


def overlay(picture: Image.Image, evidence: NDArray[np.float32], *, seen: tuple[float, float]) -> Image.Image:
    """Colour the areas with evidence for a condition; areas without evidence keep their own colours.

    Args:
        picture: the whole picture, RGB; the result has at most ``MAX_SIDE`` pixels per side.
        evidence: (h, w), 0 to 1, for the centre part that the network saw.
        seen: that part's width and height as shares of the picture's, 0 to 1.
    """
    base = picture.copy()
    base.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BICUBIC)
    width, height = round(base.width * seen[0]), round(base.height * seen[1])
    left, top = (base.width - width) // 2, (base.height - height) // 2
    smooth = Image.fromarray(evidence.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    heat = Image.new("L", base.size)
    heat.paste(Image.fromarray((255 * np.asarray(smooth).clip(0, 1)).round().astype(np.uint8)), (left, top))
    colour = Image.merge("RGB", [heat.point(channel) for channel in _CHANNELS])
    drawn = Image.composite(colour, base, heat.point(_OPACITY))
    drawn.info[AREAS] = f"{evidence.shape[1]} x {evidence.shape[0]}"
    return drawn


def preview(data: bytes, *, side: int = PREVIEW_SIDE) -> str:
    """As ``preview_jpeg``, as a data URI."""
    return _jpeg_uri(preview_jpeg(data, side=side))


def preview_jpeg(data: bytes, *, side: int) -> bytes:
    """Make a small, upright JPEG without metadata from an encoded picture.

    Args:
        data: the encoded picture.
        side: the longer side of the result, at most, pixels.

    Raises:
        ImageError: the bytes cannot be read safely as a picture.
    """
    picture = read_image(data, target_side=side)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    return _jpeg(picture)


def jpeg_uri(picture: Image.Image) -> str:
    """The picture as ``data:image/jpeg;base64,...``, a tenth of the size of a PNG of a photograph."""
    return _jpeg_uri(_jpeg(picture))


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _jpeg_uri(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def data_uri(picture: Image.Image) -> str:
    """The picture as ``data:image/png;base64,...``, with the number of its areas as a text of the PNG."""
    buffer, text = io.BytesIO(), PngImagePlugin.PngInfo()
    if AREAS in picture.info:
        text.add_text(AREAS, picture.info[AREAS])
    # Photographs hardly compress in PNG: trying takes most of the time and saves almost nothing.
    picture.save(buffer, "PNG", pnginfo=text, compress_level=1, compress_type=zlib.Z_HUFFMAN_ONLY)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def png_bytes(uri: str) -> bytes:
    """Decode the result of ``data_uri`` to the bytes of a PNG file."""
    return base64.b64decode(uri.partition(",")[2])
