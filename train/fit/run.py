"""The training loop: one pass from top to bottom, through Accelerate."""

from __future__ import annotations

import dataclasses
import json
import time
from contextlib import ExitStack
from pathlib import Path

import datasets
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from timm.utils import ModelEmaV3
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model import checkpoint
from model.config import ModelConfig
from model.errors import ConfigError, DataError
from model.hub import is_reference
from model.image.augment import train_decode_side
from model.network import SkinDiseaseNet
from model.runtime.device import trusted_device
from train.calibrate.run import calibrate, write_figures
from train.config import TrainConfig
from train.data.loader import epoch_batches, train_loader
from train.data.manifest import verify_sources
from train.data.rows import admit_for_run
from train.data.splits import train_and_validation
from train.distributed import on_main
from train.evaluate.metrics import classification_metrics
from train.fit.mixing import mix
from train.fit.network import augmentation, create_network, mix_with_initial
from train.fit.objective import create_objective, row_weights
from train.fit.optim import create_optimizer, create_schedule, train_mode
from train.inference import predict_rows
from train.report.card import model_card, training_section
from train.run_folder import (
    BEST,
    STATE,
    Progress,
    locked,
    of_this_run,
    open_run,
    read,
    refuse_diverged,
    write_atomically,
    write_log,
)


def fit(config: TrainConfig) -> Path:
    """Trains a network and writes its checkpoint folder.

    Args:
        config: all options; see ``TrainConfig``.

    Returns:
        The checkpoint's folder, ``OUTPUT/checkpoint``.

    Raises:
        ConfigError, DataError, CheckpointError, HubError: an option, a data set or the initial weights are
            wrong.
    """
    if not config.data:
        raise ConfigError(
            "No data set was given.", hint="Add --data FOLDER (or a Hub id), several if you like."
        )
    torch.manual_seed(config.seed)
    config = dataclasses.replace(config, init=checkpoint.pinned(config.init))
    model_config, network = create_network(config)
    accelerator = _create_accelerator(config, network)
    with accelerator.local_main_process_first():
        if config.manifest:
            verify_sources(Path(config.manifest), config.data, ("train", "validation"), config.labels)
        train, validation = train_and_validation(
            config.data, labels=config.labels, fraction=config.validation_fraction, seed=config.seed
        )
    folder = Path(config.output)
    with ExitStack() as stack:
        on_main(lambda: stack.enter_context(locked(folder)))
        return _fit(accelerator, config, folder, model_config, network, train, validation)


