"""A source's own columns in the one common form; see ``train/data/splits.py``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import datasets
import pyarrow.compute as pc
from tqdm import tqdm

from model.errors import DataError
from train.data.pictures import path_of, shown
from train.data.tables import UNSTATED, known, skin_type

NO_LABEL = -1
GROUPS = ("group", "patient_id", "lesion_id")
"""Columns that say which rows belong together, the preferred one first."""


def canonical(
    dataset: datasets.Dataset, source: str, labels: Sequence[str] | None, *, strict: bool
) -> datasets.Dataset:
    """A source's rows with the columns that ``train/data/splits.py`` lists, and no others.

    Args:
        dataset: as ``load_rows`` gives it.
        source: its name, for the messages.
        labels, strict: as for ``load_split``.

    Raises:
        DataError: there are no pictures, no labels where they are needed, or other classes.
    """
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
    check_classes(names_of_classes(dataset, source), labels, source=shown(source), strict=strict)
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


def names_of_classes(dataset: datasets.Dataset, source: str) -> list[str]:
    """The class names of the column ``label``; raises ``DataError`` if it holds plain numbers."""
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
