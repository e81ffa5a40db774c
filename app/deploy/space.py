"""Uploads the app to a Space: ``python -m app.deploy.space ORG/NAME``, or ``make space REPO=ORG/NAME``.

It serves the checkpoint that CHECKPOINT names: a folder is uploaded, ORG/NAME@REVISION is fetched by the
Space.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from app.settings import EMBEDDED_CHECKPOINT
from model import hub
from model.bundle import ROOT, code_files, other_files
from model.checkpoint import files as checkpoint_files
from model.checkpoint import load
from model.errors import ConfigError, SkinDiseaseNetError
from model.hub import is_reference

_EXPECTED = {"sdk": "gradio", "app_file": "space_app.py"}
_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


def space_files(root: Path = ROOT) -> dict[str, Path]:
    """The files that a Space needs besides the checkpoint: path in the Space → local file.

    Raises:
        ConfigError: the README's front matter is not valid, or a file is missing.
    """
    top = other_files("space_app.py", "requirements.txt", "README.md", "LICENSE", root=root)
    check_front_matter(top["README.md"].read_text(encoding="utf-8"))
    return {**code_files(root), **top}


def check_front_matter(readme: str) -> None:
    """Check the front matter of the README, the block between two ``---`` lines that a Space reads.

    Raises:
        ConfigError: it is missing, or a value is not valid; the message names it.
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
            f"README.md's front matter is not valid for a Space: {'; '.join(wrong)}.",
            hint="Correct README.md.",
        )


def push(repo_id: str, *, checkpoint: str, root: Path = ROOT) -> hub.Upload:
    """Check and upload the app, and set which checkpoint the Space serves; creates the Space if needed.

    Args:
        repo_id: ``ORG/NAME``.
        checkpoint: a folder, which is uploaded; or ``ORG/NAME@REVISION``, which the Space will fetch.
        root: the repository.

    Raises:
        ConfigError, CheckpointError, HubError: something is not valid, or the Hub refuses it.
    """
    files = dict(space_files(root))
    loaded = load(checkpoint)
    if is_reference(checkpoint):
        served = f"{loaded.id}@{loaded.revision}"
    else:
        served = f"checkpoints/{loaded.id}"
        files |= {f"{served}/{name}": file for name, file in checkpoint_files(loaded.folder).items()}
    return hub.upload(
        repo_id,
        files,
        kind="space",
        message=f"Upload the app for {served}",
        replaces=["app/*", "model/*", "checkpoints/*"],
        variables={"CHECKPOINT": served},
    )


def main(arguments: list[str] | None = None) -> int:
    """Upload; returns 1 after printing an error."""
    parser = argparse.ArgumentParser(prog="python -m app.deploy.space", description=__doc__)
    parser.add_argument("repo_id", metavar="ORG/NAME")
    options = parser.parse_args(arguments)
    try:
        done = push(options.repo_id, checkpoint=os.environ.get("CHECKPOINT") or EMBEDDED_CHECKPOINT)
    except SkinDiseaseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Published: {done.url}", file=sys.stderr)
    print(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
