"""List the files below a local folder."""

from __future__ import annotations

import os
import stat
from collections import deque


def walk(root: str) -> list[tuple[str, int]]:
    """Path below the root (with ``/`` separators) and size in bytes of each file, sorted.

    Links are followed, but each real folder is listed once: under its own name if that is below the root,
        else under the first link to it. A broken link is listed with size 0; pipes, sockets, devices and
        names that begin with a dot are skipped.

    Args:
        root: a folder; names need not be UTF-8.

    Raises:
        OSError: a folder cannot be listed.
    """
    found: list[tuple[str, int]] = []
    seen: set[tuple[int, int]] = set()
    links = deque([""])
    while links:
        folders, linked = [links.popleft()], []
        while folders:
            below = folders.pop()
            folder = os.path.join(root, below)
            real = os.stat(folder)
            if (real.st_dev, real.st_ino) in seen:
                continue
            seen.add((real.st_dev, real.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = f"{below}/{entry.name}".lstrip("/")
                    if entry.name.startswith("."):
                        continue
                    if not _is_folder(entry):
                        found += _file(path, entry)
                    elif entry.is_symlink():
                        linked.append(path)
                    else:
                        folders.append(path)
        links.extend(sorted(linked))
    return sorted(found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(path: str, entry: os.DirEntry[str]) -> list[tuple[str, int]]:
    try:
        found = entry.stat()
    except OSError:
        return [(path, 0)]
    return [(path, found.st_size)] if stat.S_ISREG(found.st_mode) else []
