"""The conformal quantile of the prediction sets, fitted by MAPIE."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from model.decision.conformal import SET_LEVEL, SOURCE_LEVEL, SOURCE_PICTURES
from train.extras import require
from train.predictions import Predictions, members

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class _Known(ClassifierMixin, BaseEstimator):
    """An estimator for MAPIE that returns precomputed probabilities."""

    def __init__(self, classes: int) -> None:
        self.classes_ = np.arange(classes)

    def fit(self, X: Floats, y: Ints) -> _Known:
        return self

    def predict_proba(self, X: Floats) -> Floats:
        return X

    def predict(self, X: Floats) -> Ints:
        return X.argmax(axis=1)


def has_mapie() -> bool:
    """Whether MAPIE is installed."""
    return importlib.util.find_spec("mapie") is not None


def fit_set_quantile(predictions: Predictions) -> float:
    """The quantile with which sets hold the true class of ``SET_LEVEL`` of all pictures and of
    ``SOURCE_LEVEL`` of those of every source that has ``SOURCE_PICTURES``.

    A camera or clinic whose pictures are harder than their probabilities tell would otherwise pay for the
    others. The source of a picture is not known when it is predicted, so of the quantiles by group
    (Mondrian conformal prediction: Vovk, Gammerman and Shafer 2005, section 4.5) the largest serves for all;
    groups by what is known then, entropy or unusualness, leave the sources as unequal as they were.

    Returns:
        0 to 1; 1, which rules nothing out, if there are too few pictures.

    Raises:
        ConfigError: MAPIE is not installed.
    """
    require("mapie", what="Fitting prediction sets")
    from mapie.conformity_scores import LACConformityScore

    if len(predictions) * (1 - SET_LEVEL) < 1:
        return 1.0
    parts = [(predictions, SET_LEVEL)]
    for own in members(predictions.sources).values():
        if own.sum() >= SOURCE_PICTURES:
            parts.append((predictions.take(own), SOURCE_LEVEL))
    quantiles = []
    for part, level in parts:
        score = LACConformityScore()
        _sets(score, part, part.probabilities[:1], level)  # the quantile comes with the first sets
        quantiles.append(float(score.quantiles_[0]))
    return max(quantiles)


def adaptive_sets(predictions: Predictions, others: Floats) -> NDArray[np.bool_] | None:
    """Adaptive prediction sets (Romano et al. 2020), for comparison with the least ambiguous ones.

    Args:
        predictions: of N pictures, N at least 1 / (1 - ``SET_LEVEL``).
        others: calibrated, (M, K), of the pictures that get the sets.

    Returns:
        (M, K); the most probable class is always included. None for pictures of one or two classes, which
        MAPIE does not support.
    """
    if len(np.unique(predictions.targets)) < 3:
        return None
    from mapie.conformity_scores import APSConformityScore

    return _sets(APSConformityScore(), predictions, others)


def _sets(
    score: Any, predictions: Predictions, others: Floats, level: float = SET_LEVEL
) -> NDArray[np.bool_]:
    from mapie.classification import SplitConformalClassifier

    fitted = SplitConformalClassifier(
        _Known(len(predictions.class_names)),
        confidence_level=level,
        conformity_score=score,
        random_state=0,
    )
    with warnings.catch_warnings():  # a split without pictures of some class is fine
        warnings.filterwarnings("ignore", message=".*your conformalization dataset has less labels")
        fitted.conformalize(predictions.probabilities, predictions.targets)
        return fitted.predict_set(others)[1][:, :, 0]
