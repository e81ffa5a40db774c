"""Files: written whole or not at all, read with errors that say what is wrong."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from model.errors import ConfigError, DataError
from model.text import decoded, parse_json

_PARTIAL = ".partial-"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a hidden path beside ``path`` to write to, and moves it there when the block ends well.

    A reader sees the old file or the new one, whenever the process or the machine dies. The hidden name ends
    as ``path`` does, and no two writers share it.

    Raises:
        ConfigError: the disk is full, or the folder cannot be made or written to; the old file stays.
    """
    partial = _hidden(path)
    try:
        with _said(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            _flush(partial)
            os.replace(partial, path)
            _flush(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Gives a hidden, empty folder beside ``path`` to fill, which takes its place when the block ends well.

    For files that belong together: a reader meets all of the old ones or all of the new ones. A process that
    dies between the two renames that this takes leaves both beside ``path``, the old folder as ``.old-*``.

    Raises:
        ConfigError: the disk is full, or the folder cannot be made or written to; the old one stays.
    """
    partial = _hidden(path)
    try:
        with _said(path):
            partial.mkdir(parents=True)
            yield partial
            for made in (*partial.iterdir(), partial):
                _flush(made)
            old = path.with_name(partial.name.replace(_PARTIAL, ".old-", 1))
            if path.exists():
                os.rename(path, old)
            os.rename(partial, path)
            _flush(path.parent)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _hidden(path: Path) -> Path:
    return path.with_name(f"{_PARTIAL}{secrets.token_hex(4)}-{path.name}")


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Says in plain words why ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror or error}).",
            hint="Make room on the disk, or choose a place that can be written to.",
            code="cannot_write",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all; raises as ``atomic_path`` does."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON, whole or not at all; raises as ``atomic_path`` does.

    Raises:
        DataError: a number is not finite, which JSON has no word for.
    """
    try:
        text = json.dumps(content, indent=2, allow_nan=False)
    except ValueError as error:
        raise DataError(
            f"A figure for {path} is not a finite number.",
            hint="Look for numbers that are not finite in the checkpoint and in the data.",
        ) from error
    write_text(path, text + "\n")


def read_text(path: Path) -> str:
    """The text of a file that fits into memory, in any encoding that ``model.text.decoded`` knows.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    return decoded(_read_bytes(path))


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """The JSON object that a file holds, with at least these keys.

    Raises:
        DataError: the file cannot be read, holds no JSON object, or lacks a key.
    """
    data = _read_bytes(path)
    try:
        values = parse_json(data)
        if not isinstance(values, dict):
            raise ValueError(f"it holds a {type(values).__name__}, not an object")
    except ValueError as error:
        raise DataError(
            f"{path} is not JSON as expected ({error}).",
            hint="Write it again with the command that makes it.",
        ) from error
    if missing := [key for key in keys if key not in values]:
        raise DataError(
            f"{path} has no {', '.join(missing)}.", hint="Write it again with the command that makes it."
        )
    return values


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", hint="Check the path.") from error


def remove_unfinished(folder: Path) -> None:
    """Removes what killed writers have left in a folder that nobody writes to now."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
