"""Grad-CAM's last step: a map and the gradient of a score with respect to it → evidence a place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def evidence(features: Array, gradient: Array) -> Array:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) for one picture.

    Args:
        features: the backbone's last map, (1, C, h, w).
        gradient: of one class's score with respect to it, (1, C, h, w).

    Returns:
        Evidence a place, (h, w), scaled to 0..1; all zero if nothing speaks for the class.
    """
    weights = gradient.mean(axis=(2, 3), keepdims=True)  # (1, C, 1, 1)
    found = (weights * features).sum(axis=1)[0].clip(min=0)  # (1, C, h, w) → (h, w)
    peak = found.max()
    return found / peak if peak > 0 else found
