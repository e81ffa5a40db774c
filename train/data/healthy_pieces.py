"""``pieces``: healthy skin cut from photographs of a condition, well away from it.

Collections of conditions hold next to no healthy skin, and what there is was taken elsewhere, so a network
learns the place instead of the skin. A piece comes from the same cameras, rooms and people as the conditions.

A piece is a square in which Grad-CAM sees nothing of the label, that has the colours of skin throughout, is
no redder than the skin of the picture on the whole, and has little detail that light alone does not explain.
Nobody has diagnosed it: look at a sheet of each source before training on it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tqdm import tqdm

from model import checkpoint
from model.explain.grad_cam import grad_cam
from model.image import read_image
from model.image.preprocess import preprocess
from model.labels import NO_CONDITION
from train.data.splits import picture_bytes

Floats = NDArray[np.float32]

_SIDES = (0.5, 0.4, 0.32)  # of a piece, as shares of the picture's short side; the largest that fits is taken
_STEPS = 9  # places tried a direction
_MOST_EVIDENCE = 0.12
_MOST_DETAIL = 4.5  # standard deviation of the lightness beside its smooth part, of 255
_MOST_RED_SPREAD = 3.5  # standard deviation of Cr, of 255
_LEAST_SKIN = 0.97
_LEAST_SKIN_AROUND = 0.3  # of the whole picture
_SMALLEST = 72  # pixels


class Piece(NamedTuple):
    """A square of a picture: ``box`` in its pixels, ``detail`` as above."""

    box: tuple[int, int, int, int]
    detail: float


def smooth_pieces(picture: Image.Image) -> list[Piece]:
    """Squares that look like smooth skin, the largest first, then the smoothest.

    Args:
        picture: RGB.
    """
    channels = np.asarray(picture.convert("YCbCr"), dtype=np.float64)
    light, blue, red = np.moveaxis(channels, 2, 0)
    skin = (blue > 77) & (blue < 130) & (red > 133) & (red < 175) & (light > 35) & (light < 245)
    if skin.mean() < _LEAST_SKIN_AROUND:
        return []
    usual_red = float(np.median(red[skin]))
    short = min(picture.size)
    blurred = picture.convert("L").filter(ImageFilter.GaussianBlur(short / 20))
    sums = [_summed(values) for values in (skin, red, red**2, (light - np.asarray(blurred)) ** 2)]
    pieces: list[Piece] = []
    for side in (round(share * short) for share in _SIDES):
        if side < _SMALLEST:
            break
        found = []
        for top in np.linspace(0, picture.height - side, _STEPS).astype(int):
            for left in np.linspace(0, picture.width - side, _STEPS).astype(int):
                box = (int(left), int(top), int(left) + side, int(top) + side)
                is_skin, mean, square, detail = (_mean(summed, box) for summed in sums)
                if (
                    is_skin > _LEAST_SKIN
                    and mean <= usual_red + 1
                    and square - mean**2 < _MOST_RED_SPREAD**2
                    and detail < _MOST_DETAIL**2
                ):
                    found.append(Piece(box, detail))
        pieces += sorted(found, key=lambda piece: piece.detail)
    return pieces


def away_from(pieces: Sequence[Piece], evidence: Floats, size: tuple[int, int]) -> Piece | None:
    """The first of the pieces of a picture that holds no evidence for its label, or None.

    Args:
        pieces: as ``smooth_pieces`` gives them.
        evidence: Grad-CAM for the label over the whole picture, (h, w), 0 to 1.
        size: width and height of the picture, pixels.
    """
    heat = np.asarray(Image.fromarray(evidence).resize(size, Image.Resampling.BICUBIC))
    for piece in pieces:
        left, top, right, bottom = piece.box
        if heat[top:bottom, left:right].max() < _MOST_EVIDENCE:
            return piece
    return None


def _summed(values: NDArray[Any]) -> NDArray[np.float64]:
    """Summed-area table (Crow 1984): (H, W) → (H + 1, W + 1)."""
    return np.pad(values.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _mean(summed: NDArray[np.float64], box: tuple[int, int, int, int]) -> float:
    left, top, right, bottom = box
    total = summed[bottom, right] - summed[top, right] - summed[bottom, left] + summed[top, left]
    return float(total) / ((right - left) * (bottom - top))


def cut_pieces(rows: datasets.Dataset, reference: str, labels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """One row a piece, of the label ``Unknown_Normal``; its source is ``pieces_`` and the picture's.

    Args:
        rows: as ``load_split`` gives them.
        reference: a checkpoint of the same labels, whose Grad-CAM shows where the condition is.
        labels: class names in the order of the logits.
    """
    loaded = checkpoint.load(reference)
    for record in tqdm(rows, desc="pieces", unit="picture"):
        if labels[record["label"]] == NO_CONDITION:
            continue
        picture = read_image(picture_bytes(record))
        smooth = smooth_pieces(picture)
        if not smooth:
            continue
        batch = torch.from_numpy(preprocess(picture, config=loaded.config))[None]
        with torch.no_grad():
            features = loaded.network.forward_features(batch.to(memory_format=torch.channels_last))
        evidence = grad_cam(loaded.network, features, record["label"])
        piece = away_from(smooth, evidence, picture.size)
        if piece is None:
            continue
        stored = io.BytesIO()
        picture.crop(piece.box).save(stored, "WEBP", quality=90)
        yield {
            "image": {"bytes": stored.getvalue(), "path": None},
            "label": labels.index(NO_CONDITION),
            "diagnosis": "healthy skin",
            "source": f"pieces_{record['source']}",
            "skin_type": record["skin_type"],
            "group": record["group"],
        }
