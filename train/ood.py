"""``ood``: how well a checkpoint tells pictures that are not skin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.labels import NO_CONDITION
from model.rejection import dual_margin, max_probability, normalized_entropy, unknown_margin
from train.data import split_names
from train.measure import labelled_rows, open_checkpoint, probabilities_of, read_rows, write_json
from train.metrics import detection_metrics
from train.processes import is_main

Floats = NDArray[np.float64]

# Every score grows with how much a picture looks out of place.
DETECTORS: dict[str, Callable[[Floats, ModelConfig], Floats]] = {
    "max_probability": lambda probabilities, config: -max_probability(probabilities),
    "normalized_entropy": lambda probabilities, config: normalized_entropy(probabilities),
    "dual_criterion": dual_margin,
    "dual_criterion_or_unknown": lambda probabilities, config: np.maximum(
        dual_margin(probabilities, config), unknown_margin(probabilities, config)
    ),
}


def ood(
    *, checkpoint: str, data: str, split: str, ood: str, output: str, device: str, max_unreadable: float
) -> None:
    """Writes ``OUTPUT/ood.json``: how many pictures of each source are detected, how well each score tells.

    Skin is the rows of ``data`` whose label is not Unknown_Normal. ``detected`` counts the verdicts
    ``rejected`` and ``no_condition``.
    """
    loaded = open_checkpoint(checkpoint, device)
    config = loaded.config
    rows, _ = labelled_rows(data, split, config.labels, max_unreadable)
    probabilities = probabilities_of(loaded, rows)
    unknown = config.labels.index(NO_CONDITION) if NO_CONDITION in config.labels else None
    skin = probabilities[[label != unknown for label in rows["label"]]]
    others = datasets.concatenate_datasets(
        [read_rows(ood, name, None, max_unreadable)[0] for name in split_names(ood)]
    )
    other = probabilities_of(loaded, others)
    if not is_main():
        return
    names = np.asarray([source or "all" for source in others["source"]])
    scores = {name: (score(skin, config), score(other, config)) for name, score in DETECTORS.items()}
    decided = scores["dual_criterion_or_unknown"]
    result = {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "data": Path(data).name,
        "split": split,
        "skin": {"n": len(skin), "detected": int((decided[0] > 0).sum())},
        "sources": {
            str(name): {
                "n": int((names == name).sum()),
                "detected": int((decided[1][names == name] > 0).sum()),
            }
            for name in np.unique(names)
        },
        "detectors": {
            detector: {str(name): detection_metrics(ours, theirs[names == name]) for name in np.unique(names)}
            for detector, (ours, theirs) in scores.items()
        },
    }
    write_json(Path(output) / "ood.json", result)
    print(json.dumps({"skin": result["skin"], "sources": result["sources"]}))
