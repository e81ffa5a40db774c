"""``Trainer``: the training step, the epoch loop and validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import datasets
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from model.config import ModelConfig
from model.errors import ConfigError, DataError
from model.image.augment import train_decode_side
from model.network import SkinDiseaseNet
from train.config import TrainConfig
from train.data.loader import Draw, epoch_batches, train_loader
from train.fit.mixing import mix
from train.fit.network import augmentation
from train.fit.objective import create_objective, row_weights
from train.fit.optim import create_optimizer, create_schedule, train_mode
from train.inference import predict_rows
from train.predictions import Predictions
from train.run_folder import Progress, refuse_diverged

Batch = tuple[Tensor, Tensor]
"""Normalised pictures (B, 3, H, W), or their cached features, and their row indices (B,)."""


class Trainer:
    """A network in training, with its optimiser, schedule, averaged weights and progress.

    Args:
        config: the recipe.
        model_config, network: from ``create_network``; the network is moved to the device.
        rows: the training rows.
        accelerator: knows device, precision and processes.
        features: computes the map that the head reads, if the batches are not pictures.
        what: for the progress bar.

    Raises:
        ConfigError: a batch cannot be divided evenly among the processes.
        DataError: the rows do not fill one batch.
    """

    def __init__(
        self,
        config: TrainConfig,
        model_config: ModelConfig,
        network: SkinDiseaseNet,
        rows: datasets.Dataset,
        *,
        accelerator: Accelerator,
        features: Callable[[Tensor], Tensor] | None = None,
        what: str = "",
    ) -> None:
        world = accelerator.num_processes
        if config.batch_size % world:
            raise ConfigError(
                f"A batch of {config.batch_size} pictures cannot be divided evenly among {world} processes.",
                hint=f"Choose a --batch_size that is a multiple of {world}.",
            )
        self.steps = len(rows) // config.batch_size
        if self.steps == 0:
            raise DataError(
                f"{len(rows)} training pictures do not fill one batch of {config.batch_size}.",
                hint="Lower --batch_size.",
            )
        self.config, self.model_config, self.network, self.rows = config, model_config, network, rows
        self.accelerator, self.what = accelerator, what
        self.learner, self.objective = create_objective(network, rows, config, features)
        self.objective.to(accelerator.device)
        self.weights = row_weights(rows, config)
        self.learner.to(memory_format=torch.channels_last)
        self.trained, self.optimizer = accelerator.prepare(
            self.learner, create_optimizer(self.learner, config)
        )
        self.schedule = create_schedule(self.optimizer, config, steps_per_epoch=self.steps)
        self.averaged = (
            ModelEmaV3(network, decay=config.ema_decay, use_warmup=True) if config.ema_decay > 0 else None
        )
        self.progress = Progress()

    @property
    def kept(self) -> SkinDiseaseNet:
        """The network that is validated and saved in the checkpoint: the average, if there is one."""
        return self.averaged.module if self.averaged else self.network

    def train_epoch(self, batches: Iterable[Batch], *, after_step: Callable[[], None] | None = None) -> None:
        """Train for one step per batch.

        Args:
            batches: the rest of the current epoch, in the order of ``draws``.
            after_step: called after each.
        """
        config, accelerator, progress = self.config, self.accelerator, self.progress
        train_mode(self.learner)
        bar = tqdm(
            batches,
            initial=progress.step,
            total=self.steps,
            desc=f"{self.what} epoch {progress.epoch + 1}/{config.epochs}".strip(),
            unit="step",
            leave=False,
            disable=not accelerator.is_main_process,
        )
        for images, rows in bar:
            step = progress.epoch * self.steps + progress.step
            self.schedule.step_update(step)
            # Dropout and mixing depend only on the step, so no random state has to be saved.
            own = step * accelerator.num_processes + accelerator.process_index
            torch.manual_seed(config.seed * 1_000_003 + own)
            images = images.to(accelerator.device).to(memory_format=torch.channels_last)
            mixed = mix(images, rows.to(accelerator.device), config)
            with accelerator.autocast():
                outputs = self.trained(mixed.images)
            loss = sum(share * self.objective(outputs, shown) for shown, share in mixed.rows)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(self.trained.parameters(), config.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.averaged:
                self.averaged.update(self.network, step=step + 1)
            progress.step += 1
            progress.loss_sum += accelerator.reduce(loss.detach(), reduction="mean").item()
            bar.set_postfix(loss=f"{progress.loss_sum / progress.step:.3f}")
            if after_step:
                after_step()
        self.refuse_diverged()

    def validate(self, rows: datasets.Dataset) -> Predictions:
        """Predict other rows with ``kept``, as the main process would save it."""
        # Each process has seen different pictures and has its own statistics.
        broadcast(list(self.kept.buffers()))
        return predict_rows(
            self.kept,
            rows,
            self.model_config,
            device=self.accelerator.device,
            what="validate",
            num_workers=self.config.num_workers,
            bf16=self.accelerator.mixed_precision == "bf16",
        )

    def draws(self) -> list[list[Draw]]:
        """This process's remaining batches of the current epoch."""
        return epoch_batches(
            self.weights,
            batch_size=self.config.batch_size // self.accelerator.num_processes,
            seed=self.config.seed,
            epoch=self.progress.epoch,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )[self.progress.step :]

    def pictures(self) -> DataLoader:
        """The same batches as augmented pictures, for ``train_epoch``."""
        config, epoch = self.config, self.progress.epoch
        return train_loader(
            self.rows,
            augmentation(config, self.model_config, epoch=epoch),
            self.draws(),
            target_side=train_decode_side(size=config.size_of_epoch(epoch), min_scale=config.min_scale),
            num_workers=config.num_workers,
            pin=self.accelerator.device.type == "cuda",
        )

    def refuse_diverged(self) -> None:
        """Raise ``ConfigError`` if the loss or a weight is no longer finite."""
        refuse_diverged(self.progress.loss_sum, self.progress.epoch, self.network, self.kept)

    def state(self) -> dict[str, Any]:
        """The full state for resuming, for ``load_state``."""
        self.refuse_diverged()
        state = {
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": dataclasses.asdict(self.progress),
        }
        return state | ({"averaged": self.kept.state_dict()} if self.averaged else {})

    def load_state(self, saved: dict[str, Any]) -> None:
        """Restore a ``state``."""
        self.learner.load_state_dict(saved["learner"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.progress = Progress(**saved["progress"])
        if self.averaged:
            self.kept.load_state_dict(saved["averaged"])
