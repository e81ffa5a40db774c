"""The audit trail: who asked and what was answered; never a picture, a file name or an address."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

from app.logs import now
from model.errors import ConfigError

logger = logging.getLogger(__name__)


class AuditLog:
    """Adds lines of JSON to a file or to the standard output.

    The file is opened for each line: one that was moved away (by logrotate, say) is made anew. A line is one
    write: those of several workers do not mix.

    Args:
        destination: a path, or ``-`` for the standard output.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, destination: str) -> None:
        self._destination = destination
        try:
            with self._opened():
                pass
        except OSError as error:
            raise ConfigError(
                f"The audit log {destination} cannot be written ({error.strerror}).",
                hint="Correct AUDIT_LOG.",
            ) from error

    def write(self, **fields: Any) -> None:
        """Adds one line, with the time. If that fails, the log says so; the answer still goes out."""
        line = json.dumps({"time": now(), **fields}, allow_nan=False) + "\n"
        try:
            with self._opened() as descriptor:
                os.write(descriptor, line.encode())
        except OSError as error:
            logger.error("An audit line could not be written (%s).", error.strerror)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        if self._destination == "-":
            yield 1
            return
        descriptor = os.open(self._destination, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
