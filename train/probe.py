"""Linear probes: a logistic regression on the pooled features of a frozen backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from model import checkpoint
from model.config import ModelConfig
from model.errors import DataError
from model.files import atomic_path
from model.hub import is_reference
from model.network import SkinDiseaseNet
from model.runtime.device import trusted_device
from train.config import TrainConfig
from train.fit.network import create_network
from train.inference import predict_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STRENGTHS = (0.0001, 0.001, 0.01, 0.1)
"""Candidates for ``C`` of the logistic regression on standardised features; validation chooses one."""

_CHUNK = 256


class Weights(NamedTuple):
    """The weights of a backbone; fields as in ``TrainConfig``."""

    init: str
    backbone: str
    stride_in_1x1: bool
    device: str


class Part(NamedTuple):
    """Indices of the rows for fitting, choosing and testing a probe."""

    train: Ints
    validation: Ints
    test: Ints


class Probed(NamedTuple):
    """A probe's predictions.

    Attributes:
        probabilities: of the test rows, (M, K); 0 for a class without training rows.
        strength: the chosen one of ``STRENGTHS``.
    """

    probabilities: Floats
    strength: float


def cached_features(
    folder: Path, rows: datasets.Dataset, hashes: Sequence[str], weights: Weights
) -> NDArray[np.float32]:
    """Pooled features (N, C) of every row, cached in a file in the folder.

    Args:
        folder: for the file, which grows every few hundred pictures, so a killed run can continue.
        rows: as ``load_split`` gives them.
        hashes: of the pictures, (N,); the file's name depends on them and the weights.
        weights: a checkpoint, or initial weights for a network with average pooling.
    """
    config, network = _network(weights)
    digest = hashlib.sha256("\n".join([repr(config), *hashes]).encode())
    for tensor in network.backbone.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    file = folder / f"features-{digest.hexdigest()[:16]}.npy"
    chosen = trusted_device(weights.device, network, size=config.input_size)
    stored = np.lib.format.open_memmap(file, mode="r+") if file.is_file() else None
    for start in tqdm(range(0, len(rows), _CHUNK), desc="features", unit="chunk"):
        chunk = range(start, min(start + _CHUNK, len(rows)))
        if stored is not None and not np.isnan(stored[chunk]).any():
            continue
        new = predict_rows(network, rows.select(chunk), config, device=chosen, what="pictures").features
        if stored is None:
            stored = _empty(file, (len(rows), new.shape[1]))
        stored[chunk] = new
        stored.flush()
    return np.array(stored)


def grouped_folds(targets: Ints, groups: Ints, *, folds: int = 5) -> list[Part]:
    """Parts that test every row once; each fold validates on the next one, and no group is split.

    Args:
        targets: class indices, (N,). groups: from ``number_groups``, (N,).
        folds: their number, 3 or more.
    """
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=0)
    held = [rows for _, rows in splitter.split(np.zeros(len(targets)), targets, groups)]
    everything = np.arange(len(targets))
    parts = []
    for fold, test in enumerate(held):
        validation = held[(fold + 1) % folds]
        parts.append(Part(np.setdiff1d(everything, np.union1d(test, validation)), validation, test))
    return parts


def probe(features: NDArray[np.float32], targets: Floats, part: Part, *, what: str) -> Probed:
    """Fit a probe on a part's training rows and predict its test rows.

    The one of ``STRENGTHS`` with the smallest cross-entropy on the validation rows is chosen, and the probe
    is then fitted on training and validation rows together.

    Args:
        features: (N, C).
        targets: class probabilities of each row, (N, K); one-hot for plain labels.
        part: row numbers.
        what: for the progress bar.

    Raises:
        DataError: the training rows have fewer than two classes.
    """
    present = np.count_nonzero(targets[part.train].sum(axis=0))
    if present < 2:
        raise DataError(
            f"{len(part.train)} training pictures of {what} have {present} classes; a probe needs two.",
            hint="Give the whole data set.",
        )
    losses = []
    for strength in tqdm(STRENGTHS, desc=f"probe {what}", unit="fit", leave=False):
        fitted = _fit(features, targets, part.train, strength)
        sure = np.log(np.maximum(_chances(fitted, features, part.validation, targets.shape[1]), 1e-12))
        losses.append(-(targets[part.validation] * sure).sum())
    strength = STRENGTHS[int(np.argmin(losses))]
    fitted = _fit(features, targets, np.concatenate([part.train, part.validation]), strength)
    return Probed(_chances(fitted, features, part.test, targets.shape[1]), strength)


def _fit(features: NDArray[np.float32], targets: Floats, rows: Ints, strength: float) -> Pipeline:
    places, classes = np.nonzero(targets[rows])
    shares = targets[rows][places, classes]
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    return fitted.fit(features[rows][places], classes, logisticregression__sample_weight=shares)


def _chances(fitted: Pipeline, features: NDArray[np.float32], rows: Ints, classes: int) -> Floats:
    chances = np.zeros((len(rows), classes))
    if len(rows):
        chances[:, fitted.classes_] = fitted.predict_proba(features[rows])
    return chances


def _network(weights: Weights) -> tuple[ModelConfig, SkinDiseaseNet]:
    if Path(weights.init).is_dir() or is_reference(weights.init):
        loaded = checkpoint.load(weights.init)
        return loaded.config, loaded.network
    return create_network(
        TrainConfig(
            init=weights.init, backbone=weights.backbone, stride_in_1x1=weights.stride_in_1x1, head="pool"
        )
    )


def _empty(file: Path, shape: tuple[int, int]) -> np.memmap:
    with atomic_path(file) as partial:
        stored = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
        stored[:] = np.nan
        stored.flush()
    return stored
