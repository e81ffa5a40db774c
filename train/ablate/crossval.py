"""Cross-validation of a recipe by group, on cached features of the backbone's frozen stages."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

from model.files import atomic_path, write_json
from train.ablate.cached_features import cached, predict_maps, train_on_maps
from train.config import TrainConfig
from train.data.folds import group_folds
from train.data.manifest import verify_sources
from train.data.pictures import shown
from train.data.rows import admit_for_run
from train.data.splits import load_split
from train.evaluate.metrics import bootstrap_intervals, classification_metrics
from train.fit.network import model_config
from train.predictions import Predictions
from train.run_folder import locked, open_run


def cross_validate(config: TrainConfig, *, folds: int, views: int) -> Path:
    """Train the trainable stages and the head once per fold, and measure each on the held-out fold.

    The frozen stages process every training picture ``views`` times with new augmentation, and once without;
    their maps are cached in the run's folder in float16. The predictions of each fold are saved too, so a
    killed run continues with the next fold.

    Args:
        config: the recipe; ``trainable`` must be whole blocks from one of them to the last (``layer4.*``).
        folds: number of folds, stratified by class and without splitting a group.
        views: augmented views of each picture.

    Returns:
        ``OUTPUT/crossval.json``: ``classification_metrics`` over all pictures, each predicted by the fold
        that did not train on it, their intervals, and both averages per fold.

    Raises:
        ConfigError: the backbone is not a ResNet, or the trainable parts are not whole last blocks; or
            another process is using the folder.
        DataError: as for ``admit_for_run``, or there are too few rows for the folds.
    """
    config = dataclasses.replace(config, resume=True)
    with locked(Path(config.output)):
        return _cross_validate(config, Path(config.output), folds, views)


def _cross_validate(config: TrainConfig, folder: Path, folds: int, views: int) -> Path:
    if config.manifest:
        verify_sources(Path(config.manifest), config.data, ("train",), config.labels)
    rows = load_split(config.data, "train", labels=config.labels)
    open_run(config)
    rows = admit_for_run(folder / "unreadable.json", max_unreadable=config.max_unreadable, train=rows)[
        "train"
    ]
    targets = np.asarray(rows["label"])
    divided = group_folds(targets, list(rows["group"]), folds=folds, seed=config.seed)
    maps = [cached(folder / f"view-{view}", rows, config, view=view) for view in range(views)]
    seen = cached(folder / "as-in-use", rows, config, view=None)
    logits = np.empty((len(rows), len(config.labels)))
    for fold, (train, held) in enumerate(divided):
        if absent := set(targets) - set(targets[train]):
            names = ", ".join(config.labels[target] for target in sorted(absent))
            print(f"Fold {fold + 1} trains on no picture of {names}: all are of one group.", file=sys.stderr)
        stored = folder / f"fold-{fold}.npy"
        if not stored.is_file():
            network = train_on_maps(config, maps, rows, train, name=f"fold {fold + 1}/{folds}")
            values = predict_maps(network, config, seen, rows, held).logits
            with atomic_path(stored) as partial:
                np.save(partial, values)
        logits[held] = np.load(stored)
    uncalibrated = model_config(config)
    predictions = Predictions.of_rows(rows, uncalibrated, logits)
    parts = [classification_metrics(predictions.take(held), uncalibrated) for _, held in divided]
    result = {
        "data": [shown(Path(name).name) for name in config.data],
        "folds": folds,
        "views": views,
        **classification_metrics(predictions, uncalibrated),
        "intervals": bootstrap_intervals(predictions),
        "by_fold": [{name: part[name] for name in ("n", "balanced_accuracy", "macro_f1")} for part in parts],
    }
    path = folder / "crossval.json"
    write_json(path, result)
    short = {name: result[name] for name in ("n", "balanced_accuracy", "macro_f1", "by_fold")}
    print(json.dumps(short, allow_nan=False))
    return path
