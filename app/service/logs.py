"""Logs as JSON, one object per line, each with the id of its request."""

from __future__ import annotations

import json
import logging
import re
import secrets
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the current request, set by the web app."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def take_request_id(proposed: str | None) -> str:
    """Use the id that a caller proposed if it is 8 to 64 letters, digits, dots or dashes; else a new one."""
    taken = proposed if proposed and _WELL_FORMED.fullmatch(proposed) else secrets.token_hex(8)
    request_id.set(taken)
    return taken


def now() -> str:
    """The time in UTC to the millisecond, in ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with the entries of ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": now(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, allow_nan=False)


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True},
        # These would log addresses; the app logs one line per request itself.
        "gunicorn.access": {"level": "CRITICAL", "propagate": False},
        "flask-limiter": {"level": "ERROR"},
        "werkzeug": {"level": "WARNING"},
    },
}
"""For ``dictConfig`` and gunicorn's ``logconfig_dict``: everything goes to standard error."""
