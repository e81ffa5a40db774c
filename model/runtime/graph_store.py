"""Which files an exported graph may be taken from: a graph computes whatever it says, under any revision."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

IMAGES, LOGITS, FEATURES = "images", "logits", "features"
"""The names of a graph's input and outputs."""


def distrust(folder: Path) -> str | None:
    """Why graphs in a folder may be somebody else's work; None where they cannot, or it is not there."""
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
    """Whether a graph is there, the work of nobody but this user or root, and as its digest says."""
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


def keep(graph: Path, folder: Path) -> None:
    """Moves a graph into a folder, and writes its digest beside it, so that ``is_whole`` is true of it there.

    Raises:
        OSError: it cannot be moved.
    """
    with open(graph, "rb") as file:
        _digest_file(graph).write_bytes(_digest_line(graph.name, file))
        os.fsync(file.fileno())
    for made in (_digest_file(graph), graph):
        made.chmod(0o644)
        os.replace(made, folder / made.name)


def _ours(found: os.stat_result) -> bool:
    """Whether nobody but this user and root can write to it."""
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022


def _digest_file(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}.sha256")


def _digest_line(name: str, content: BinaryIO) -> bytes:
    """As ``sha256sum`` writes and checks it; with the name, so that it fits no other checkpoint's graph."""
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return f"{digest.hexdigest()}  {name}\n".encode()
