"""Checks which files an exported graph may be loaded from, since a graph can compute anything."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from model.files import atomic_path

IMAGES, LOGITS, FEATURES = "images", "logits", "features"
"""The names of a graph's input and outputs."""


def distrust(folder: Path) -> str | None:
    """Why graphs in a folder may have been written by others; None if they cannot, or it does not exist."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return str(error.strerror)
    if _ours(found):
        return None
    return f"others may write to it: its owner is {found.st_uid}, its mode {stat.S_IMODE(found.st_mode):04o}"


def is_whole(graph: Path) -> bool:
    """Whether a graph exists, can only have been written by this user or root, and matches its digest."""
    try:
        with open(os.open(graph, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            return (
                stat.S_ISREG(found.st_mode)
                and _ours(found)
                and _digest_file(graph).read_bytes() == _digest_line(graph.name, file)
            )
    except OSError:
        return False


@contextmanager
def kept(graph: Path) -> Iterator[Path]:
    """Gives a path to write a graph to, which becomes ``graph``, with its digest beside it for ``is_whole``.

    Raises:
        ConfigError: it cannot be written.
    """
    digest = _digest_file(graph)
    with atomic_path(graph) as written, atomic_path(digest) as said:
        yield written
        with open(written, "rb") as file:
            said.write_bytes(_digest_line(graph.name, file))
        for made in (written, said):
            made.chmod(0o644)


def _ours(found: os.stat_result) -> bool:
    """Whether nobody but this user and root can write to it."""
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022


def _digest_file(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}.sha256")


def _digest_line(name: str, content: BinaryIO) -> bytes:
    """The line in ``sha256sum`` format; with the name, so that it fits no other checkpoint's graph."""
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return f"{digest.hexdigest()}  {name}\n".encode()
