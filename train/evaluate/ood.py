"""``ood``: how well a checkpoint tells pictures that are not skin."""

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
    dual_margin,
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
from train.evaluate.measure import Judged, judge, open_checkpoint, outputs_of
from train.evaluate.metrics import detection_metrics
from train.evaluate.ood_baselines import fit_published
from train.extras import require

Floats = NDArray[np.float64]

# Every score grows with how much a picture looks out of place.
SCORES: dict[str, Callable[[Judged, ModelConfig], Floats]] = {
    "max_probability": lambda judged, config: -max_probability(judged.probabilities),
    "normalized_entropy": lambda judged, config: normalized_entropy(judged.probabilities),
    "dual_criterion": lambda judged, config: dual_margin(judged.probabilities, config),
    "dual_criterion_or_unknown": lambda judged, config: detection_margin(judged.probabilities, config),
}
WITH_DETECTOR: dict[str, Callable[[Judged, ModelConfig], Floats]] = {
    "unusualness": lambda judged, config: np.asarray(judged.unusualness),
    "all_criteria": lambda judged, config: rejection_margin(judged.probabilities, config, judged.unusualness),
    "all_criteria_or_unknown": lambda judged, config: detection_margin(
        judged.probabilities, config, judged.unusualness
    ),
    "unusualness_and_unknown": lambda judged, config: not_skin_evidence(
        judged.probabilities, config, np.asarray(judged.unusualness)
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
    """Writes ``OUTPUT/ood.json``: how many pictures of each source are detected, how well each score tells.

    Skin is the rows of ``data`` whose label is not Unknown_Normal. ``detected`` counts the verdicts
    ``rejected`` and ``no_condition``.

    Args:
        max_unreadable: as for ``open_rows``. manifest: a hash manifest that ``data`` must match.
        ood: pictures that are not skin; all its splits together.
        fit_data, fit_split: training pictures on which published detectors are fitted, for comparison; None
            leaves them out.
        max_pictures: at most so many pictures, drawn at random, of ``fit_data`` and of each split of ``ood``.

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
    sources = np.asarray([source or shown(Path(ood).name) for source in others["source"]])
    skin, other = outputs_of(loaded, _with_condition(rows, config)), outputs_of(loaded, others)
    judged = judge(loaded, skin), judge(loaded, other)
    named = SCORES if loaded.detector is None else SCORES | WITH_DETECTOR
    scores = {name: (score(judged[0], config), score(judged[1], config)) for name, score in named.items()}
    about = {}
    if fit_data is not None:
        fitted, _ = open_rows([fit_data], fit_split, labels=config.labels, max_unreadable=max_unreadable)
        fitted = draw(_with_condition(fitted, config), max_pictures)
        published = fit_published(outputs_of(loaded, fitted), np.asarray(fitted["label"]))
        scores |= {name: (score(skin), score(other)) for name, score in published.items()}
        about["fitted_on"] = {"data": shown(Path(fit_data).name), "split": fit_split, "n": len(fitted)}
    elif is_main():
        print("Mahalanobis, energy, ViM and KNN need training pictures: add --fit-data.", file=sys.stderr)
    if is_main():
        result = {**about, **_report(loaded, judged, scores, sources)}
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
    judged: tuple[Judged, Judged],
    scores: dict[str, tuple[Floats, Floats]],
    sources: NDArray[np.str_],
) -> dict[str, object]:
    config = loaded.config
    counts = [
        {
            "rejected": rejection_margin(part.probabilities, config, part.unusualness) > 0,
            "detected": detection_margin(part.probabilities, config, part.unusualness) > 0,
        }
        for part in judged
    ]
    of_source = {str(name): sources == name for name in np.unique(sources)}
    detectors = {
        name: {source: detection_metrics(ours, theirs[own]) for source, own in of_source.items()}
        for name, (ours, theirs) in scores.items()
    }
    return {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "skin": {
            "n": len(judged[0].probabilities),
            **{name: int(flags.sum()) for name, flags in counts[0].items()},
        },
        "sources": {
            source: {
                "n": int(own.sum()),
                **{name: int(flags[own].sum()) for name, flags in counts[1].items()},
            }
            for source, own in of_source.items()
        },
        "detectors": detectors,
        "mean_auroc": {
            name: float(np.mean([figures["auroc"] for figures in by_source.values()]))
            for name, by_source in detectors.items()
        },
    }
