"""Data sets from ``train/data/sources.py``, mapped by label name to one common form.

Every split becomes a ``datasets.Dataset`` with the columns ``image`` (encoded, not decoded), ``label``
(index in the wanted labels, -1 if there is none), ``id``, ``source``, ``group``, ``diagnosis`` (in the
source's own words) and ``skin_type`` (Fitzpatrick, 1 to 6); the last four are None if not known.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc
from tqdm import tqdm

from model.errors import ConfigError, DataError, ImageError
from train.data import test_sets
from train.data.folds import keep_back
from train.data.formats import UNKNOWN
from train.data.pictures import path_of, shown
from train.data.sources import load_rows, split_names
from train.data.tables import UNSTATED, known, read_truth, skin_type

NO_LABEL = -1
GROUPS = ("group", "patient_id", "lesion_id")
"""Columns that say which rows belong together, the preferred one first."""


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
    parts = [_canonical(_rows_of(source, split, labels), source, labels, strict) for source in sources]
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
    named = [_names(rows, source) for rows in splits if "label" in rows.column_names]
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


def _canonical(
    dataset: datasets.Dataset, source: str, labels: Sequence[str] | None, strict: bool
) -> datasets.Dataset:
    if "image" not in dataset.column_names:
        raise DataError(
            f"{source} has the columns {', '.join(dataset.column_names)}, but none called image.",
            hint="Name the column with the pictures 'image'.",
        )
    try:
        dataset = dataset.cast_column("image", datasets.Image(decode=False))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"The column image of {shown(source)} holds no pictures ({dataset.features['image']}).",
            hint="Store encoded pictures, or the paths of picture files.",
        ) from error
    columns = {
        "label": [NO_LABEL] * len(dataset) if labels is None else _labels(dataset, source, labels, strict),
        "id": _ids(dataset),
        "source": _texts(dataset, "source"),
        "group": _groups(dataset),
        "diagnosis": _texts(dataset, "diagnosis"),
        "skin_type": _skin_types(dataset, source),
    }
    types = {"label": "int64", "skin_type": "int64"}
    result = dataset.select_columns(["image"])
    for name, values in columns.items():
        result = result.add_column(name, values, feature=datasets.Value(types.get(name, "string")))
    return result


def _ids(dataset: datasets.Dataset) -> list[str]:
    """The data set's own ids, else the stored file names, else the row numbers."""
    paths = pc.struct_field(dataset.data.table["image"], "path").to_pylist()
    own = _texts(dataset, "id")
    return [
        name or (shown(path_of(path).name) if path else str(row))
        for row, (name, path) in enumerate(zip(own, paths, strict=True))
    ]


def _groups(dataset: datasets.Dataset) -> list[str | None]:
    """The group of each row: the first of ``GROUPS`` with a value."""
    columns = [map(known, _texts(dataset, column)) for column in GROUPS]
    return [next((value for value in row if value is not None), None) for row in zip(*columns, strict=True)]


def _skin_types(dataset: datasets.Dataset, source: str) -> list[int | None]:
    texts = list(map(known, _texts(dataset, "skin_type")))
    types = [skin_type(text) for text in texts]
    lost = [
        text
        for text, found in zip(texts, types, strict=True)
        if text is not None and found is None and text.casefold() not in UNSTATED
    ]
    if lost:
        tqdm.write(
            f"{len(lost)} skin types of {shown(source)} are not 1 to 6 or I to VI, {lost[0]!r} for one, "
            "and count as not known."
        )
    return types


def _texts(dataset: datasets.Dataset, column: str) -> list[str | None]:
    """A column as text; None for empty values, and everywhere if there is no such column."""
    if column not in dataset.column_names:
        return [None] * len(dataset)
    feature, values = dataset.features[column], list(dataset[column])
    if isinstance(feature, datasets.ClassLabel):
        return [feature.names[value] if _names_class(value, feature) else None for value in values]
    return [None if value is None or value != value else str(value) for value in values]


def _names_class(value: int | None, feature: datasets.ClassLabel) -> bool:
    return value is not None and 0 <= value < len(feature.names)


def _labels(dataset: datasets.Dataset, source: str, labels: Sequence[str], strict: bool) -> list[int]:
    if "label" not in dataset.column_names:
        if strict:
            raise DataError(
                f"{shown(source)} has no column called label.",
                hint="Training and evaluation need a class for every picture.",
            )
        return [NO_LABEL] * len(dataset)
    check_classes(_names(dataset, source), labels, source=shown(source), strict=strict)
    feature = dataset.features["label"]
    if isinstance(feature, datasets.ClassLabel):
        wrong = [value for value in dataset["label"] if value is not None and value >= len(feature.names)]
        if wrong:
            raise DataError(
                f"{shown(source)} has the label {wrong[0]}, but names only {len(feature.names)} classes.",
                hint="Write the data set again with all its classes named.",
            )
    position = {name: number for number, name in enumerate(labels)}
    return [position[name] if name else NO_LABEL for name in _texts(dataset, "label")]


def _names(dataset: datasets.Dataset, source: str) -> list[str]:
    feature, values = dataset.features["label"], dataset["label"]
    if isinstance(feature, datasets.ClassLabel):
        return list(feature.names)
    if all(value is None or isinstance(value, str) for value in values):
        return sorted({value for value in values if value})
    problem = f"The labels of {source} are plain numbers ({feature}) without names."
    raise DataError(problem, hint="Store them as ClassLabel with names, or as text.")


def check_classes(found: Iterable[str], expected: Sequence[str], *, source: str, strict: bool = True) -> None:
    """Compare class names.

    Args:
        found: the names that a source has. expected: the names that are wanted.
        source: its name, for the message.
        strict: whether an expected name may not be missing.

    Raises:
        DataError: a name is extra, misspelt or (if strict) missing; the message names it.
    """
    extra = sorted(set(found) - set(expected))
    missing = sorted(set(expected) - set(found)) if strict else []
    if not extra and not missing:
        return
    problems = []
    for name in extra:
        close = difflib.get_close_matches(name, expected, n=1)
        problems.append(f"unknown class {name!r}" + (f" (is it {close[0]!r} misspelt?)" if close else ""))
    problems += [f"missing class {name!r}" for name in missing]
    raise DataError(
        f"The classes of {source} are not the {len(expected)} expected: {'; '.join(problems)}.",
        hint=f"Expected: {', '.join(expected)}.",
    )