def _fit(
    accelerator: Accelerator,
    config: TrainConfig,
    folder: Path,
    model_config: ModelConfig,
    network: SkinDiseaseNet,
    train: datasets.Dataset,
    validation: datasets.Dataset,
) -> Path:
    """``fit`` in a folder that is this run's alone."""
    on_main(lambda: open_run(config))
    if accelerator.is_main_process and is_reference(config.init):
        tqdm.write(f"The weights come from {config.init}.")
    train, validation = admit_for_run(
        folder / "unreadable.json", max_unreadable=config.max_unreadable, train=train, validation=validation
    ).values()
    labels = np.asarray(train["label"])
    learner, loss_of = create_objective(network, train, config)
    loss_of.to(accelerator.device)
    weights = row_weights(train, config)
    optimizer = create_optimizer(learner, config)
    progress = Progress()
    saved = read(folder / STATE) if (folder / STATE).is_file() else None
    if saved:
        with of_this_run(folder):
            learner.load_state_dict(saved["learner"])
            optimizer.load_state_dict(saved["optimizer"])
            progress = Progress(**saved["progress"])
        if progress.best_epoch >= 0:
            read(folder / BEST)  # what is damaged shows now, not after the last epoch
    learner.to(memory_format=torch.channels_last)
    trained, optimizer = accelerator.prepare(learner, optimizer)
    bare = learner.network
    averaged = ModelEmaV3(bare, decay=config.ema_decay, use_warmup=True) if config.ema_decay > 0 else None
    kept = averaged.module if averaged else bare  # what is validated and ends up in the checkpoint
    if averaged and saved:
        with of_this_run(folder):
            kept.load_state_dict(saved["averaged"])
    world, rank = accelerator.num_processes, accelerator.process_index
    if config.batch_size % world:
        raise ConfigError(
            f"A batch of {config.batch_size} pictures cannot be shared out evenly among {world} processes.",
            hint=f"Choose a --batch_size that is a multiple of {world}.",
        )
    steps = len(labels) // config.batch_size
    if steps == 0:
        raise DataError(
            f"{len(labels)} training pictures do not fill one batch of {config.batch_size}.",
            hint="Lower --batch_size.",
        )
    schedule = create_schedule(optimizer, config, steps_per_epoch=steps)
    writer = SummaryWriter(str(folder / "tensorboard")) if accelerator.is_main_process else None

    def save() -> None:
        refuse_diverged(progress.loss_sum, progress.epoch, bare, kept)
        if accelerator.is_main_process:
            state = {
                "learner": learner.state_dict(),
                "optimizer": optimizer.state_dict(),
                "progress": dataclasses.asdict(progress),
            }
            if averaged:
                state["averaged"] = kept.state_dict()
            write_atomically(folder / STATE, state)

    while not progress.exhausted(config):
        train_mode(learner)
        batches = epoch_batches(
            weights,
            batch_size=config.batch_size // world,
            seed=config.seed,
            epoch=progress.epoch,
            rank=rank,
            world=world,
        )[progress.step :]
        loader = train_loader(
            train,
            augmentation(config, model_config, epoch=progress.epoch),
            batches,
            target_side=train_decode_side(
                size=config.size_of_epoch(progress.epoch), min_scale=config.min_scale
            ),
            num_workers=config.num_workers,
            pin=accelerator.device.type == "cuda",
        )
        started = time.monotonic()
        bar = tqdm(
            loader,
            initial=progress.step,
            total=steps,
            desc=f"epoch {progress.epoch + 1}/{config.epochs}",
            unit="step",
            leave=False,
            disable=not accelerator.is_main_process,
        )
        for images, rows in bar:
            step = progress.epoch * steps + progress.step
            schedule.step_update(step)
            # Dropout and mixing are functions of the step alone, so nothing random has to be saved.
            torch.manual_seed(config.seed * 1_000_003 + step * world + rank)
            images = images.to(accelerator.device).to(memory_format=torch.channels_last)
            mixed = mix(images, rows.to(accelerator.device), config)
            with accelerator.autocast():
                outputs = trained(mixed.images)
            loss = sum(share * loss_of(outputs, shown) for shown, share in mixed.rows)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(trained.parameters(), config.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            if averaged:
                averaged.update(bare, step=step + 1)
            progress.step += 1
            progress.loss_sum += accelerator.reduce(loss.detach(), reduction="mean").item()
            bar.set_postfix(loss=f"{progress.loss_sum / progress.step:.3f}")
            if progress.step % config.save_every == 0 and progress.step < steps:
                save()
        refuse_diverged(progress.loss_sum, progress.epoch, bare, kept)
        metrics = _validate(accelerator, kept, validation, model_config, config)
        entry = {
            "epoch": progress.epoch + 1,
            "loss": progress.loss_sum / steps,
            **{name: metrics[name] for name in ("accuracy", "balanced_accuracy", "top3_accuracy")},
            "lr": optimizer.param_groups[-1]["lr"],
            "seconds": round(time.monotonic() - started, 1),
        }
        progress.history.append(entry)
        if metrics["balanced_accuracy"] > progress.best:
            progress.best, progress.best_epoch = metrics["balanced_accuracy"], progress.epoch
            if accelerator.is_main_process:
                write_atomically(folder / BEST, kept.state_dict())
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        save()
        if writer is not None:
            for name in ("loss", "accuracy", "balanced_accuracy", "top3_accuracy", "lr"):
                writer.add_scalar(name, entry[name], entry["epoch"])
            writer.flush()
            write_log(folder, progress)
        accelerator.print(json.dumps(entry, allow_nan=False))

    accelerator.wait_for_everyone()
    with of_this_run(folder):
        bare.load_state_dict(read(folder / BEST))
    mix_with_initial(bare, config)
    calibrated, detector, figures = calibrate(
        bare, train, validation, model_config, config, accelerator.device
    )
    if writer is not None:
        writer.close()
        options = dataclasses.asdict(config)
        training = training_section(options, progress.history)
        card = model_card(calibrated, options=options, training=training, calibration=figures)
        checkpoint.save(folder / "checkpoint", bare, calibrated, card=card, detector=detector)
        write_figures(folder, folder / "checkpoint", figures)
        accelerator.print(f"The checkpoint is in {folder / 'checkpoint'}.")
    accelerator.wait_for_everyone()
    return folder / "checkpoint"


def _create_accelerator(config: TrainConfig, network: SkinDiseaseNet) -> Accelerator:
    device = trusted_device(config.device, network, size=config.input_size)
    bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if bf16 else "no")


def _validate(
    accelerator: Accelerator,
    network: SkinDiseaseNet,
    validation: datasets.Dataset,
    model_config: ModelConfig,
    config: TrainConfig,
) -> dict:
    """Metrics on the validation split, of the network as the main process would save it."""
    broadcast(list(network.buffers()))  # each process has seen other pictures, and has its own statistics
    predictions = predict_rows(
        network,
        validation,
        model_config,
        device=accelerator.device,
        what="validate",
        num_workers=config.num_workers,
        bf16=accelerator.mixed_precision == "bf16",
    )
    return classification_metrics(predictions, model_config)
