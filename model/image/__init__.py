"""Decoding and preprocessing of pictures, for training and serving alike."""

from model.image.decode import read_image
from model.image.formats import ACCEPT, FORMATS, MAX_BYTES, MIN_SIDE, SUFFIXES

__all__ = ["ACCEPT", "FORMATS", "MAX_BYTES", "MIN_SIDE", "SUFFIXES", "read_image"]
