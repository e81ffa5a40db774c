"""``ood``: how well a checkpoint detects pictures that are not skin."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Checkpoint
from model.config import ModelConfig
from model.decision.rejection import (
    detection_margin,
    max_probability,
    normalized_entropy,
    not_skin_evidence,
    rejection_margin,
)
from model.errors import DataError
from model.files import write_json
from model.labels import NO_CONDITION
from train.data.loader import draw
from train.data.pictures import shown
from train.data.rows import open_rows
from train.data.splits import split_names
from train.distributed import is_main
from train.evaluate.measure import open_checkpoint, predictions_of
from train.evaluate.metrics import detection_metrics
from train.evaluate.ood_baselines import fit_published
from train.extras import require
from train.predictions import Predictions, members

Floats = NDArray[np.float64]

# Every score increases with how unusual a picture is.
SCORES: dict[str, Callable[[Predictions, ModelConfig], Floats]] = {
    "max_probability": lambda seen, config: -max_probability(seen.probabilities),
    "normalized_entropy": lambda seen, config: normalized_entropy(seen.probabilities),
    "dual_criterion": lambda seen, config: rejection_margin(seen.probabilities, config),
    "dual_criterion_or_unknown": lambda seen, config: detection_margin(seen.probabilities, config),
}
WITH_DETECTOR: dict[str, Callable[[Predictions, ModelConfig], Floats]] = {
    "unusualness": lambda seen, config: np.asarray(seen.unusualness),
    "all_criteria": lambda seen, config: rejection_margin(seen.probabilities, config, seen.unusualness),
    "all_criteria_or_unknown": lambda seen, config: detection_margin(
        seen.probabilities, config, seen.unusualness
    ),
    "unusualness_and_unknown": lambda seen, config: not_skin_evidence(
        seen.probabilities, config, np.asarray(seen.unusualness)
    ),
}


def ood(
    *,
    checkpoint: str,
    data: str,
    split: str,
    ood: str,
    output: str,
    device: str,
    max_unreadable: float,
    manifest: str = "",
    fit_data: str | None = None,
    fit_split: str = "train",
    max_pictures: int = 3000,
) -> None:
    """Write ``OUTPUT/ood.json``: detected pictures by source, and how well each score separates them.

    Skin is the rows of ``data`` whose label is not Unknown_Normal. ``detected`` counts the verdicts
    ``rejected`` and ``no_condition``.

    Args:
        max_unreadable: as for ``open_rows``. manifest: a hash manifest that ``data`` must match.
        ood: pictures that are not skin; all its splits together.
        fit_data, fit_split: training pictures on which published detectors are fitted, for comparison; None
            skips them.
        max_pictures: the most pictures, drawn at random, of ``fit_data`` and of each split of ``ood``.

    Raises:
        ConfigError: ``fit_data`` is given, and pytorch-ood is not installed.
    """
    if fit_data is not None:
        require("pytorch_ood", what="--fit-data")
    loaded = open_checkpoint(checkpoint, device)
    config = loaded.config
    rows, _ = open_rows([data], split, labels=config.labels, max_unreadable=max_unreadable, manifest=manifest)
    splits = [
        open_rows([ood], name, labels=None, max_unreadable=max_unreadable, labelled=False).rows
        for name in split_names(ood)
    ]
    others = datasets.concatenate_datasets([draw(part, max_pictures) for part in splits])
    sources = members(source or shown(Path(ood).name) for source in others["source"])
    skin = predictions_of(loaded, _with_condition(rows, config))
    other = predictions_of(loaded, others)
    named = SCORES if loaded.detector is None else SCORES | WITH_DETECTOR
    scores = {name: (score(skin, config), score(other, config)) for name, score in named.items()}
    about = {}
    if fit_data is not None:
        fitted, _ = open_rows([fit_data], fit_split, labels=config.labels, max_unreadable=max_unreadable)
        fitted = draw(_with_condition(fitted, config), max_pictures)
        published = fit_published(predictions_of(loaded, fitted))
        scores |= {name: (score(skin), score(other)) for name, score in published.items()}
        about["fitted_on"] = {"data": shown(Path(fit_data).name), "split": fit_split, "n": len(fitted)}
    elif is_main():
        print("Mahalanobis, energy, ViM and KNN need training pictures: add --fit-data.", file=sys.stderr)
    if is_main():
        result = {**about, **_report(loaded, skin, other, scores, sources)}
        write_json(Path(output) / "ood.json", {"data": shown(Path(data).name), "split": split, **result})
        print(json.dumps({name: result[name] for name in ("skin", "sources", "mean_auroc")}, allow_nan=False))


def _with_condition(rows: datasets.Dataset, config: ModelConfig) -> datasets.Dataset:
    names = np.asarray(config.labels)[np.asarray(rows["label"])]
    skin = np.flatnonzero(names != NO_CONDITION)
    if not len(skin):
        raise DataError(
            f"None of the {len(rows)} pictures has a condition: all are {NO_CONDITION}.",
            hint="Choose a split with pictures of skin conditions.",
        )
    return rows.select(skin)


def _report(
    loaded: Checkpoint,
    skin: Predictions,
    other: Predictions,
    scores: dict[str, tuple[Floats, Floats]],
    sources: dict[str, NDArray[np.bool_]],
) -> dict[str, object]:
    def counts(part: Predictions) -> dict[str, int]:
        return {
            "n": len(part),
            "rejected": int(part.rejected(loaded.config).sum()),
            "detected": int(part.detected(loaded.config).sum()),
        }

    detectors = {
        name: {source: detection_metrics(ours, theirs[own]) for source, own in sources.items()}
        for name, (ours, theirs) in scores.items()
    }
    return {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "skin": counts(skin),
        "sources": {source: counts(other.take(own)) for source, own in sources.items()},
        "detectors": detectors,
        "mean_auroc": {
            name: float(np.mean([figures["auroc"] for figures in by_source.values()]))
            for name, by_source in detectors.items()
        },
    }
