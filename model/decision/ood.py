"""The out-of-distribution detector: how far a picture's features are from those of the training skin.

The features are the backbone's last map, averaged over locations. Serving needs only NumPy;
``train.calibrate.ood_detector`` fits the detector.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.decision.stored import parse_stored, store, unreadable
from model.errors import CheckpointError

DETECTOR = "detector.safetensors"
_WHAT = "detector"
_TENSORS = ("centres", "directions", "weights", "reference")
_VALUES = ("neighbour", "normalised", "name", "choice")
Array = NDArray[np.floating]


@dataclasses.dataclass(frozen=True, eq=False)
class Detector:
    """A distance to the nearest of several centres, compared with those of validation pictures of skin.

    This one form covers several methods. Without ``directions`` it is the Euclidean distance to the nearest
    class mean, or to the ``neighbour``-th nearest of a bank of features (Sun et al. 2022). With the principal
    directions weighted by their inverse variances it is the distance of Mahalanobis (Lee et al. 2018) under a
    low-rank covariance (Tipping and Bishop 1999); with weights of 0 it is the residual outside the principal
    directions (Wang et al. 2022).

    Attributes:
        centres: (M, C).
        directions: orthonormal, (C, D); D may be 0.
        weights: of the squared distance along each direction, (D,); 1 for all others.
        neighbour: which of the nearest centres counts, from 1.
        normalised: whether features are scaled to length 1 first.
        reference: scores of validation pictures of conditions, ascending, (R,).
        name: of the method.
        choice: how it was selected, see ``train.calibrate.ood_detector.choose``.
    """

    centres: Array
    directions: Array
    weights: Array
    neighbour: int
    normalised: bool
    reference: Array
    name: str = ""
    choice: dict[str, Any] = dataclasses.field(default_factory=dict)

    def score(self, features: Array) -> NDArray[np.float64]:
        """Features (..., C) → squared distance (...), 0 or more.

        Raises:
            CheckpointError: the detector belongs to another backbone.
        """
        if features.shape[-1] != self.centres.shape[1]:
            raise CheckpointError(
                f"The detector is for features of {self.centres.shape[1]} channels, but the network gives "
                f"{features.shape[-1]}.",
                hint="Detector and weights must come from the same checkpoint; run calibrate again.",
            )
        x = features.reshape(-1, features.shape[-1]).astype(np.float64)
        x = normalise(x) if self.normalised else x
        centres, directions, within = self._exact
        squared = _squared_distances(x, centres, np.ones(x.shape[1]))  # (N, M)
        squared += _squared_distances(x @ directions, within, self.weights.astype(np.float64) - 1.0)
        nearest = np.partition(squared, self.neighbour - 1, axis=1)[:, self.neighbour - 1]
        return np.maximum(nearest, 0.0).reshape(features.shape[:-1])

    def unusualness(self, features: Array) -> NDArray[np.float64]:
        """Features (..., C) → share of the ``reference`` with a smaller distance, (...), 0 to 1."""
        return np.searchsorted(self.reference, self.score(features)) / len(self.reference)

    @cached_property
    def _exact(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Centres and directions in float64, converted once, and the centres along the directions."""
        centres, directions = self.centres.astype(np.float64), self.directions.astype(np.float64)
        return centres, directions, centres @ directions

    def save(self, folder: Path) -> None:
        """Write ``detector.safetensors`` to a checkpoint folder, atomically.

        Raises:
            CheckpointError: a value is not finite, or not floating-point.
        """
        tensors = {name: getattr(self, name) for name in _TENSORS}
        store(folder / DETECTOR, _WHAT, tensors, {name: getattr(self, name) for name in _VALUES})


def parse_detector(data: bytes, path: Path) -> Detector:
    """Read a detector that ``Detector.save`` wrote.

    Args:
        data: the file's content. path: names it in errors.

    Raises:
        CheckpointError: it is damaged, or not a detector.
    """
    detector = Detector(**parse_stored(data, path, _WHAT, tensors=_TENSORS, values=_VALUES))
    _check_fit(detector, path)
    return detector


def _check_fit(detector: Detector, path: Path) -> None:
    centres, directions, weights = detector.centres, detector.directions, detector.weights
    neighbour, reference = detector.neighbour, detector.reference
    fits = (
        (centres.ndim, weights.ndim, reference.ndim) == (2, 1, 1)
        and directions.shape == (*centres.shape[1:], *weights.shape)
        and type(neighbour) is int
        and 1 <= neighbour <= len(centres)
        and type(detector.normalised) is bool
        and isinstance(detector.name, str)
        and isinstance(detector.choice, dict)
    )
    if not fits or not len(reference) or (np.diff(reference) < 0).any():
        raise unreadable(path, _WHAT, "its parts do not fit each other")


def normalise(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale features (N, C) to length 1; a row of zeros is unchanged."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _squared_distances(
    x: NDArray[np.float64], centres: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted squared distance of each row (N, C) to each centre (M, C): (N, M)."""
    return (x**2 @ weights)[:, None] - 2 * (x * weights) @ centres.T + centres**2 @ weights
