"""Picture files in folders: finding them, naming them, and detecting masks."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from tqdm import tqdm

from model.errors import DataError, ImageError
from model.image import SUFFIXES, read_image

_MASK = re.compile(r"(?P<photo>.+)[ _-](mask|seg|segmentation)", re.IGNORECASE)
_URI = "file://"


def pictures(folder: Path) -> Iterator[Path]:
    """The picture files below a folder, sorted; linked folders are followed, hidden ones are skipped.

    A broken link to a picture counts as a picture that cannot be read.

    Raises:
        DataError: a folder cannot be listed, or a link to a folder is broken.
    """
    found = _files(folder, (os.path.realpath(folder),))
    yield from sorted(tqdm(found, desc="look for pictures", unit="file", delay=2, leave=False))


def _files(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"The folder {shown(folder)} cannot be listed ({error.strerror}).", hint="Check its permissions."
        ) from error
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith("."):  # a Mac's "._NAME.jpg"
            continue
        if entry.is_dir():
            real = os.path.realpath(path)
            if real in above:
                tqdm.write(f"{shown(path)} is a link back to a folder above it, and is skipped.")
            else:
                yield from _files(path, (*above, real))
        elif path.suffix.lower() in SUFFIXES:
            if entry.is_file() or entry.is_symlink():
                yield path
        elif entry.is_symlink() and not path.exists():
            raise DataError(
                f"{shown(path)} is a link to {os.readlink(path)}, which does not exist.",
                hint="Repair or remove the link.",
            )


def image_of(path: Path) -> dict[str, Any]:
    """A picture file for the column ``image``; a name that is not UTF-8 becomes a ``file://`` URI."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = Path(os.path.abspath(path)).as_uri()
    return {"bytes": None, "path": text}


def path_of(text: str) -> Path:
    """The file that ``image_of`` named."""
    return (
        Path(os.fsdecode(unquote_to_bytes(text.removeprefix(_URI)))) if text.startswith(_URI) else Path(text)
    )


def shown(path: Path | str) -> str:
    """A path or name as printable text: bytes that are not UTF-8 become ``\\\\xE9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def by_stem(folder: Path) -> dict[str, list[Path]]:
    """The picture files below a folder, by name without extension."""
    found: dict[str, list[Path]] = {}
    for file in pictures(folder):
        found.setdefault(shown(file.stem), []).append(file)
    return found


def the_one(files: Sequence[Path]) -> Path:
    """The first of several files with one name if they are identical; else raises ``DataError``."""
    first, *others = files
    for other in others:
        if not filecmp.cmp(first, other, shallow=False):
            raise DataError(
                f"{shown(first)} and {shown(other)} have one name, but only one of them can be the photo.",
                hint="Move masks and other versions of the pictures out of the folder.",
            )
    return first


def refuse_masks(folder: Path, files: Iterable[Path]) -> None:
    """Raise ``DataError`` if a mask is next to its photo and would be taken for another picture.

    A mask has the photo's name with another extension, or with ``_mask`` or ``_segmentation`` appended, and
    contains only black and white. Subfolders of ``SPLIT/CLASS/`` count as the same folder.
    """
    beside: dict[tuple[tuple[str, ...], str], list[Path]] = {}
    for file in files:
        place = file.relative_to(folder).parts[:-1][:2]
        mask = _MASK.fullmatch(file.stem)
        beside.setdefault((place, file.stem), []).append(file)
        if mask:
            beside.setdefault((place, mask["photo"]), []).append(file)
    for (_, name), same in beside.items():
        if len(same) < 2 or all(file.stem != name for file in same):
            continue
        masks = [file for file in same if _is_mask(file)]
        if masks and len(masks) < len(same):
            photo = next(file for file in same if file not in masks)
            raise DataError(
                f"{shown(masks[0])} is a mask next to its photo, {photo.name}.",
                hint="Move the masks out of the folder: each picture in it counts as a photo.",
            )


def _is_mask(file: Path) -> bool:
    try:
        values = np.asarray(read_image(file.read_bytes(), target_side=256))  # (H, W, 3)
    except (ImageError, OSError):
        return False
    return bool(
        ((values < 32) | (values > 223)).mean() > 0.98
        and (values.max(axis=2) - values.min(axis=2) < 32).all()
    )
