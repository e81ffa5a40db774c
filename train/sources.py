"""Where rows come from: the Hub, parquet folders, image folders and the layouts of ``train/formats.py``."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import datasets

from model.errors import DataError
from train import formats

T = TypeVar("T")
_SHARD = re.compile(r"^(?P<split>.+?)-\d{5}-of-\d{5}$")


def split_names(source: str) -> list[str]:
    """The names of a source's splits, sorted.

    Raises:
        DataError: the folder holds nothing that can be read, or the Hub does not give the set out.
    """
    folder = Path(source)
    if folder.is_dir():
        return sorted(formats.splits(folder) or _parquet_files(folder) or _picture_folders(folder))
    name, revision = _hub_id(source)
    try:
        return sorted(datasets.get_dataset_split_names(name, revision=revision))
    except (OSError, ValueError) as error:
        raise _not_found(source, "a data set", error) from error


def load_rows(source: str, split: str, labels: Sequence[str] | None) -> datasets.Dataset:
    """One split of one source, with the columns that the source has.

    Args:
        source: a folder or a Hub id (``ORG/NAME`` or ``ORG/NAME@REVISION``).
        split: the split's name.
        labels: the classes that are wanted; some public sets have labels of more than one fineness.

    Raises:
        DataError: the source or split is not there, or a public set's files are not as they should be.
    """
    folder = Path(source)
    if not folder.is_dir():
        return _load_from_hub(source, split)
    if public := formats.splits(folder):
        return _chosen(public, split, source)(labels)
    parquet = _parquet_files(folder)
    files = _chosen(parquet or _picture_folders(folder), split, source)
    # The library takes file names for patterns, and has its own mind about the names of splits.
    patterns = {"rows": [glob.escape(name) for name in files]}
    if parquet:
        return datasets.load_dataset("parquet", data_files=patterns, split="rows")
    labelled = any(len(Path(name).relative_to(folder).parts) > 2 for name in files)
    return datasets.load_dataset("imagefolder", data_files=patterns, split="rows", drop_labels=not labelled)


def _chosen(found: Mapping[str, T], split: str, source: str) -> T:
    if split not in found:
        raise DataError(
            f"{source} has no split called {split!r}.", hint=f"Its splits are: {', '.join(sorted(found))}."
        )
    return found[split]


def _hub_id(source: str) -> tuple[str, str | None]:
    name, _, revision = source.partition("@")
    return name, revision or None


def _load_from_hub(source: str, split: str) -> datasets.Dataset:
    name, revision = _hub_id(source)
    try:
        return datasets.load_dataset(name, split=split, revision=revision)
    except (OSError, ValueError) as error:
        raise _not_found(source, f"a data set with the split {split!r}", error) from error


def _not_found(source: str, what: str, error: Exception) -> DataError:
    problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return DataError(
        f"{source} is neither a folder here nor {what} that the Hub gives out ({problem}).",
        hint="Check the spelling, the connection, and that you are signed in if the set is private.",
    )


def _parquet_files(folder: Path) -> dict[str, list[str]]:
    """Parquet files by split: ``SPLIT-00000-of-00001.parquet`` or ``SPLIT.parquet``, here or in ``data/``."""
    splits: dict[str, list[str]] = {}
    for file in sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")]):
        shard = _SHARD.match(file.stem)
        splits.setdefault(shard["split"] if shard else file.stem, []).append(str(file))
    return splits


def _picture_folders(folder: Path) -> dict[str, list[str]]:
    """Picture files by split: ``SPLIT/CLASS/*`` or ``SPLIT/*``; a flat folder is the split ``all``."""
    splits: dict[str, list[str]] = {}
    for file in formats.pictures(folder):
        parts = file.relative_to(folder).parts
        splits.setdefault(parts[0] if len(parts) > 1 else "all", []).append(str(file))
    if not splits:
        raise DataError(
            f"{folder} holds neither parquet files nor pictures.",
            hint="Expected SPLIT-00000-of-00001.parquet files, folders SPLIT/CLASS/ with pictures, or a "
            "public data set as it is downloaded (docs/datasets.md).",
        )
    return splits
