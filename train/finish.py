"""From options to a checkpoint folder: ``fit``, then calibration and the model card."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

from model import checkpoint
from train.calibrate.run import calibrate, write_figures
from train.config import TrainConfig
from train.distributed import is_main, on_main, wait_for_everyone
from train.fit.run import Fitted, fit
from train.report.card import model_card, training_section
from train.run_folder import locked


def fit_checkpoint(config: TrainConfig) -> Path:
    """Train a network, calibrate it, and write and return its checkpoint folder; see ``fit``."""
    return finish(fit(config))


def finish(fitted: Fitted) -> Path:
    """Calibrate a trained network; write and return ``OUTPUT/checkpoint``, with its card.

    Raises:
        CheckpointError: a weight is not finite, or too large for float16.
        ConfigError: another process is using the folder, or it cannot be written to.
    """
    config, network = fitted.config, fitted.network
    folder = Path(config.output)
    with ExitStack() as stack:
        on_main(lambda: stack.enter_context(locked(folder)))
        calibrated, detector, figures = calibrate(
            network, fitted.train, fitted.validation, fitted.model_config, config, fitted.device
        )
        if is_main():
            options = dataclasses.asdict(config)
            training = training_section(options, fitted.history)
            card = model_card(calibrated, options=options, training=training, calibration=figures)
            checkpoint.save(folder / "checkpoint", network, calibrated, card=card, detector=detector)
            write_figures(folder, folder / "checkpoint", figures)
            print(f"The checkpoint is in {folder / 'checkpoint'}.")
        wait_for_everyone()
    return folder / "checkpoint"
