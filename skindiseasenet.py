"""``skindiseasenet COMMAND``: the commands of ``python -m app`` and ``python -m train`` in one program."""

from __future__ import annotations

import sys

from app.__main__ import COMMANDS as APP
from model.command_line import run
from train.__main__ import COMMANDS as TRAINING


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    return run(
        {**APP, **TRAINING},
        arguments,
        program="skindiseasenet",
        about="Which of 22 groups of skin conditions a photo resembles. A learning aid, never a diagnosis.",
    )


if __name__ == "__main__":
    sys.exit(main())
