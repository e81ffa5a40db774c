"""Near duplicates by perceptual hash: copies in another size, quality or orientation.

Two hashes must agree: pHash (64 bits of a picture's lowest frequencies) finds candidates, dHash in 256 bits
(where a picture grows brighter from left to right) removes those that share only the composition.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

COARSE_BITS = 10
"""Largest pHash distance of near duplicates, of 64 bits."""

FINE_BITS = 32
"""Largest dHash distance, of 256 bits."""

TURNED_BITS = 20
"""The same for another orientation: seven of them give chance seven times as many tries."""

_SIDE = 64
_BLOCK = 256
_TURNS = (
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)

Words = NDArray[np.uint64]


class Hashes(NamedTuple):
    """The hashes of a picture and of its seven other orientations.

    Attributes:
        coarse: pHash, (8,). fine: dHash, (8, 4).
    """

    coarse: Words
    fine: Words


class Pair(NamedTuple):
    """Two near duplicates.

    Attributes:
        first, second: their numbers, ``first`` the smaller.
        turned: whether one is mirrored or rotated by quarter turns.
        bits: of 256, in which their dHashes differ.
    """

    first: int
    second: int
    turned: bool
    bits: int


def picture_hashes(picture: Image.Image) -> Hashes:
    """The hashes of a picture of any size, resized to a square first so that rotation loses nothing."""
    import imagehash

    square = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    views = [square, *(square.transpose(turn) for turn in _TURNS)]
    coarse = [np.packbits(imagehash.phash(view, hash_size=8).hash) for view in views]
    fine = [np.packbits(imagehash.dhash(view, hash_size=16).hash) for view in views]
    return Hashes(np.concatenate(coarse).view(np.uint64), np.stack(fine).view(np.uint64))


def near_duplicates(hashes: list[Hashes]) -> list[Pair]:
    """All pairs of near duplicates, by index; each pair once, in the most similar orientation.

    Compares every picture with every other, a few hundred at a time; 10,000 pictures need about ten MB.
    """
    if not hashes:
        return []
    coarse = np.stack([each.coarse for each in hashes])  # (N, 8)
    fine = np.stack([each.fine for each in hashes])  # (N, 8, 4)
    best: dict[tuple[int, int], Pair] = {}
    for start in tqdm(range(0, len(hashes), _BLOCK), desc="compare", unit="block"):
        for turn in range(coarse.shape[1]):
            block = coarse[start : start + _BLOCK, turn]
            near = np.bitwise_count(block[:, None] ^ coarse[None, start:, 0]) <= COARSE_BITS
            firsts, seconds = np.nonzero(np.triu(near, 1)) + np.int64(start)
            bits = np.bitwise_count(fine[firsts, turn] ^ fine[seconds, 0]).sum(axis=1)
            for place in np.flatnonzero(bits <= (TURNED_BITS if turn else FINE_BITS)):
                pair = Pair(int(firsts[place]), int(seconds[place]), turn > 0, int(bits[place]))
                known = best.get(pair[:2])
                if known is None or pair.bits < known.bits:
                    best[pair[:2]] = pair
    return [best[key] for key in sorted(best)]
