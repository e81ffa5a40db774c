"""Why a server did not start, as the last line that it says."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from model.errors import SkinDiseaseNetError

EXIT_STATUS = 4
"""gunicorn reads it as "do not try again"; after any other it starts the worker over for ever."""

_FILE = "refusal"


def refuse_to_start(error: SkinDiseaseNetError) -> NoReturn:
    """Ends the process with the error in words; a worker of gunicorn leaves them for ``last_word``."""
    line = f"error: {error}"
    print(line, file=sys.stderr)
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder and os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
        with suppress(OSError):  # it has been said once
            Path(folder, _FILE).write_text(line, encoding="utf-8")
    sys.exit(EXIT_STATUS)


def last_word(folder: Path) -> None:
    """Says again why a worker refused to start: gunicorn's own lines come after what the worker said.

    Args:
        folder: in which the workers' metrics meet.
    """
    with suppress(FileNotFoundError):
        print(Path(folder, _FILE).read_text(encoding="utf-8"), file=sys.stderr)
