"""``push``: upload a checkpoint folder as a model repository to the Hub."""

from __future__ import annotations

from pathlib import Path

import yaml
from huggingface_hub import ModelCard

from model import checkpoint, hub
from model.bundle import code_files, endpoint_requirements, other_files
from model.errors import CheckpointError

_WANTED = {"license": "a licence", "library_name": "the library", "model-index": "measured results"}


def push(
    folder: str | Path, repo_id: str, *, private: bool = False, with_handler: bool = False
) -> hub.Upload:
    """Upload a checkpoint in one commit, after loading it, so that nothing broken is published.

    Args:
        folder: the checkpoint; only its own files are uploaded.
        repo_id: ``ORG/NAME``, created if needed.
        private: a new repository is private; one that exists must be.
        with_handler: also upload the code that an Inference Endpoint runs.

    Raises:
        CheckpointError: the folder is not a valid checkpoint, or its card lacks metadata.
        HubError: the Hub refuses.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"There is no folder {folder}.", hint="Name the folder that training wrote.")
    loaded = checkpoint.load(folder)
    files: dict[str, Path | bytes] = dict(checkpoint.files(folder))
    check_card(loaded.card(), folder)
    replaces = ["*.safetensors"]
    if with_handler:
        requirements = other_files("requirements.txt")["requirements.txt"].read_text(encoding="utf-8")
        files |= {**code_files(), **other_files("handler.py", "LICENSE")}
        files["requirements.txt"] = endpoint_requirements(requirements).encode()
        replaces += ["app/*", "model/*"]
    message = f"Upload {'checkpoint and code' if with_handler else 'checkpoint'} {loaded.revision}"
    return hub.upload(repo_id, files, kind="model", message=message, private=private, replaces=replaces)


def check_card(text: str, folder: Path) -> None:
    """Make sure that a published card has the required metadata.

    Raises:
        CheckpointError: its front matter is broken, or names no licence, library or results.
    """
    try:
        card = ModelCard(text) if text else None
        values = card.data.to_dict() if card else {}
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise CheckpointError(
            f"The front matter of {folder / checkpoint.CARD} cannot be read ({type(error).__name__}).",
            hint="Correct it, or write the card again with `python -m train card`.",
        ) from error
    if lacking := [text for name, text in _WANTED.items() if not values.get(name)]:
        raise CheckpointError(
            f"The front matter of {folder / checkpoint.CARD} lacks {', '.join(lacking)}.",
            hint="Measure with `python -m train evaluate`, then write the card with "
            "`python -m train card --checkpoint ... --run ... --notes FILE.md --metrics ...`; "
            "the licence is in the front matter of the notes.",
        )
