"""The hash manifest of a data set: ``manifest.csv``, one line per picture, to prove that nothing changed.

Its columns are ``split``, ``id``, ``label`` (a class name, empty if there is none) and ``sha256``: the hash
of the stored picture file, in hexadecimal, empty if there is no file. Lines are in the order of the rows.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from model.errors import DataError, ImageError
from model.files import atomic_path
from train.data.columns import NO_LABEL
from train.data.splits import class_names, load_split, picture_bytes, split_names

FILE = "manifest.csv"


class Entry(NamedTuple):
    """One picture; see the module's docstring for the columns."""

    split: str
    id: str
    label: str
    sha256: str


def entry(split: str, name: str, label: str, picture: bytes | None) -> Entry:
    """The line of one stored or missing picture."""
    return Entry(split, name, label, "" if picture is None else hashlib.sha256(picture).hexdigest())


def entries(split: str, rows: Iterable[dict[str, Any]], labels: Sequence[str]) -> Iterator[Entry]:
    """The lines of a split's rows from ``load_split``.

    Args:
        split: its name.
        rows: its rows, with ``image``, ``label`` and ``id``.
        labels: the names of the label indices.
    """
    for row in rows:
        label = "" if row["label"] == NO_LABEL else labels[row["label"]]
        try:
            picture = picture_bytes(row)
        except (ImageError, OSError):
            picture = None
        yield entry(split, row["id"], label, picture)


def write(path: Path, lines: Iterable[Entry]) -> None:
    """Write a manifest, line by line."""
    with atomic_path(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Entry._fields)
        writer.writerows(lines)


def read(path: Path) -> list[Entry]:
    """Read a manifest.

    Raises:
        DataError: it cannot be read, or is not a manifest.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
            if tuple(header) != Entry._fields:
                raise ValueError(f"its first line is {','.join(header)!r}")
            return [Entry(*line) for line in lines]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{path} is not a manifest ({error}).",
            hint=f"Expected a CSV file with {','.join(Entry._fields)}.",
        ) from error


def verify(path: Path, found: Mapping[str, Iterable[Entry]]) -> int:
    """Compare splits with their manifest; splits that are not in ``found`` are ignored.

    Args:
        path: the manifest.
        found: split → its actual lines.

    Returns:
        The number of compared pictures.

    Raises:
        DataError: a picture is missing, extra, changed or has another label; the message names some.
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


def verify_sources(
    path: Path, sources: Sequence[str], splits: Sequence[str], labels: Sequence[str] | None
) -> int:
    """Compare the stored splits of data sets with their manifest.

    Args:
        path: the manifest.
        sources, labels: as for ``load_split``; None for the sources' own labels.
        splits: names of the splits to compare; a source may lack one that the manifest lacks too.

    Returns:
        The number of compared pictures.

    Raises:
        DataError: as for ``verify`` and ``load_split``.
    """
    if labels is None:
        labels = list(dict.fromkeys(name for source in sources for name in class_names(source)))
    found: dict[str, list[Entry]] = {split: [] for split in splits}
    for split in splits:
        having = [source for source in sources if split in split_names(source)]
        if having:
            rows = load_split(having, split, labels=labels, strict=False)
            found[split] = list(entries(split, tqdm(rows, desc=f"verify {split}", unit="picture"), labels))
    return verify(path, found)
