"""The detector of the third criterion: fitted on training pictures of skin, chosen on validation.

A network that was trained on pictures that are not skin recognises whole ones too easily, so each is also cut
into nine pieces.
"""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Callable, Iterator, Sequence

import datasets
import numpy as np
import torch
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.ood import Detector, normalise
from model.image import read_image
from model.labels import NO_CONDITION
from model.network import SkinDiseaseNet
from train.data.loader import draw
from train.data.splits import picture_bytes
from train.distributed import is_main
from train.evaluate.metrics import detection_metrics
from train.inference import predict_rows
from train.predictions import Predictions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIRECTIONS = (64, 256, 512)
NEIGHBOURS = (1, 10)
BANK = 1000
"""Pictures stored by a nearest-neighbour candidate: 4 MB for 2048 channels."""


def fit_detector(
    network: SkinDiseaseNet,
    load_train: Callable[[], datasets.Dataset],
    validation: datasets.Dataset,
    predictions: Predictions,
    config: ModelConfig,
    *,
    device: torch.device,
    not_skin: Sequence[str],
    pictures: int,
    num_workers: int = 2,
) -> Detector | None:
    """Choose the best candidate; None if validation has no pictures that are not skin.

    Args:
        network: trained.
        load_train: loads the rows that it was trained on; called only if needed.
        validation: rows that it was not trained on, and ``predictions``, the network's for them.
        config: of the network.
        device: for the computation.
        not_skin: sources whose Unknown_Normal pictures show no skin.
        pictures: the most pictures of ``load_train`` to use; 0 returns None.
    """
    others = validation.select(np.flatnonzero(_is_not_skin(validation, config, not_skin)))
    if not pictures or not len(others) or not predictions.has_condition.any():
        if is_main():
            print(
                "No third criterion: no picture is of a source in --not-skin, or none are to be used.",
                file=sys.stderr,
            )
        return None

    def compute(rows: datasets.Dataset) -> Predictions:
        return predict_rows(network, rows, config, device=device, what="detector", num_workers=num_workers)

    train = load_train()
    skin = draw(train.select(np.flatnonzero(~_is_not_skin(train, config, not_skin))), pictures)
    learned = compute(skin)
    away = Predictions.joined([compute(others), compute(pieces(others))])
    return choose(
        candidates(learned.features.astype(np.float64), learned.targets),
        predictions.features[predictions.has_condition],
        away.features,
        away.sources.astype(str),
    )


def choose(
    found: Iterator[Detector],
    skin: NDArray[np.float32],
    others: NDArray[np.float32],
    sources: NDArray[np.str_],
) -> Detector:
    """The candidate with the best mean AUROC over the sources of pictures that are not skin.

    Its ``choice`` also holds the AUROC on each source of the candidate chosen without that source.

    Args:
        found: fitted candidates, the simplest first.
        skin: features of validation pictures of a condition, (N, C); they become the reference.
        others: features of validation pictures that are not skin, (M, C). sources: theirs, (M,).
    """
    table: dict[str, dict[str, float]] = {}
    best, names = None, [str(name) for name in np.unique(sources)]
    for detector in found:
        ours, theirs = detector.score(skin), detector.score(others)
        told = {name: detection_metrics(ours, theirs[sources == name])["auroc"] for name in names}
        aurocs = {name: auroc for name, auroc in told.items() if auroc is not None}
        table[detector.name] = aurocs
        if best is None or np.mean(list(aurocs.values())) > np.mean(list(table[best.name].values())):
            best = dataclasses.replace(detector, reference=np.sort(ours))
    if best is None:
        raise ValueError("there is no candidate")
    left_out = {}
    for name in names if len(names) > 1 else ():
        chosen = max(table, key=lambda candidate: sum(v for n, v in table[candidate].items() if n != name))
        left_out[name] = {"candidate": chosen, "auroc": table[chosen][name]}
    return dataclasses.replace(best, choice={"auroc": table, "left_out": left_out})


def candidates(features: Floats, targets: Ints) -> Iterator[Detector]:
    """Fitted detectors without a reference, the simplest first.

    Args:
        features: of training pictures of skin, (N, C). targets: their class numbers, (N,).
    """
    for normalised in (False, True):
        x = normalise(features) if normalised else features
        suffix = ", length 1" if normalised else ""
        bank = x[np.sort(np.random.default_rng(0).permutation(len(x))[:BANK])]
        for neighbour in NEIGHBOURS:
            if neighbour <= len(bank):
                yield _detector(f"nearest pictures, number {neighbour}{suffix}", bank, normalised, neighbour)
        for by_class in (False, True):
            yield from _gaussians(x, targets if by_class else np.zeros_like(targets), normalised, suffix)


def _gaussians(x: Floats, classes: Ints, normalised: bool, suffix: str) -> Iterator[Detector]:
    """The principal directions of one covariance shared by all classes."""
    _, members = np.unique(classes, return_inverse=True)
    means = np.stack([x[members == number].mean(axis=0) for number in range(members.max() + 1)])
    around = "class means" if len(means) > 1 else "the mean"
    yield _detector(f"distance to {around}{suffix}", means, normalised)
    _, singular, rows = np.linalg.svd(x - means[members], full_matrices=False)
    variances = np.maximum(singular**2 / len(x), 1e-12)
    for count in DIRECTIONS:
        if count > len(x) // 3 or count >= x.shape[1]:
            continue
        rest = variances[count:].sum() / (x.shape[1] - count)
        for name, weights in (
            (f"Mahalanobis, {count} directions", rest / variances[:count]),
            (f"residual outside {count} directions", np.zeros(count)),
        ):
            yield _detector(f"{name}, around {around}{suffix}", means, normalised, 1, rows[:count].T, weights)


def _detector(
    name: str,
    centres: Floats,
    normalised: bool,
    neighbour: int = 1,
    directions: Floats | None = None,
    weights: Floats | None = None,
) -> Detector:
    """Rounded as stored, so that the reference matches the served detector."""
    empty = np.empty((centres.shape[1], 0))
    return Detector(
        centres=centres.astype(np.float16),
        directions=(empty if directions is None else directions).astype(np.float16),
        weights=(np.empty(0) if weights is None else weights).astype(np.float32),
        neighbour=neighbour,
        normalised=normalised,
        reference=np.empty(0),
        name=name,
    )


def pieces(rows: datasets.Dataset) -> datasets.Dataset:
    """Cut each picture into three by three pieces, each enlarged to full size, as separate rows."""
    cut = []
    for row in rows:
        picture = read_image(picture_bytes(row))
        (width, height), thirds = picture.size, range(3)
        for x, y in [(x, y) for y in thirds for x in thirds]:
            box = (width * x // 3, height * y // 3, width * (x + 1) // 3, height * (y + 1) // 3)
            file = io.BytesIO()
            picture.resize(picture.size, box=box).save(file, "PNG")
            cut.append({**row, "image": {"bytes": file.getvalue(), "path": None}})
    return datasets.Dataset.from_list(cut, features=rows.features)


def _is_not_skin(rows: datasets.Dataset, config: ModelConfig, not_skin: Sequence[str]) -> NDArray[np.bool_]:
    names = np.asarray(config.labels)[np.asarray(rows["label"])]
    return (names == NO_CONDITION) & np.isin(np.asarray(rows["source"], dtype=object), list(not_skin))
