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
    """Provide a hidden path beside ``path`` to write to; it is renamed to ``path`` if the block succeeds.

    A reader sees either the old file or the new one, even if the process or the machine crashes. The hidden
    name has the same suffix as ``path``, and no two writers share it.

    Raises:
        ConfigError: the disk is full, or the folder cannot be created or written to; the old file stays.
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
            hint="Free some disk space, or choose a folder that can be written to.",
            code="cannot_write",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 atomically; raises the errors of ``atomic_path``."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically; raises the errors of ``atomic_path``.

    Raises:
        DataError: a number is not finite, which JSON cannot represent.
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
    """Read a text file, in any encoding that ``model.text.decoded`` knows.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    return decoded(_read_bytes(path))


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object with at least these keys.

    Raises:
        DataError: the file cannot be read, is not a JSON object, or lacks a key.
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
    """Remove the unfinished files of killed writers from a folder that nobody is writing to."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
