"""Reports why a server did not start, as the last line of its output."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from model.errors import SkinDiseaseNetError

EXIT_STATUS = 4
"""gunicorn takes this status as "do not retry"; after any other it restarts the worker forever."""

_FILE = "refusal"


def refuse_to_start(error: SkinDiseaseNetError) -> NoReturn:
    """Exit with an error message; a gunicorn worker also leaves it for ``last_word``."""
    line = f"error: {error}"
    print(line, file=sys.stderr)
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder and os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
        with suppress(OSError):  # it has been printed once
            Path(folder, _FILE).write_text(line, encoding="utf-8")
    sys.exit(EXIT_STATUS)


def last_word(folder: Path) -> None:
    """Repeat why a worker refused to start, since gunicorn's own output follows the worker's message.

    Args:
        folder: of the workers' metrics.
    """
    with suppress(FileNotFoundError):
        print(Path(folder, _FILE).read_text(encoding="utf-8"), file=sys.stderr)
