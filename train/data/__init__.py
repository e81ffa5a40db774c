"""Data sets: reading them, converting them to one form, checking them, and loading batches."""

from train.data.splits import class_names, load_split, picture_bytes, train_and_validation

__all__ = ["class_names", "load_split", "picture_bytes", "train_and_validation"]
