"""The hash manifest of a data set: ``manifest.csv``, one line a picture, to prove that nothing changed.

Its columns are ``split``, ``id``, ``label`` (a class name, empty where there is none) and ``sha256``: the
hash of the picture's file as it is stored, in hexadecimal. Lines stand in the order of the rows.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import datasets

from model.errors import DataError
from train.data import NO_LABEL, picture_bytes

FILE = "manifest.csv"


class Entry(NamedTuple):
    """One picture; see the module's text for the columns."""

    split: str
    id: str
    label: str
    sha256: str


def entry(split: str, name: str, label: str, picture: bytes) -> Entry:
    """The line of one stored picture."""
    return Entry(split, name, label, hashlib.sha256(picture).hexdigest())


def entries(split: str, rows: datasets.Dataset, labels: Sequence[str]) -> Iterator[Entry]:
    """The lines of a split as ``load_split`` gives it.

    Args:
        split: its name.
        rows: with the columns ``image``, ``label`` and ``id``.
        labels: the names that the label numbers stand for.
    """
    for row in rows:
        label = "" if row["label"] == NO_LABEL else labels[row["label"]]
        yield entry(split, row["id"], label, picture_bytes(row))


def write(path: Path, lines: Iterable[Entry]) -> None:
    """Writes a manifest, line by line."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Entry._fields)
        writer.writerows(lines)


def read(path: Path) -> list[Entry]:
    """Reads a manifest.

    Raises:
        DataError: it cannot be read, or is none.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
            if tuple(header) != Entry._fields:
                raise ValueError(f"its first line is {','.join(header)!r}")
            return [Entry(*line) for line in lines]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{path} is no manifest ({error}).", hint=f"Expected a CSV file with {','.join(Entry._fields)}."
        ) from error


def verify(path: Path, found: Mapping[str, Iterable[Entry]]) -> int:
    """Compares splits with their manifest; a split that is not in ``found`` is not looked at.

    Args:
        path: the manifest.
        found: split → the lines of what is there.

    Returns:
        How many pictures were compared.

    Raises:
        DataError: a picture is missing, additional, changed or has another label; the message names some.
    """
    expected = Counter(line for line in read(path) if line.split in found)
    actual = Counter(line for lines in found.values() for line in lines)
    gone, new = expected - actual, actual - expected
    if not gone and not new:
        return actual.total()
    now = {(line.split, line.id): line for line in new}
    kinds: dict[str, list[str]] = {}
    for line in gone:
        other = now.pop((line.split, line.id), None)
        kind = "missing" if other is None else "changed" if other.sha256 != line.sha256 else "relabelled"
        kinds.setdefault(kind, []).append(f"{line.split}/{line.id}")
    for split, name in now:
        kinds.setdefault("not in the manifest", []).append(f"{split}/{name}")
    problems = [
        f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in kinds.items()
    ]
    raise DataError(
        f"The pictures are not those of {path}: {'; '.join(problems)}.",
        hint="Fetch the data set again, or at the revision that the manifest belongs to.",
    )
