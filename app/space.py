"""Uploads the app to a Hugging Face Space: ``python -m app.space ORG/NAME``, ``make space REPO=ORG/NAME``."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi

from model.checkpoint import FILES, load
from model.errors import ConfigError, SkinDiseaseNetError

ROOT = Path(__file__).resolve().parent.parent
CHECKPOINT = "checkpoints/skin22"
UPLOADED = (
    "app/*.py",
    "app/*.css",
    "app/*.js",
    "app/web/*",
    "model/*.py",
    "model/*.json",
    "space_app.py",
    "requirements.txt",
    "README.md",
    "LICENSE",
    *(f"{CHECKPOINT}/{name}" for name in FILES),
)
"""What travels, as patterns: the app and its checkpoint; no tests, no training code, no data, no runs."""

NOT_UPLOADED = ("*__pycache__*", "*/.*", "*.pyc")

_EXPECTED = {"sdk": "gradio", "app_file": "space_app.py"}
_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


def check(root: Path) -> None:
    """Makes sure that the folder would run as a Space.

    Raises:
        ConfigError: the README's front matter does not fit, or a file is missing.
        CheckpointError: the checkpoint is broken.
    """
    missing = [
        name for name in ("space_app.py", "requirements.txt", "README.md") if not (root / name).is_file()
    ]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} is missing in {root}.",
            hint="Run this in a complete copy of the repository.",
        )
    check_front_matter((root / "README.md").read_text(encoding="utf-8"))
    load(root / CHECKPOINT)


def check_front_matter(readme: str) -> None:
    """Makes sure that a Space understands the block between two ``---`` lines at the top of the README.

    Raises:
        ConfigError: it is missing, or a value is wrong; the message names it.
    """
    found = re.match(r"---\r?\n(.*?\n)---\r?\n", readme, re.DOTALL)
    try:
        values: Any = yaml.safe_load(found.group(1)) if found else None
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        raise ConfigError(
            "README.md does not start with the front matter of a Space.",
            hint="Start it with a block between two lines --- naming title, sdk, sdk_version and app_file.",
        )
    wrong = [f"{key} must be {value}" for key, value in _EXPECTED.items() if values.get(key) != value]
    wrong += [f"{key} is missing" for key in ("title", "sdk_version") if not values.get(key)]
    if values.get("sdk_version") and not re.fullmatch(r"\d+\.\d+\.\d+", str(values["sdk_version"])):
        wrong.append("sdk_version must be a full version such as 6.31.0")
    wrong += [
        f"{key} must be one of {', '.join(_COLOURS)}"
        for key in ("colorFrom", "colorTo")
        if values.get(key, "gray") not in _COLOURS
    ]
    if wrong:
        raise ConfigError(
            f"README.md's front matter does not fit a Space: {'; '.join(wrong)}.", hint="Correct README.md."
        )


def push(repo_id: str, *, root: Path = ROOT) -> str:
    """Uploads the app and its checkpoint, after checking both; the Space is made if needed.

    Args:
        repo_id: ``ORG/NAME``.
        root: the repository.

    Returns:
        The new commit's address.

    Raises:
        ConfigError, CheckpointError: something does not fit, or the Hub refuses it.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id):
        raise ConfigError(f"{repo_id!r} is no name of a Space.", hint="Name it as ORG/NAME.")
    check(root)
    api = HfApi()
    try:
        api.create_repo(repo_id, repo_type="space", space_sdk="gradio", exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type="space",
            folder_path=root,
            allow_patterns=list(UPLOADED),
            ignore_patterns=list(NOT_UPLOADED),
            commit_message="Upload app and checkpoint",
        )
    except Exception as error:  # The client lets errors of its HTTP library and of its threads through.
        raise ConfigError(
            f"The Hub did not take the Space {repo_id} ({type(error).__name__}: {error}).",
            hint="Check the name and the connection, and sign in with `hf auth login` or HF_TOKEN.",
        ) from error
    return str(commit)


def main(arguments: list[str] | None = None) -> int:
    """Uploads; returns 1 and says why if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m app.space", description=__doc__)
    parser.add_argument("repo_id", metavar="ORG/NAME")
    options = parser.parse_args(arguments)
    try:
        print(push(options.repo_id))
    except SkinDiseaseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
