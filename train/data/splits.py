"""Data sets from ``train/data/sources.py``, mapped by label name to one common form.

Every split becomes a ``datasets.Dataset`` with the columns ``image`` (encoded, not decoded), ``label``
(index in the wanted labels, -1 if there is none), ``id``, ``source``, ``group``, ``diagnosis`` (in the
source's own words) and ``skin_type`` (Fitzpatrick, 1 to 6); the last four are None if not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from tqdm import tqdm

from model.errors import ConfigError, DataError, ImageError
from train.data import test_sets
from train.data.columns import NO_LABEL, canonical, check_classes, names_of_classes
from train.data.folds import keep_back
from train.data.formats import UNKNOWN
from train.data.pictures import path_of, shown
from train.data.sources import load_rows, split_names
from train.data.tables import read_truth


def load_split(
    sources: Sequence[str], split: str, *, labels: Sequence[str] | None, strict: bool = True
) -> datasets.Dataset:
    """Load one split of every source and concatenate them.

    Args:
        sources: folders or Hub ids (``ORG/NAME`` or ``ORG/NAME@REVISION``).
        split: the split's name.
        labels: class names in the order of the logits, which defines the label indices, whatever a source's
            order. None drops the sources' labels.
        strict: every source must have exactly these classes. Otherwise it may have fewer, or no labels.

    Raises:
        DataError: a source or split does not exist; a class is missing, extra or misspelt; labels are absent;
            or a training split is from a test-only data set.
    """
    parts = [canonical(_rows_of(source, split, labels), source, labels, strict=strict) for source in sources]
    return datasets.concatenate_datasets(parts)


def _rows_of(source: str, split: str, labels: Sequence[str] | None) -> datasets.Dataset:
    """Load a source's own rows; training splits of test-only data sets are refused."""
    if split not in test_sets.LEARNING:
        return load_rows(source, split, labels)
    test_sets.refuse_learning(source)
    rows = load_rows(source, split, labels)
    test_sets.refuse_rows(source, rows)
    return rows


def class_names(source: str) -> list[str]:
    """The classes of a source's splits, in its own order; raises the errors of ``load_split``."""
    splits = [load_rows(source, split, None) for split in split_names(source)]
    named = [names_of_classes(rows, source) for rows in splits if "label" in rows.column_names]
    return list(dict.fromkeys(name for names in named for name in names))


def train_and_validation(
    sources: Sequence[str], *, labels: Sequence[str], fraction: float, seed: int
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """Load the train and validation splits; without a validation split, a part of train is held out.

    The part is stratified by class, never splits a group and never takes all pictures of a class.

    Args:
        sources, labels: as for ``load_split``.
        fraction: share of train to hold out, above 0, at most 0.5.
        seed: of the random split.

    Raises:
        ConfigError: the fraction is out of range.
        DataError: as for ``load_split``; or a train split is too small to hold out a part.
    """
    if not 0 < fraction <= 0.5:
        raise ConfigError(
            f"validation_fraction is {fraction:g}; a number above 0 and at most 0.5 is expected.",
            hint="For example, 0.1 holds out a tenth of the pictures.",
        )
    trains, validations = [], []
    for source in sources:
        train = load_split([source], "train", labels=labels)
        if "validation" in split_names(source):
            trains.append(train)
            validations.append(load_split([source], "validation", labels=labels, strict=False))
            continue
        numbers = np.asarray(train["label"])
        try:
            kept, held = keep_back(numbers, train["group"], fraction=fraction, seed=seed)
        except DataError as error:
            raise DataError(f"{shown(source)}: {error.message}", hint=error.hint) from error
        if absent := set(numbers) - set(numbers[held]):
            names = ", ".join(labels[number] for number in sorted(absent - {NO_LABEL}))
            tqdm.write(
                f"Of {shown(source)} no picture of {names} is held out for validation: too few groups."
            )
        trains.append(train.select(kept))
        validations.append(train.select(held))
    return datasets.concatenate_datasets(trains), datasets.concatenate_datasets(validations)


def with_truth(rows: datasets.Dataset, truth: Path, labels: Sequence[str]) -> datasets.Dataset:
    """Take the rows' labels from a ground truth, by id without file extension.

    Pictures of ISIC 2019's class UNK are dropped, and counted, unless ``labels`` has it.

    Args:
        rows: as ``load_split`` gives them.
        truth: a file for ``read_truth``.
        labels: class names in the order of the logits.

    Raises:
        DataError: a picture is not in the ground truth, two pictures have one name, or the ground truth has a
            class beyond ``labels``.
    """
    truths = read_truth(truth)
    names = stems(rows)
    absent = [name for name in names if name not in truths]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(rows)} pictures are not in {truth}; the first is {absent[0]}.",
            hint="Use the ground truth for these pictures.",
        )
    if len(truths) > len(rows):
        tqdm.write(f"{len(truths) - len(rows)} of {len(truths)} rows of {truth} have no picture here.")
    found = [truths[name].label for name in names]
    if UNKNOWN in found and UNKNOWN not in labels:
        tqdm.write(f"{found.count(UNKNOWN)} of {len(rows)} pictures are UNK and left out.")
        kept = [row for row, label in enumerate(found) if label != UNKNOWN]
        rows, found = rows.select(kept), [found[row] for row in kept]
    check_classes({label for label in found if label}, labels, source=str(truth), strict=False)
    numbers = [labels.index(label) if label else NO_LABEL for label in found]
    return rows.remove_columns("label").add_column("label", numbers, feature=datasets.Value("int64"))


def stems(rows: datasets.Dataset) -> list[str]:
    """The ids without file extensions, as in challenges; raises ``DataError`` if two are the same."""
    names = [Path(name).stem for name in rows["id"]]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DataError(
            f"{names.count(twice)} pictures are called {twice}, so a table by name cannot tell them apart"
            f"{_places(rows, [row for row, name in enumerate(names) if name == twice])}.",
            hint="Rename them, or remove the folder that does not belong to the data set.",
        )
    return names


def _places(rows: datasets.Dataset, chosen: Sequence[int]) -> str:
    paths = [image["path"] for row in chosen if (image := rows[row]["image"]) and image["path"]]
    return f" ({' and '.join(shown(path_of(path)) for path in paths)})" if paths else ""


def picture_bytes(record: dict[str, Any]) -> bytes:
    """The encoded picture of one row, from the table itself or from a file; raises ``ImageError`` or
    ``OSError`` if there is none.
    """
    image = record["image"]
    if image is None:
        raise ImageError("The row holds no picture.", hint="Fill or remove it.", code="empty_image")
    return image["bytes"] if image["bytes"] is not None else path_of(image["path"]).read_bytes()
