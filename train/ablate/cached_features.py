"""Training on cached maps: the frozen part looks at every picture a few times, the rest is trained on that.

A cheap stand-in for ``fit`` to compare recipes by: the same network, loss, sampler, optimiser and schedule,
but a picture has only as many augmented views as were cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from timm.models.resnet import ResNet
from timm.utils import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from model.errors import ConfigError, DataError
from model.files import atomic_path
from model.image.augment import eval_transform
from model.image.preprocess import decode_side
from model.network import SkinDiseaseNet
from train.ablate.heads import ABLATION_HEADS
from train.config import TrainConfig
from train.data.loader import Draw, Pictures, epoch_batches
from train.fit.network import augmentation, create_network
from train.fit.objective import create_objective, row_weights
from train.fit.optim import create_optimizer, create_schedule, train_mode
from train.predictions import Predictions
from train.run_folder import refuse_diverged

Maps = NDArray[np.float16]
Ints = NDArray[np.int64]


def split(network: SkinDiseaseNet, patterns: Sequence[str]) -> tuple[nn.Sequential, nn.Sequential]:
    """The frozen and the trained part of a ResNet, each as one module.

    Args:
        network: its backbone is a timm ResNet.
        patterns: as ``TrainConfig.trainable``: whole blocks from one of them to the last.

    Raises:
        ConfigError: it is no ResNet, or the patterns are no whole last blocks, or are all of them.
    """
    backbone = network.backbone
    if not isinstance(backbone, ResNet):
        raise ConfigError(
            "Training on cached maps needs a timm ResNet.", hint="Choose a backbone such as resnet50."
        )
    blocks = {name: getattr(backbone, name) for name in ("conv1", "bn1", "act1", "maxpool")}
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        blocks |= {f"{stage}.{name}": block for name, block in getattr(backbone, stage).named_children()}
    trained = [any(fnmatchcase(f"{name}.x", pattern) for pattern in patterns) for name in blocks]
    first = trained.index(True) if any(trained) else len(blocks)
    if not all(trained[first:]) or first == 0:
        raise ConfigError(
            f"trainable is {', '.join(patterns)}; whole blocks up to the last are expected, but not all.",
            hint="Write --trainable '[layer4.*]', for example.",
        )
    modules = list(blocks.values())
    return nn.Sequential(*modules[:first]), nn.Sequential(*modules[first:])


@torch.no_grad()
def cached(path: Path, rows: datasets.Dataset, config: TrainConfig, *, view: int | None) -> Maps:
    """Maps of the frozen part for every row, (N, C, h, w), from the file or computed now.

    Args:
        path: of the file, without its ending; it appears when it is whole.
        rows: as ``train.data.splits.load_split`` gives them.
        config: the network, what of it is frozen, and the augmentation.
        view: number of the augmented view; None for the pictures as in use.
    """
    file = path.with_suffix(".npy")
    if file.is_file():
        return np.load(file, mmap_mode="r")
    torch.manual_seed(config.seed)  # a random initialisation is the same one for every view
    model_config, network = create_network(config, ABLATION_HEADS)
    frozen = split(network, config.trainable)[0].eval().to(memory_format=torch.channels_last)
    if view is None:
        pictures = Pictures(rows, eval_transform(config=model_config), target_side=decode_side(model_config))
    else:
        pictures = Pictures(rows, augmentation(config, model_config))
    seed = None if view is None else config.seed * 1009 + view
    draws = [Draw(row, None if seed is None else seed * len(rows) + row) for row in range(len(rows))]
    batches = [draws[start : start + 32] for start in range(0, len(draws), 32)]
    loader = DataLoader(pictures, batch_sampler=batches, num_workers=config.num_workers)
    maps, done = None, 0
    with atomic_path(file) as partial:
        for images, _ in tqdm(loader, desc=f"maps {path.name}", unit="batch"):
            with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
                values = frozen(images.to(memory_format=torch.channels_last)).half().numpy()
            if maps is None:
                shape = (len(rows), *values.shape[1:])
                maps = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
            maps[done : done + len(values)] = values
            done += len(values)
        del maps
    return np.load(file, mmap_mode="r")


class MapTrainer:
    """The trained part of a network and its head, from their initial weights.

    Args:
        config: the recipe; ``trainable`` names whole last blocks.
        name: for the progress bar.
    """

    def __init__(self, config: TrainConfig, *, name: str) -> None:
        torch.manual_seed(config.seed)
        self.config, self.name = config, name
        self.model_config, self.network = create_network(config, ABLATION_HEADS)
        self.network.to(memory_format=torch.channels_last)

    def train(self, views: Sequence[Maps], rows: datasets.Dataset, chosen: Ints) -> None:
        """Trains on the cached views of some rows.

        Args:
            views: as ``cached`` gives them, one for each augmented view.
            rows: what the views show.
            chosen: the numbers of the rows to train on.
        """
        config, network = self.config, self.network
        rows = rows.select(chosen)
        learner, objective = create_objective(network, rows, config)
        weights = row_weights(rows, config)
        optimizer = create_optimizer(learner, config)
        averaged = ModelEmaV3(network, decay=config.ema_decay, use_warmup=True) if config.ema_decay else None
        steps = len(chosen) // config.batch_size
        if steps == 0:
            raise DataError(
                f"{len(chosen)} training pictures do not fill one batch of {config.batch_size}.",
                hint="Lower --batch-size.",
            )
        schedule = create_schedule(optimizer, config, steps_per_epoch=steps)
        bar = tqdm(total=config.epochs * steps, desc=self.name, unit="step", mininterval=5)
        for epoch in range(config.epochs):
            train_mode(learner)
            batches = epoch_batches(weights, batch_size=config.batch_size, seed=config.seed, epoch=epoch)
            for step, batch in enumerate(batches, epoch * steps):
                schedule.step_update(step)
                torch.manual_seed(config.seed * 1_000_003 + step)
                seen = [views[(draw.seed or 0) % len(views)][chosen[draw.row]] for draw in batch]
                loss = objective(
                    learner.heads(self._features(network, np.stack(seen))),
                    torch.tensor([draw.row for draw in batch]),
                )
                loss.backward()
                nn.utils.clip_grad_norm_(learner.parameters(), config.clip_norm)
                optimizer.step()
                optimizer.zero_grad()
                if averaged:
                    averaged.update(network, step=step + 1)
                bar.update()
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        bar.close()
        if averaged:
            self.network = averaged.module
        refuse_diverged(0.0, config.epochs - 1, self.network)

    @torch.no_grad()
    def predict(self, maps: Maps, rows: datasets.Dataset, chosen: Ints) -> Predictions:
        """For some of the rows, whose maps are those of pictures as in use."""
        self.network.eval()
        parts = [np.empty((0, len(self.config.labels)))]
        for start in range(0, len(chosen), 32):
            features = self._features(self.network, maps[chosen[start : start + 32]])
            parts.append(self.network.forward_head(features).double().numpy())
        return Predictions.of_rows(rows.select(chosen), self.model_config, np.concatenate(parts))

    def _features(self, network: SkinDiseaseNet, maps: Maps) -> torch.Tensor:
        trained = split(network, self.config.trainable)[1]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision == "bf16"):
            return trained(torch.from_numpy(maps).float().to(memory_format=torch.channels_last))
