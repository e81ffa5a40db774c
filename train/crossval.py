"""Cross-validation of a recipe by group, on cached maps of the backbone's frozen stages."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from model.calibration import softmax
from train.config import TrainConfig
from train.data import drop_unreadable, load_split
from train.manifest import verify_sources
from train.maps import MapTrainer, cached
from train.metrics import bootstrap_intervals, classification_metrics
from train.recipe import create_network
from train.state import open_run

Floats = NDArray[np.float64]


def cross_validate(config: TrainConfig, *, folds: int, views: int) -> Path:
    """Trains the trainable stages and the head once a fold and measures each on the fold left out.

    The frozen stages see every training picture ``views`` times with fresh augmentation, and once as in use;
    their maps are kept in the run's folder in float16. What a fold has predicted is kept too, so a killed run
    goes on with the next one.

    Args:
        config: the recipe; ``trainable`` must be whole blocks from one of them to the last (``layer4.*``).
        folds: number of folds, drawn by class and never dividing a group.
        views: augmented views of each picture.

    Returns:
        ``OUTPUT/crossval.json``: ``classification_metrics`` over all pictures, each predicted by the fold
        that did not train on it, their intervals, and both averages fold by fold.

    Raises:
        ConfigError: the backbone is no ResNet, or the trainable parts are no whole last blocks.
    """
    config = dataclasses.replace(config, resume=True)
    if config.manifest:
        verify_sources(Path(config.manifest), config.data, ("train",), config.labels)
    folder = open_run(config)
    rows = load_split(config.data, "train", labels=config.labels)
    rows, _ = drop_unreadable(rows, limit=config.max_unreadable, what="train")
    labels = np.asarray(rows["label"])
    groups = [group or f"row {row}" for row, group in enumerate(rows["group"])]
    maps = [cached(folder / f"view-{view}", rows, config, view=view) for view in range(views)]
    seen = cached(folder / "as-in-use", rows, config, view=None)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=config.seed)
    logits = np.empty((len(rows), len(config.labels)))
    parts = []
    for fold, (train, held) in enumerate(splitter.split(labels, labels, groups)):
        stored = folder / f"fold-{fold}.npy"
        if not stored.is_file():
            trainer = MapTrainer(config, name=f"fold {fold + 1}/{folds}")
            trainer.train(maps, rows, train)
            values = trainer.logits(seen, held)
            partial = stored.with_suffix(".partial.npy")
            np.save(partial, values)
            partial.rename(stored)
        logits[held] = np.load(stored)
        parts.append(_figures(logits[held], labels[held], config))
    probabilities = softmax(logits, 1.0)
    result = {
        "data": [Path(name).name for name in config.data],
        "folds": folds,
        "views": views,
        **_figures(logits, labels, config),
        "intervals": bootstrap_intervals(probabilities, labels, groups),
        "by_fold": [{name: part[name] for name in ("n", "balanced_accuracy", "macro_f1")} for part in parts],
    }
    path = folder / "crossval.json"
    path.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(
        json.dumps(
            {name: result[name] for name in ("n", "balanced_accuracy", "macro_f1", "by_fold")},
            allow_nan=False,
        )
    )
    return path


def _figures(logits: Floats, labels: NDArray[np.int64], config: TrainConfig) -> dict:
    model_config = create_network(dataclasses.replace(config, init="random"))[0]
    return classification_metrics(softmax(logits, 1.0), labels, model_config)
