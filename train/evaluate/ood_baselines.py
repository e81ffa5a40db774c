"""Published out-of-distribution detectors from pytorch-ood, for comparison."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from train.predictions import Predictions

Floats = NDArray[np.float64]

NEIGHBOURS = 50
"""The library's, and the paper's for ten classes."""


def fit_published(training: Predictions) -> dict[str, Callable[[Predictions], Floats]]:
    """Fit the detectors on training pictures of skin; each gives scores (N,) that increase with unusualness.

    ``energy`` (Liu et al. 2020) is of the logits; ``mahalanobis`` (Lee et al. 2018), ``knn`` (Sun et al.
    2022) and ``vim`` (Wang et al. 2022) are of the pooled features. ViM expects a linear layer on these
    features, so a least-squares fit of the logits replaces the head; half the channels are its principal
    subspace.

    Args:
        training: predictions with features and known targets.
    """
    import torch
    from pytorch_ood.api import FeaturesDetector
    from pytorch_ood.detector import KNN, EnergyBased, Mahalanobis, ViM

    features = torch.from_numpy(training.features)
    classes = torch.from_numpy(np.unique(training.targets, return_inverse=True)[1])
    extended = np.column_stack([training.features, np.ones(len(features))])
    layer = torch.from_numpy(np.linalg.lstsq(extended, training.logits)[0]).float()  # (C + 1, K)
    fitted = {
        "mahalanobis": Mahalanobis(None),
        "vim": ViM(None, d=min(features.shape[1] // 2, len(features) // 2), w=layer[:-1].T, b=layer[-1]),
        "knn": KNN(None, k=min(NEIGHBOURS, len(features))),
    }
    for detector in fitted.values():
        detector.fit_features(features, classes)

    # One function per detector: a lambda in a loop would capture only the last one.
    def of_features(detector: FeaturesDetector) -> Callable[[Predictions], Floats]:
        def scores(predictions: Predictions) -> Floats:
            return detector.predict_features(torch.from_numpy(predictions.features)).double().numpy()

        return scores

    return {
        "energy": lambda predictions: EnergyBased.score(torch.from_numpy(predictions.logits)).numpy(),
        **{name: of_features(detector) for name, detector in fitted.items()},
    }
