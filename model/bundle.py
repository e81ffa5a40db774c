"""The code that is uploaded with a model: to a Space, or for an Inference Endpoint."""

from __future__ import annotations

import re
from pathlib import Path

from model.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]

_PACKAGES = ("app", "model")
_CODE = (
    *(".css", ".html", ".js", ".json", ".md", ".mjs", ".po", ".py", ".svg"),
    *(".ttf", ".txt", ".webmanifest", ".woff2", ".xz"),
)
_STATIC = (*_CODE, ".ico", ".png", ".webp")
_ELSEWHERE = (
    "accelerate",
    "anyio",
    "datasets",
    "flask",
    "flask-limiter",
    "gradio",
    "gunicorn",
    "jinja2",
    "jsonargparse",
    "markdown-it-py",
    "markupsafe",
    "prometheus-client",
    "pyarrow",
    "pytest",
    "redis",
    "reportlab",
    "scikit-learn",
    "scipy",
    "starlette",
    "tensorboard",
    "uharfbuzz",
    "uvicorn",
    "werkzeug",
)
"""Packages of the front ends and of training, which an endpoint does not need."""


def code_files(root: Path = ROOT) -> dict[str, Path]:
    """All code needed to serve: path in the repository → file.

    File types are allow-listed, and pictures only in ``static`` folders, so that stray photographs or weight
    files are never uploaded.
    """
    found = {}
    for file in sorted(file for package in _PACKAGES for file in (root / package).rglob("*")):
        parts = file.relative_to(root).parts
        hidden = any(part.startswith((".", "__pycache__")) for part in parts)
        kinds = _STATIC if "static" in parts else _CODE
        if file.is_file() and not hidden and file.suffix in kinds:
            found["/".join(parts)] = file
    return found


def other_files(*names: str, root: Path = ROOT) -> dict[str, Path]:
    """The named files in the root of the repository.

    Raises:
        ConfigError: one is missing.
    """
    if missing := [name for name in names if not (root / name).is_file()]:
        raise ConfigError(
            f"{', '.join(missing)} is missing in {root}.",
            hint="Run this in a complete copy of the repository.",
        )
    return {name: root / name for name in names}


def endpoint_requirements(text: str) -> str:
    """The lines of ``requirements.txt`` that the predictor needs."""
    lines = (line for line in text.splitlines() if not line.startswith(("#", "-")))
    kept = [line for line in lines if re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() not in _ELSEWHERE]
    return "\n".join(kept) + "\n"
