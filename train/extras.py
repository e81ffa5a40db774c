"""Packages that only some commands need."""

from __future__ import annotations

import importlib.util

from model.errors import ConfigError


def require(*modules: str, what: str) -> None:
    """Checks that packages of requirements-eval.txt are there before a long command begins.

    Args:
        modules: names as they are imported.
        what: what needs them, to begin a sentence with.

    Raises:
        ConfigError: one is not installed.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{what} needs {' and '.join(missing)}, not installed here.",
            hint="Install them: pip install -r requirements-eval.txt",
        )
