"""Example pictures for visitors without a photo: drawn ones, or those of a folder or data set."""

from __future__ import annotations

import csv
import dataclasses
import glob
import io
from pathlib import Path

from huggingface_hub import snapshot_download

from app.pages import drawn
from app.pages.language import N_
from model.errors import ConfigError, ImageError
from model.image import MAX_BYTES, read_image

METADATA = "metadata.csv"
COLUMNS = ("file_name", "title", "licence", "credit")
MAX_EXAMPLES = 24

_HINT = f"EXAMPLES names a folder with pictures and a {METADATA} that has the columns {', '.join(COLUMNS)}."


@dataclasses.dataclass(frozen=True)
class Example:
    """A picture to try.

    Attributes:
        title: what it shows.
        data: the encoded picture.
        licence: the licence under which it may be shown.
        credit: who made it.
    """

    title: str
    data: bytes
    licence: str
    credit: str


def load_examples(reference: str | None) -> tuple[Example, ...]:
    """Load the examples that the setting ``EXAMPLES`` names.

    Args:
        reference: None for the pictures drawn by code; a folder; or a Hub data set as ``ORG/NAME@REVISION``.
            A folder or data set holds pictures and ``metadata.csv`` with the columns ``file_name, title,
            licence, credit``, the image folder format of `datasets`.

    Raises:
        ConfigError: a folder, file, column, title, licence or credit is missing, or a picture cannot be read.
    """
    if reference is None:
        return _drawn()
    folder = Path(reference)
    if folder.is_dir():
        entries = _entries(folder)
    else:
        folder = _fetch(reference, METADATA)
        entries = _entries(folder)
        folder = _fetch(reference, *(entry["file_name"] for entry in entries))
    return tuple(_example(folder, entry) for entry in entries)


def _drawn() -> tuple[Example, ...]:
    light, brown = drawn.skin(drawn.LIGHT), drawn.skin(drawn.BROWN)
    mole = drawn.finished(drawn.spot(light, (70, 42, 32), radius=28, uneven=0.05))
    pictures = (
        (N_("A small round mole"), mole),
        (
            "A rash without clear edges",
            drawn.finished(drawn.spot(brown, (196, 92, 84), radius=110, uneven=0.2, edge=14, strength=0.8)),
        ),
        (N_("A mole of several colours"), drawn.finished(drawn.uneven_mole(light))),
        (
            "Pale patches",
            drawn.finished(
                drawn.spot(
                    drawn.spot(brown, (205, 170, 140), radius=44, uneven=0.1),
                    (60, 40, 30),
                    at=(150, 250),
                    radius=3,
                    edge=2,
                )
            ),
        ),
        (N_("The small mole, in the dark"), drawn.darkened(mole)),
        (N_("Plain skin, nothing on it"), drawn.finished(light)),
        (N_("A landscape, no skin at all"), drawn.landscape()),
    )
    examples = []
    for title, picture in pictures:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        examples.append(Example(title, buffer.getvalue(), "Apache-2.0", N_("Drawn by this program")))
    return tuple(examples)


def _fetch(reference: str, *names: str) -> Path:
    """Fetch these files of a Hub data set; return their folder."""
    name, _, revision = reference.partition("@")
    if reference.startswith(("/", ".")) or reference.count("/") != 1 or not revision:
        raise ConfigError(
            f"EXAMPLES is {reference!r}, which is neither a folder nor a Hub data set with its revision.",
            hint="Name a folder, or a data set as ORG/NAME@COMMIT.",
        )
    patterns = [glob.escape(wanted) for wanted in names]
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=patterns))
    except Exception as error:  # errors of the client, the HTTP library and the disk share no base class
        raise ConfigError(
            f"The data set {name} at revision {revision} of EXAMPLES cannot be fetched "
            f"({type(error).__name__}).",
            hint="Check the spelling, the revision and the connection; a private data set needs HF_TOKEN.",
        ) from error


def _entries(folder: Path) -> list[dict[str, str]]:
    """Read and check the lines of ``metadata.csv``."""
    path = folder / METADATA
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}).", hint=_HINT) from error
    if not 1 <= len(lines) <= MAX_EXAMPLES:
        raise ConfigError(f"{path} has {len(lines)} lines; 1 to {MAX_EXAMPLES} are expected.", hint=_HINT)
    for number, line in enumerate(lines, start=1):
        missing = [column for column in COLUMNS if not (line.get(column) or "").strip()]
        if missing:
            raise ConfigError(f"{path}, picture {number}: {', '.join(missing)} is missing.", hint=_HINT)
        name = Path(line["file_name"])
        if name.is_absolute() or ".." in name.parts:
            raise ConfigError(f"{path} names {line['file_name']!r}, outside its folder.", hint=_HINT)
    return lines


def _example(folder: Path, entry: dict[str, str]) -> Example:
    path = folder / entry["file_name"]
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        read_image(data)
    except (OSError, ImageError) as error:
        raise ConfigError(f"The example {path} cannot be used: {error}", hint=_HINT) from error
    return Example(entry["title"].strip(), data, entry["licence"].strip(), entry["credit"].strip())
