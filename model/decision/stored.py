"""Small parts of a checkpoint beside its weights: tensors and a few values in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from model.errors import CheckpointError
from model.files import atomic_path
from model.text import parse_json
from model.weights import parse_weights


def store(path: Path, what: str, tensors: dict[str, NDArray[np.floating]], values: dict[str, Any]) -> None:
    """Writes the file, whole or not at all.

    Args:
        path: of the file.
        what: it is, for errors, such as "detector".
        tensors: floating-point numbers.
        values: what JSON can hold.

    Raises:
        CheckpointError: a number is not finite, or no floating-point number.
    """
    check_numbers(path, what, tensors)
    metadata = {name: json.dumps(value, allow_nan=False) for name, value in values.items()}
    with atomic_path(path) as partial:
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, partial, metadata)
        partial.chmod(0o644)  # safetensors leaves it unreadable for other users


def parse_stored(
    data: bytes, path: Path, what: str, *, tensors: tuple[str, ...], values: tuple[str, ...]
) -> dict[str, Any]:
    """The named tensors and values of what ``store`` wrote; the path names it in errors.

    Raises:
        CheckpointError: it is damaged, lacks one of them, or a number is not finite.
    """
    try:
        found = parse_weights(data, path)
        header = parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
        parts: dict[str, Any] = {name: found[name] for name in tensors}
        known = {name: parse_json(header["__metadata__"][name].encode()) for name in values}
    except CheckpointError as error:
        raise unreadable(path, what, error.message) from error
    except (KeyError, ValueError) as error:
        words = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise unreadable(path, what, words) from error
    check_numbers(path, what, parts)
    return parts | known


def check_numbers(path: Path, what: str, tensors: dict[str, Any]) -> None:
    """Raises ``CheckpointError`` if not all of the tensors are finite floating-point numbers."""
    for name, values in tensors.items():
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise unreadable(path, what, f"not all of {name} are finite floating-point numbers")


def unreadable(path: Path, what: str, problem: str) -> CheckpointError:
    """The error for a file that cannot be used."""
    return CheckpointError(
        f"{path} is not a readable {what} ({problem.rstrip('.')}).", hint="Fetch the checkpoint again."
    )
