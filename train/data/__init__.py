"""Data sets: where rows come from, the one form they get, the gate they pass, and batches of them."""

from train.data.splits import class_names, load_split, picture_bytes, train_and_validation

__all__ = ["class_names", "load_split", "picture_bytes", "train_and_validation"]
