"""The commands of ``python -m app review``, in the environment of the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import Settings
from model.errors import ConfigError

if TYPE_CHECKING:
    from app.review.store import Store


def key(file: Path) -> None:
    """Put a new encryption key before the others in a file; made if needed.

    Args:
        file: REVIEW_KEY_FILE of the service.
    """
    from app.review.cipher import add_key

    count = add_key(file)
    keys = "1 key" if count == 1 else f"{count} keys"
    print(f"{file} has {keys}. Keep a copy: without it no picture can be read.")


def rotate() -> None:
    """Encrypt everything again with the newest key; then the others may be removed from the file."""
    store, _ = _opened()
    print(f"{store.rotate()} cases are encrypted with the newest key.")


def purge() -> None:
    """Delete the cases that are older than REVIEW_DAYS; the server does it at every start."""
    store, days = _opened()
    print(f"{store.purge(days)} cases were deleted.")


def delete(case: str) -> None:
    """Delete one case with its picture and readings, for example when consent is withdrawn.

    Args:
        case: its id, which whoever sent the picture was told.
    """
    store, _ = _opened()
    store.delete(case)


def export(folder: Path) -> None:
    """Write the settled cases as parquet for `python -m train`, with an audit trail; pictures in the clear.

    Args:
        folder: created if needed.
    """
    from app.review.export import export as write

    store, _ = _opened()
    print(f"{write(store, folder)} cases were written to {folder}.")


def _opened() -> tuple[Store, int]:
    from app.review.store import Store

    settings = Settings.from_environment(default_port=8000)
    if settings.review is None or settings.review_key_file is None:
        raise ConfigError("REVIEW is not set.", hint="Run this with the variables of the server.")
    return Store(settings.review, settings.review_key_file), settings.review_days
