"""Data sets of every source that ``train/sources.py`` reads, mapped by label name to one common form.

Every split comes out as a ``datasets.Dataset`` with the columns ``image`` (encoded, not decoded), ``label``
(position in the wanted labels, -1 where there is none), ``id``, ``source``, ``group``, ``diagnosis`` (in the
source's own words) and ``skin_type`` (Fitzpatrick, 1 to 6); the last four are None where they are not known.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from model.errors import ConfigError, DataError, ImageError
from model.image import read_image
from train import test_sets
from train.formats import UNKNOWN
from train.processes import gather_rows, is_main, own_rows
from train.sources import load_rows, split_names
from train.tables import read_truth

NO_LABEL = -1
SKIN_TYPES = range(1, 7)
_SHOWN = 10


def load_split(
    sources: Sequence[str], split: str, *, labels: Sequence[str] | None, strict: bool = True
) -> datasets.Dataset:
    """Loads one split of every source and concatenates them.

    Args:
        sources: folders or Hub ids (``ORG/NAME`` or ``ORG/NAME@REVISION``).
        split: the split's name.
        labels: class names in the order of the logits; label numbers follow it, whatever a source's order.
            None leaves the sources' labels out.
        strict: every source must name exactly these classes. Otherwise it may name fewer, or carry no labels.

    Raises:
        DataError: a source or split is not there; a class is missing, extra or misspelt; labels are absent;
            a split that training reads is of a set that is for testing alone.
    """
    parts = [_canonical(_rows_of(source, split, labels), source, labels, strict) for source in sources]
    return datasets.concatenate_datasets(parts)


def _rows_of(source: str, split: str, labels: Sequence[str] | None) -> datasets.Dataset:
    """The rows as the source has them; a split that training reads is not that of a test set."""
    if split not in test_sets.LEARNING:
        return load_rows(source, split, labels)
    test_sets.refuse_learning(source)
    rows = load_rows(source, split, labels)
    test_sets.refuse_rows(source, rows)
    return rows


def class_names(source: str) -> list[str]:
    """The classes that any split of a source names, in its own order; raises like ``load_split``."""
    splits = [load_rows(source, split, None) for split in split_names(source)]
    named = [_names(rows, source) for rows in splits if "label" in rows.column_names]
    return list(dict.fromkeys(name for names in named for name in names))


def train_and_validation(
    sources: Sequence[str], *, labels: Sequence[str], fraction: float, seed: int
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """The train and validation splits; where a source has no validation split, a part of train is kept back.

    The part is drawn by class and never divides a group.

    Args:
        sources, labels: as for ``load_split``.
        fraction: share of train that is kept back, above 0, at most 0.5.
        seed: of the draw.

    Raises:
        ConfigError: the fraction is out of range.
        DataError: as for ``load_split``.
    """
    if not 0 < fraction <= 0.5:
        raise ConfigError(
            f"validation_fraction is {fraction:g}; a number above 0 and at most 0.5 is expected.",
            hint="Keep back a tenth of the pictures, for example.",
        )
    trains, validations = [], []
    for source in sources:
        train = load_split([source], "train", labels=labels)
        if "validation" in split_names(source):
            trains.append(train)
            validations.append(load_split([source], "validation", labels=labels, strict=False))
            continue
        groups = [group or f"row {row}" for row, group in enumerate(train["group"])]
        folds = StratifiedGroupKFold(n_splits=round(1 / fraction), shuffle=True, random_state=seed)
        kept, held = next(folds.split(np.zeros(len(train)), np.asarray(train["label"]), groups))
        trains.append(train.select(kept))
        validations.append(train.select(held))
    return datasets.concatenate_datasets(trains), datasets.concatenate_datasets(validations)


def with_truth(rows: datasets.Dataset, truth: Path, labels: Sequence[str]) -> datasets.Dataset:
    """Rows with the labels that a ground truth gives to their ids; file endings do not count.

    Pictures of ISIC 2019's class UNK are left out, and counted, unless ``labels`` has it.

    Args:
        rows: as ``load_split`` gives them.
        truth: a file for ``read_truth``.
        labels: class names in the order of the logits.

    Raises:
        DataError: a picture is not in the ground truth, or the ground truth has a class beyond ``labels``.
    """
    truths = read_truth(truth)
    names = [Path(name).stem for name in rows["id"]]
    absent = [name for name in names if name not in truths]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(rows)} pictures are not in {truth}; the first is {absent[0]}.",
            hint="Use the ground truth of these very pictures.",
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


def picture_bytes(record: dict[str, Any]) -> bytes:
    """The encoded picture of one row, from the table itself or from the file that it names; raises
    ``ImageError`` or ``OSError`` if there is none.
    """
    image = record["image"]
    if image is None:
        raise ImageError("The row holds no picture.", hint="Fill or remove it.", code="empty_image")
    return image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()


def drop_unreadable(
    dataset: datasets.Dataset, *, limit: float, what: str
) -> tuple[datasets.Dataset, list[dict[str, Any]]]:
    """Decodes every picture once and leaves out those that cannot be read.

    Every process of a launcher must call it: each decodes its share, and all get the whole result.

    Args:
        dataset: as ``load_split`` gives it.
        limit: largest share of unreadable pictures, 0 to 1.
        what: the split's name, for the progress bar and the messages.

    Returns:
        The readable rows, and one ``{"row", "id", "problem"}`` for each of the others.

    Raises:
        DataError: the share is above the limit.
    """

    def problem(row: int) -> str | None:
        try:
            read_image(picture_bytes(dataset[row]))
        except (ImageError, OSError) as error:
            return str(error)
        return None

    own, quiet = own_rows(len(dataset)), not is_main()
    with ThreadPoolExecutor() as pool:
        checks = pool.map(problem, own)
        bar = tqdm(checks, total=len(own), desc=f"check {what}", unit="picture", disable=quiet)
        problems = gather_rows(len(dataset), list(bar))
    bad = [
        {"row": row, "id": dataset[row]["id"], "problem": text}
        for row, text in enumerate(problems)
        if text is not None
    ]
    if bad and not quiet:
        for entry in bad[:_SHOWN]:
            tqdm.write(f"unreadable in {what}: {entry['id']}: {entry['problem']}")
        if len(bad) > _SHOWN:
            tqdm.write(f"unreadable in {what}: {len(bad) - _SHOWN} more")
        tqdm.write(f"{len(bad)} of {len(dataset)} pictures of {what} are unreadable and left out.")
    if len(bad) > limit * len(dataset):
        raise DataError(
            f"{len(bad)} of {len(dataset)} pictures of {what} are unreadable; at most {limit:.1%} may be.",
            hint="Repair the pictures listed above, or raise max_unreadable.",
        )
    if not bad:
        return dataset, bad
    return dataset.select([row for row, text in enumerate(problems) if text is None]), bad


def _canonical(
    dataset: datasets.Dataset, source: str, labels: Sequence[str] | None, strict: bool
) -> datasets.Dataset:
    if "image" not in dataset.column_names:
        raise DataError(
            f"{source} has the columns {', '.join(dataset.column_names)}, but none called image.",
            hint="Name the column with the pictures 'image'.",
        )
    dataset = dataset.cast_column("image", datasets.Image(decode=False))
    rows = len(dataset)
    columns = {
        "label": [NO_LABEL] * rows if labels is None else _labels(dataset, source, labels, strict),
        "id": _ids(dataset),
        "source": _texts(dataset, "source", rows),
        "group": _texts(dataset, "group" if "group" in dataset.column_names else "lesion_id", rows),
        "diagnosis": _texts(dataset, "diagnosis", rows),
        "skin_type": _skin_types(dataset),
    }
    types = {"label": "int64", "skin_type": "int64"}
    result = dataset.select_columns(["image"])
    for name, values in columns.items():
        result = result.add_column(name, values, feature=datasets.Value(types.get(name, "string")))
    return result


def _ids(dataset: datasets.Dataset) -> list[str]:
    """The data set's own ids, or else the stored file names, or else the numbers of the rows."""
    paths = pc.struct_field(dataset.data.table["image"], "path").to_pylist()
    own = _texts(dataset, "id", len(dataset))
    return [
        name or (Path(path).name if path else str(row))
        for row, (name, path) in enumerate(zip(own, paths, strict=True))
    ]


