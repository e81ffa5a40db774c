"""Public data sets as they are downloaded, recognised by the names of their files.

HAM10000, the ISIC challenges of 2018 (task 3) and 2019, Fitzpatrick17k, and ``train.data.test_sets``.
``docs/datasets.md`` says where to get each of them, their terms, and how their labels map. Labels get the
names of HAM10000 in lower case (``mel``, ``nv``, ...), so that the same diagnosis has the same name
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from tqdm import tqdm

from model.errors import DataError
from train.data import test_sets
from train.data.pictures import by_stem, image_of, pictures, the_one
from train.data.tables import read_table, read_truth, skin_type

Loader = Callable[["Sequence[str] | None"], datasets.Dataset]
"""Wanted labels → the rows of one split."""

UNKNOWN = "unk"
"""ISIC 2019's label for anything but its eight classes; only its test set has such rows."""

_PARTS = {"Training": "train", "Validation": "validation", "Test": "test"}
_COLUMNS = ("label", "group", "source", "diagnosis", "skin_type")
_PARTITIONS = {"": "train", "val": "validation"}
_FITZPATRICK_LABELS = ("label", "nine_partition_label", "three_partition_label")


def splits(folder: Path) -> dict[str, Loader]:
    """The splits of the public data sets in a folder; empty if there are none.

    Raises:
        DataError: two data sets in the folder have a split of the same name.
    """
    found: dict[str, Loader] = {}
    for layout in (_ham10000, _isic2018, _isic2019, _fitzpatrick17k, _test_set):
        for split, load in layout(folder).items():
            if split in found:
                raise DataError(
                    f"{folder} holds more than one data set with a split called {split!r}.",
                    hint="Put each data set in its own folder.",
                )
            found[split] = load
    return found


def _find(folder: Path, *names: str) -> Path | None:
    """Find the first of the names in the folder or its subfolders: archives unpack either way."""
    places = (place for name in names for place in (folder / name, *sorted(folder.glob(f"*/{name}"))))
    return next((place for place in places if place.exists()), None)


def _rows(rows: Iterable[dict[str, Any]], *, listing: str, folder: Path) -> datasets.Dataset:
    """Rows with ``id`` and any of the columns of ``_COLUMNS``, joined with their pictures.

    A missing picture keeps its row, so that it counts as unreadable.
    """
    files = by_stem(folder)
    columns: dict[str, list[Any]] = {name: [] for name in ("image", "id", *_COLUMNS)}
    missing = []
    for row in rows:
        found = files.get(row["id"])
        if found is None:
            missing.append(row["id"])
        path = folder / f"{row['id']}.jpg" if found is None else the_one(found)
        columns["image"].append(image_of(path))
        for name in ("id", *_COLUMNS):
            value = row.get(name)
            columns[name].append(None if value is None else str(value))
    count = len(columns["id"])
    if missing:
        text = (
            f"{len(missing)} of the {count} pictures in {listing} are not below {folder}; "
            f"the first is {missing[0]}."
        )
        if len(missing) == count:
            raise DataError(text, hint="Unpack the pictures there.")
        tqdm.write(text)
    types = dict.fromkeys(columns, datasets.Value("string")) | {"image": datasets.Image(decode=False)}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(types))


def _ham10000(folder: Path) -> dict[str, Loader]:
    names = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
    metadata = next((folder / name for name in names if (folder / name).is_file()), None)
    if metadata is None:
        return {}

    def load(labels: Sequence[str] | None) -> datasets.Dataset:
        table = read_table(metadata, "image_id", "lesion_id", "dx")
        rows = (
            {
                "id": row["image_id"],
                "label": row["dx"],
                "group": row["lesion_id"],
                "source": row.get("dataset") or "ham10000",
            }
            for row in table
        )
        return _rows(rows, listing=metadata.name, folder=folder)

    return {"train": load}


def _isic2018(folder: Path) -> dict[str, Loader]:
    return _challenge(folder, "ISIC2018_Task3", "LesionGroupings")


def _isic2019(folder: Path) -> dict[str, Loader]:
    return _challenge(folder, "ISIC_2019", "Metadata")


