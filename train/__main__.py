"""The command line of training: ``python -m train COMMAND``; ``--help`` lists the commands."""

from __future__ import annotations

import sys

from model.command_line import Command, run
from train.commands import data, learn, measure

COMMANDS: dict[str, Command] = {
    "audit": data.audit,
    "pieces": data.pieces,
    "fit": learn.fit,
    "calibrate": learn.calibrate,
    "shift": learn.shift,
    "gate": learn.gate,
    "reference": learn.reference,
    "evaluate": measure.evaluate,
    "predict-split": measure.predict_split,
    "validate": measure.validate,
    "score": measure.score,
    "ood": measure.ood,
    "benchmark": measure.benchmark,
    "card": measure.card,
    "crossval": learn.crossval,
    "ablate": learn.ablate,
    "push": data.push,
    "push-data": data.push_data,
}
ALIASES = {"predict": "predict-split"}
"""Older names; ``predict`` now always means predicting pictures."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    return run(
        COMMANDS,
        arguments,
        program="python -m train",
        about="Train, measure and publish a model of skin conditions.",
        aliases=ALIASES,
    )


if __name__ == "__main__":
    sys.exit(main())
