"""Grad-CAM's last step: a map and the weights of its channels → evidence per location."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def evidence(features: Array, weights: Array) -> Array:
    """Grad-CAM (Selvaraju et al. 2017, equation 2) for one picture.

    Args:
        features: the backbone's last map, (1, C, h, w).
        weights: of its channels, (C,): one class's gradient, averaged over locations (equation 1).

    Returns:
        Evidence per location, (h, w), scaled to 0..1; all zero if there is no evidence for the class.
    """
    found = np.tensordot(weights, features[0], axes=1).clip(min=0)  # (C,), (C, h, w) → (h, w)
    peak = found.max()
    return found / peak if peak > 0 else found
