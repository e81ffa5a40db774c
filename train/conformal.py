"""The conformal quantile of the prediction sets, fitted by MAPIE."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from model.conformal import SET_LEVEL
from model.errors import ConfigError

INSTALL = "Install requirements-eval.txt"


class _Known(ClassifierMixin, BaseEstimator):
    """Hands MAPIE probabilities that are computed already."""

    def __init__(self, classes: int) -> None:
        self.classes_ = np.arange(classes)

    def fit(self, X: NDArray[np.float64], y: NDArray[np.int64]) -> _Known:
        return self

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return X

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return X.argmax(axis=1)


def has_mapie() -> bool:
    """Whether MAPIE is installed."""
    return importlib.util.find_spec("mapie") is not None


def require_mapie() -> None:
    """Raises ``ConfigError`` where MAPIE is not installed."""
    if not has_mapie():
        raise ConfigError("Prediction sets are fitted by MAPIE, which is not installed.", hint=f"{INSTALL}.")


def fit_set_quantile(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The quantile with which sets hold the true label of ``SET_LEVEL`` of the pictures.

    Args:
        probabilities: calibrated, (N, K). labels: true class numbers, (N,).

    Returns:
        0 to 1; 1, which rules nothing out, where the pictures are too few to tell.

    Raises:
        ConfigError: MAPIE is not installed.
    """
    require_mapie()
    from mapie.classification import SplitConformalClassifier
    from mapie.conformity_scores import LACConformityScore

    if len(labels) * (1 - SET_LEVEL) < 1:
        return 1.0
    score = LACConformityScore()
    fitted = SplitConformalClassifier(
        _Known(probabilities.shape[1]), confidence_level=SET_LEVEL, conformity_score=score
    )
    with warnings.catch_warnings():  # a split without a picture of some class is no mistake
        warnings.filterwarnings("ignore", message=".*your conformalization dataset has less labels")
        fitted.conformalize(probabilities, labels)
        fitted.predict_set(probabilities[:1])  # the quantile is only now computed
    return float(score.quantiles_[0])
