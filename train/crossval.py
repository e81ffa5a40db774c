"""Cross-validation of a recipe by group, on cached maps of the backbone's frozen stages."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from timm.models.resnet import ResNet
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from model.calibration import softmax
from model.errors import ConfigError
from model.network import SkinDiseaseNet
from model.preprocess import decode_side
from model.transforms import eval_transform
from train.config import TrainConfig
from train.data import drop_unreadable, load_split
from train.loader import Draw, Pictures, class_weights, epoch_batches
from train.loop import augmentation, create_network
from train.metrics import bootstrap_intervals, classification_metrics
from train.optim import create_optimizer, create_schedule, train_mode
from train.state import open_run

Floats = NDArray[np.float64]
STAGES = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4")


def cross_validate(config: TrainConfig, *, folds: int, views: int) -> Path:
    """Trains the trainable stages and the head once a fold and measures each on the fold left out.

    The frozen stages see every training picture ``views`` times with fresh augmentation, and once as in use;
    their maps are kept in the run's folder in float16. What a fold has predicted is kept too, so a killed run
    goes on with the next one.

    Args:
        config: the recipe; ``trainable`` must be whole stages from one of them to the last (``layer4.*``).
        folds: number of folds, drawn by class and never dividing a group.
        views: augmented views of each picture.

    Returns:
        ``OUTPUT/crossval.json``: ``classification_metrics`` over all pictures, each predicted by the fold
        that did not train on it, their intervals, and both averages fold by fold.

    Raises:
        ConfigError: the backbone is no ResNet, or the trainable parts are no whole last stages.
    """
    config = dataclasses.replace(config, resume=True)
    folder = open_run(config)
    rows = load_split(config.data, "train", labels=config.labels)
    rows, _ = drop_unreadable(rows, limit=config.max_unreadable, what="train")
    labels = np.asarray(rows["label"])
    groups = [group or f"row {row}" for row, group in enumerate(rows["group"])]
    maps = [_cached(folder / f"view-{view}", rows, config, view=view) for view in range(views)]
    seen = _cached(folder / "as-in-use", rows, config, view=None)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=config.seed)
    logits = np.empty((len(rows), len(config.labels)))
    parts = []
    for fold, (train, held) in enumerate(splitter.split(labels, labels, groups)):
        stored = folder / f"fold-{fold}.npy"
        if not stored.is_file():
            values = _train_fold(config, maps, seen, labels, train, held, name=f"fold {fold + 1}/{folds}")
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
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({name: result[name] for name in ("n", "balanced_accuracy", "macro_f1", "by_fold")}))
    return path


def _figures(logits: Floats, labels: NDArray[np.int64], config: TrainConfig) -> dict:
    model_config = create_network(dataclasses.replace(config, init="random"))[0]
    return classification_metrics(softmax(logits, 1.0), labels, model_config)


def _split(network: SkinDiseaseNet, patterns: Sequence[str]) -> tuple[nn.Sequential, nn.Sequential]:
    """The frozen and the trained stages of a ResNet, each as one module."""
    backbone = network.backbone
    if not isinstance(backbone, ResNet):
        raise ConfigError(
            "Cross-validation on cached maps needs a timm ResNet.", hint="Choose a backbone such as resnet50."
        )
    trained = [any(fnmatchcase(f"{stage}.x", pattern) for pattern in patterns) for stage in STAGES]
    first = trained.index(True) if any(trained) else len(STAGES)
    if not all(trained[first:]) or first == 0:
        raise ConfigError(
            f"trainable is {', '.join(patterns)}; whole stages up to the last are expected, but not all.",
            hint="Write --trainable '[layer4.*]', for example.",
        )
    modules = [getattr(backbone, stage) for stage in STAGES]
    return nn.Sequential(*modules[:first]), nn.Sequential(*modules[first:])


@torch.no_grad()
def _cached(
    path: Path, rows: datasets.Dataset, config: TrainConfig, *, view: int | None
) -> NDArray[np.float16]:
    """Maps of the frozen stages for every row, (N, C, h, w), from the file or computed now."""
    file = path.with_suffix(".npy")
    if file.is_file():
        return np.load(file, mmap_mode="r")
    torch.manual_seed(config.seed)  # a random initialisation is the same one for every view
    model_config, network = create_network(config)
    frozen = _split(network, config.trainable)[0].eval().to(memory_format=torch.channels_last)
    if view is None:
        pictures = Pictures(rows, eval_transform(config=model_config), target_side=decode_side(model_config))
    else:
        pictures = Pictures(rows, augmentation(config, model_config))
    seed = None if view is None else config.seed * 1009 + view
    draws = [Draw(row, None if seed is None else seed * len(rows) + row) for row in range(len(rows))]
    batches = [draws[start : start + 32] for start in range(0, len(draws), 32)]
    loader = DataLoader(pictures, batch_sampler=batches, num_workers=config.num_workers)
    partial = path.with_suffix(".partial.npy")
    maps, done = None, 0
    for images, _ in tqdm(loader, desc=f"maps {path.name}", unit="batch"):
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            values = frozen(images.to(memory_format=torch.channels_last)).half().numpy()
        if maps is None:
            shape = (len(rows), *values.shape[1:])
            maps = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        maps[done : done + len(values)] = values
        done += len(values)
    del maps
    partial.rename(file)
    return np.load(file, mmap_mode="r")


def _train_fold(
    config: TrainConfig,
    maps: Sequence[NDArray[np.float16]],
    seen: NDArray[np.float16],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    held: NDArray[np.int64],
    *,
    name: str,
) -> Floats:
    """Logits of the rows left out, (N, K), after training on the others."""
    torch.manual_seed(config.seed)
    _, network = create_network(config)
    network.to(memory_format=torch.channels_last)
    trained = _split(network, config.trainable)[1]
    bf16 = config.precision == "bf16"

    def logits_of(features: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = trained(features.to(memory_format=torch.channels_last))
        return network.forward_head(features)

    classes = len(config.labels)
    weights = class_weights(labels[train], classes=classes, power=config.class_weight_power)
    loss_of = nn.CrossEntropyLoss(weights, label_smoothing=config.label_smoothing)
    optimizer = create_optimizer(network, config)
    steps = len(train) // config.batch_size
    schedule = create_schedule(optimizer, config, steps_per_epoch=steps)
    bar = tqdm(total=config.epochs * steps, desc=name, unit="step")
    for epoch in range(config.epochs):
        train_mode(network)
        batches = epoch_batches(
            labels[train],
            classes=classes,
            sampler_power=config.sampler_power,
            batch_size=config.batch_size,
            seed=config.seed,
            epoch=epoch,
        )
        for step, batch in enumerate(batches):
            schedule.step_update(epoch * steps + step)
            picked = [maps[draw.seed % len(maps)][train[draw.row]] for draw in batch if draw.seed is not None]
            targets = torch.from_numpy(labels[train[[draw.row for draw in batch]]])
            loss = loss_of(logits_of(torch.from_numpy(np.stack(picked)).float()), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}")
    bar.close()
    network.eval()
    with torch.no_grad():
        values = [
            logits_of(torch.from_numpy(seen[held[start : start + 32]]).float()).numpy()
            for start in range(0, len(held), 32)
        ]
    return np.concatenate(values).astype(np.float64)