def _challenge(folder: Path, prefix: str, lesions: str) -> dict[str, Loader]:
    """The parts of a challenge: ``PREFIX_PART_GroundTruth.csv``, ``PREFIX_PART_Input`` and a lesion table."""
    found: dict[str, Loader] = {}
    for part, split in _PARTS.items():
        truth = _find(folder, f"{prefix}_{part}_GroundTruth.csv")
        inputs = _find(folder, f"{prefix}_{part}_Input", f"{prefix}_{part}_Images")
        if inputs is not None or truth is not None:
            table = _find(folder, f"{prefix}_{part}_{lesions}.csv")
            found[split] = partial(_load_challenge, folder, f"{prefix}_{part}", inputs, truth, table)
    return found


def _load_challenge(
    folder: Path,
    part: str,
    inputs: Path | None,
    truth: Path | None,
    table: Path | None,
    labels: Sequence[str] | None,
) -> datasets.Dataset:
    if inputs is None:
        raise DataError(f"{folder} has no {part}_Input.", hint="Download and unpack the pictures too.")
    if table is None and truth is not None and part.endswith("Training"):
        raise DataError(
            f"{folder} does not say which pictures of {part} show the same lesion.",
            hint="Download its LesionGroupings (2018) or Metadata (2019): a split must not divide a lesion.",
        )
    lesions = {row["image"]: row.get("lesion_id", "") for row in read_table(table, "image")} if table else {}
    if truth is None:
        found: dict[str, str | None] = {file.stem: None for file in pictures(inputs)}
    else:
        found = {name: entry.label for name, entry in read_truth(truth).items()}
    if labels is not None and UNKNOWN not in labels:
        kept = {name: label for name, label in found.items() if label != UNKNOWN}
        if len(kept) < len(found):
            tqdm.write(f"{len(found) - len(kept)} of {len(found)} pictures of {part} are UNK and left out.")
        found = kept
    rows = (
        {
            "id": name,
            "label": label,
            "group": lesions.get(name) or None,
            # HAM_0000123, BCN_0003884, MSK4_0011169: lesions are named by their collection.
            "source": lesions.get(name, "").partition("_")[0] or part,
        }
        for name, label in found.items()
    )
    return _rows(rows, listing=truth.name if truth else inputs.name, folder=inputs)


def _fitzpatrick17k(folder: Path) -> dict[str, Loader]:
    file = folder / "fitzpatrick17k.csv"
    if not file.is_file():
        return {}

    # The cleaned list, Fitzpatrick17k-C, has a column with its own partition.
    parts = {row.get("partition", "") for row in read_table(file, "md5hash")}
    return {
        _PARTITIONS.get(part, part): partial(_load_fitzpatrick17k, folder, file, part)
        for part in sorted(parts)
    }


def _load_fitzpatrick17k(
    folder: Path, file: Path, part: str, labels: Sequence[str] | None
) -> datasets.Dataset:
    table = list(read_table(file, "md5hash", *_FITZPATRICK_LABELS))
    # Choose the level whose names are wanted: 114 diagnoses, nine or three partitions.
    column = max(_FITZPATRICK_LABELS, key=lambda name: len({r[name] for r in table} & set(labels or ())))
    rows = (
        {
            "id": row["md5hash"],
            "label": row[column],
            "group": row["md5hash"],
            "source": _fitzpatrick17k_source(row.get("url") or row.get("url_alphanum", "")),
            "diagnosis": row["label"],
            "skin_type": skin_type(row.get("fitzpatrick_scale", row.get("fitzpatrick", "")))
            or skin_type(row.get("fitzpatrick_centaur", "")),
        }
        for row in table
        if row.get("partition", "") == part
    )
    return _rows(rows, listing=file.name, folder=folder)


def _fitzpatrick17k_source(address: str) -> str:
    return "atlasdermatologico" if "atlasdermatologico" in address else "dermaamin"


def _test_set(folder: Path) -> dict[str, Loader]:
    known = test_sets.recognise(folder)
    if known is None:
        return {}
    return {test_sets.SPLIT: lambda labels: _rows(known.rows(folder), listing=known.listing, folder=folder)}
