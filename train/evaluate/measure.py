"""What ``evaluate``, ``predict`` and ``ood`` begin with: a checkpoint, and its answers.

Under a launcher every process computes a share of the pictures, and the main one writes.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Checkpoint, load
from model.decision.calibration import softmax
from model.runtime.device import trusted_device
from train.distributed import is_main, own_device
from train.inference import Outputs, predict_outputs


def open_checkpoint(reference: str, device: str) -> Checkpoint:
    """The checkpoint, its network where this process computes."""
    loaded = load(reference)
    loaded.network.to(own_device(trusted_device(device, loaded.network, size=loaded.config.input_size)))
    if is_main():
        print(f"Checkpoint {loaded.id} ({loaded.revision}).", file=sys.stderr)
    return loaded


def outputs_of(loaded: Checkpoint, rows: datasets.Dataset) -> Outputs:
    """What the network of an opened checkpoint gives for every row."""
    device = next(loaded.network.parameters()).device
    return predict_outputs(loaded.network, rows, loaded.config, device=device, what="predict")


class Judged(NamedTuple):
    """What the rule looks at, one row a picture.

    Attributes:
        probabilities: calibrated, (N, K).
        unusualness: 0 to 1, (N,); None where the checkpoint has no detector.
    """

    probabilities: NDArray[np.float64]
    unusualness: NDArray[np.float64] | None


def judge(loaded: Checkpoint, outputs: Outputs) -> Judged:
    """What a checkpoint makes of its network's outputs."""
    detector = loaded.detector
    return Judged(
        softmax(outputs.logits, loaded.config.temperature),
        None if detector is None else detector.unusualness(outputs.features),
    )
