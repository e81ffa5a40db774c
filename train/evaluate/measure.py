"""Shared by ``evaluate``, ``predict-split`` and ``ood``: opening a checkpoint and predicting with it.

Under a launcher every process computes a share of the pictures, and the main one writes.
"""

from __future__ import annotations

import sys

import datasets

from model.checkpoint import Checkpoint, load
from model.runtime.device import trusted_device
from train.distributed import is_main, own_device
from train.inference import predict_rows
from train.predictions import Predictions


def open_checkpoint(reference: str, device: str) -> Checkpoint:
    """A checkpoint with its network on this process's device."""
    loaded = load(reference)
    loaded.network.to(own_device(trusted_device(device, loaded.network, size=loaded.config.input_size)))
    if is_main():
        print(f"Checkpoint {loaded.id} ({loaded.revision}).", file=sys.stderr)
    return loaded


def predictions_of(loaded: Checkpoint, rows: datasets.Dataset) -> Predictions:
    """Predict every row with an opened checkpoint."""
    device = next(loaded.network.parameters()).device
    return predict_rows(
        loaded.network, rows, loaded.config, device=device, what="predict", detector=loaded.detector
    )
