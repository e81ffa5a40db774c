"""``fit``: train a network; a killed run continues where it stopped."""

from __future__ import annotations

import dataclasses
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import torch
from accelerate import Accelerator
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model import checkpoint
from model.config import ModelConfig
from model.errors import ConfigError
from model.hub import is_reference
from model.network import SkinDiseaseNet
from model.runtime.device import trusted_device
from train.config import TrainConfig
from train.data.manifest import verify_sources
from train.data.rows import admit_for_run
from train.data.splits import train_and_validation
from train.distributed import on_main
from train.evaluate.metrics import classification_metrics
from train.fit.network import check_initial, create_network, mix_with_initial
from train.fit.trainer import Trainer
from train.run_folder import (
    BEST,
    STATE,
    locked,
    of_this_run,
    open_run,
    read,
    write_atomically,
    write_log,
)


class Fitted(NamedTuple):
    """The result of a training run.

    Attributes:
        config: its options.
        model_config: of the network, not yet calibrated.
        network: with the best weights.
        train, validation: the rows for training and for choosing the weights.
        device: of the network.
        history: one entry a finished epoch.
    """

    config: TrainConfig
    model_config: ModelConfig
    network: SkinDiseaseNet
    train: datasets.Dataset
    validation: datasets.Dataset
    device: torch.device
    history: list[dict[str, Any]]


def fit(config: TrainConfig) -> Fitted:
    """Train a network; the state for resuming is kept in the folder ``output``.

    Args:
        config: all options; see ``TrainConfig``.

    Raises:
        ConfigError, DataError, CheckpointError, HubError: an option, a data set or the initial weights are
            wrong.
    """
    if not config.data:
        raise ConfigError("No data set was given.", hint="Add --data with one or more folders or Hub ids.")
    check_initial(config)
    # The data set comes first: a wrong path is found before weights are fetched from the Hub.
    if config.manifest:
        verify_sources(Path(config.manifest), config.data, ("train", "validation"), config.labels)
    train, validation = train_and_validation(
        config.data, labels=config.labels, fraction=config.validation_fraction, seed=config.seed
    )
    config = dataclasses.replace(config, init=checkpoint.pinned(config.init))
    torch.manual_seed(config.seed)
    model_config, network = create_network(config)
    accelerator = create_accelerator(config, network)
    folder = Path(config.output)
    with ExitStack() as stack:
        on_main(lambda: stack.enter_context(locked(folder)))
        on_main(lambda: open_run(config))
        if accelerator.is_main_process and is_reference(config.init):
            tqdm.write(f"The weights come from {config.init}.")
        train, validation = admit_for_run(
            folder / "unreadable.json",
            max_unreadable=config.max_unreadable,
            train=train,
            validation=validation,
        ).values()
        trainer = Trainer(config, model_config, network, train, accelerator=accelerator)
        _train(trainer, validation, folder)
        accelerator.wait_for_everyone()
        with of_this_run(folder):
            network.load_state_dict(read(folder / BEST))
    mix_with_initial(network, config)
    history = trainer.progress.history
    return Fitted(config, model_config, network, train, validation, accelerator.device, history)


def create_accelerator(config: TrainConfig, network: SkinDiseaseNet) -> Accelerator:
    """Create the accelerator for a recipe's device and precision."""
    device = trusted_device(config.device, network, size=config.input_size)
    bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if bf16 else "no")


def _train(trainer: Trainer, validation: datasets.Dataset, folder: Path) -> None:
    """Run the remaining epochs; the best weights are in ``BEST`` afterwards."""
    config, accelerator = trainer.config, trainer.accelerator
    if (folder / STATE).is_file():
        saved = read(folder / STATE)
        with of_this_run(folder):
            trainer.load_state(saved)
        if trainer.progress.best_epoch >= 0:
            read(folder / BEST)  # detect damage now, not after the last epoch
    progress = trainer.progress
    writer = SummaryWriter(str(folder / "tensorboard")) if accelerator.is_main_process else None

    def save() -> None:
        state = trainer.state()
        if accelerator.is_main_process:
            write_atomically(folder / STATE, state)

    def save_now_and_then() -> None:
        if progress.step % config.save_every == 0 and progress.step < trainer.steps:
            save()

    while not progress.exhausted(config):
        started = time.monotonic()
        trainer.train_epoch(trainer.pictures(), after_step=save_now_and_then)
        metrics = classification_metrics(trainer.validate(validation), trainer.model_config)
        entry = {
            "epoch": progress.epoch + 1,
            "loss": progress.loss_sum / trainer.steps,
            **{name: metrics[name] for name in ("accuracy", "balanced_accuracy", "top3_accuracy")},
            "lr": trainer.optimizer.param_groups[-1]["lr"],
            "seconds": round(time.monotonic() - started, 1),
        }
        progress.history.append(entry)
        if metrics["balanced_accuracy"] > progress.best:
            progress.best, progress.best_epoch = metrics["balanced_accuracy"], progress.epoch
            if accelerator.is_main_process:
                write_atomically(folder / BEST, trainer.kept.state_dict())
        progress.next_epoch()
        save()
        if writer is not None:
            for name in ("loss", "accuracy", "balanced_accuracy", "top3_accuracy", "lr"):
                writer.add_scalar(name, entry[name], entry["epoch"])
            writer.flush()
            write_log(folder, progress)
        accelerator.print(json.dumps(entry, allow_nan=False))
    if writer is not None:
        writer.close()
