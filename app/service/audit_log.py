"""The audit log: who asked and what the result was; never a picture, a file name or an address."""

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
    """Appends lines of JSON to a file or to standard output.

    The file is opened for each line: if it was moved (by logrotate, say), a new one is created. It is locked
        while a line is appended, so that lines of several workers do not mix. A line that does not fit on the
        disk is removed again, and a partial line of a killed writer is ended before the next one.

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
        """Append one line, with the time.

        Returns:
            Whether it was written; if not, the log says why.
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
        """Write the whole line or nothing, on a line of its own."""
        state = os.fstat(descriptor)
        # A pipe cannot be rolled back, and standard output is shared.
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
                with contextlib.suppress(OSError):  # an append-only file: the next line ends this one
                    os.ftruncate(descriptor, state.st_size)
            raise
        self._torn = False


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes; ``os.write`` may write only part of them before it fails on a full disk or pipe."""
    while data:
        data = data[os.write(descriptor, data) :]
