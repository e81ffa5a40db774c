"""The command line of the app: ``python -m app COMMAND``; ``--help`` lists the commands."""

from __future__ import annotations

import sys

from app import commands
from app.review import commands as review
from model.command_line import Command, run

COMMANDS: dict[str, Command] = {
    "predict": commands.predict,
    "predict-archive": commands.predict_archive,
    "private": commands.private,
    "key": {"add": commands.key_add, "list": commands.key_list, "revoke": commands.key_revoke},
    "review": {
        "key": review.key,
        "rotate": review.rotate,
        "purge": review.purge,
        "delete": review.delete,
        "export": review.export,
    },
    "drift": commands.drift,
    "settings": commands.settings,
}
ALIASES = {"score": "predict-archive"}
"""Older names; ``score`` now always means comparing answers with the truth."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    return run(
        COMMANDS,
        arguments,
        program="python -m app",
        about="Predict pictures of skin, and manage a service's keys. A learning aid, never a diagnosis.",
        aliases=ALIASES,
    )


if __name__ == "__main__":
    sys.exit(main())
