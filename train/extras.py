"""Packages that only some commands need."""

from __future__ import annotations

import importlib.util

from model.errors import ConfigError


def require(*modules: str, what: str) -> None:
    """Check that packages of requirements-eval.txt are installed before a long command starts.

    Args:
        modules: their import names.
        what: what needs them, to start a sentence with.

    Raises:
        ConfigError: one is not installed.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{what} needs {' and '.join(missing)}, which is not installed.",
            hint="Install them: pip install -r requirements-eval.txt",
        )
