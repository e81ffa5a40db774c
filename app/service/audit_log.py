"""The audit trail: who asked and what was answered; never a picture, a file name or an address."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import stat
from collections.abc import Iterator
from typing import Any

from app.service.logs import now
from model.errors import ConfigError

logger = logging.getLogger(__name__)


class AuditLog:
    """Adds lines of JSON to a file or to the standard output.

    The file is opened for each line: one that was moved away (by logrotate, say) is made anew. It is locked
    while a line is added, so that those of several workers do not mix. A line that does not fit on the disk
    is taken back, and one whose writer was killed in the middle is closed before the next.

    Args:
        destination: a path, or ``-`` for the standard output.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._torn = False
        try:
            with self._opened():
                pass
        except OSError as error:
            raise ConfigError(
                f"The audit log {destination} cannot be written ({error.strerror}).",
                hint="Correct AUDIT_LOG.",
            ) from error

    def write(self, **fields: Any) -> bool:
        """Adds one line, with the time.

        Returns:
            Whether it is written; where it is not, the log says why.
        """
        line = json.dumps({"time": now(), **fields}, allow_nan=False) + "\n"
        try:
            with self._opened() as descriptor:
                self._append(descriptor, line.encode())
        except OSError as error:
            logger.error("An audit line could not be written (%s).", error.strerror)
            return False
        return True

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        if self._destination == "-":
            yield 1
            return
        descriptor = os.open(self._destination, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int, line: bytes) -> None:
        """All of the line or nothing, on a line of its own."""
        state = os.fstat(descriptor)
        # What went into a pipe cannot be taken back, and the standard output is not ours alone.
        ours = self._destination != "-" and stat.S_ISREG(state.st_mode)
        if ours:
            torn = state.st_size > 0 and os.pread(descriptor, 1, state.st_size - 1) != b"\n"
        else:
            torn = self._torn
        try:
            _write_all(descriptor, b"\n" + line if torn else line)
        except OSError:
            self._torn = True
            if ours:
                with contextlib.suppress(OSError):  # a file that may only grow: the next line closes this one
                    os.ftruncate(descriptor, state.st_size)
            raise
        self._torn = False


def _write_all(descriptor: int, data: bytes) -> None:
    """As ``os.write``, which a full disk or pipe cuts short once before it fails."""
    while data:
        data = data[os.write(descriptor, data) :]