def _skin_types(dataset: datasets.Dataset) -> list[int | None]:
    if "skin_type" not in dataset.column_names:
        return [None] * len(dataset)
    return [int(value) if value in SKIN_TYPES else None for value in dataset["skin_type"]]


def _texts(dataset: datasets.Dataset, column: str, rows: int) -> list[str | None]:
    if column not in dataset.column_names:
        return [None] * rows
    feature = dataset.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return feature.int2str(list(dataset[column]))
    return [None if value is None else str(value) for value in dataset[column]]


def _labels(dataset: datasets.Dataset, source: str, labels: Sequence[str], strict: bool) -> list[int]:
    if "label" not in dataset.column_names:
        if strict:
            raise DataError(
                f"{source} has no column called label.",
                hint="Training and evaluation need a class a picture.",
            )
        return [NO_LABEL] * len(dataset)
    feature, values, names = dataset.features["label"], list(dataset["label"]), _names(dataset, source)
    check_classes(names, labels, source=source, strict=strict)
    position = {name: number for number, name in enumerate(labels)}
    if isinstance(feature, datasets.ClassLabel):
        return [NO_LABEL if value is None or value < 0 else position[names[value]] for value in values]
    return [NO_LABEL if value is None else position[value] for value in values]


def _names(dataset: datasets.Dataset, source: str) -> list[str]:
    feature, values = dataset.features["label"], dataset["label"]
    if isinstance(feature, datasets.ClassLabel):
        return list(feature.names)
    if all(value is None or isinstance(value, str) for value in values):
        return sorted({value for value in values if value is not None})
    problem = f"The labels of {source} are bare numbers ({feature}), which say nothing about their order."
    raise DataError(problem, hint="Store them as ClassLabel with names, or as text.")


def check_classes(found: Iterable[str], expected: Sequence[str], *, source: str, strict: bool = True) -> None:
    """Compares class names.

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
