"""Data sets by Hub id, parquet folder or image folder, mapped by label name to one common form.

Every split comes out as a ``datasets.Dataset`` with the columns ``image`` (encoded, not decoded), ``label``
(position in the wanted labels, -1 where there is none), ``id``, ``source``, ``group`` and ``skin_type``
(Fitzpatrick, 1 to 6, or None).
"""

from __future__ import annotations

import difflib
import glob
import re
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

NO_LABEL = -1
_SHARD = re.compile(r"^(?P<split>.+?)-\d{5}-of-\d{5}$")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


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
        DataError: a source or split is not there; a class is missing, extra or misspelt; labels are absent.
    """
    parts = [_canonical(_load(source, split), source, labels, strict) for source in sources]
    return datasets.concatenate_datasets(parts)


def split_names(source: str) -> list[str]:
    """The names of a source's splits, sorted.

    Raises:
        DataError: the folder holds neither parquet files nor pictures, or the Hub does not give the set out.
    """
    folder = Path(source)
    if folder.is_dir():
        return sorted(_parquet_files(folder) or _picture_folders(folder))
    name, revision = _hub_id(source)
    try:
        return sorted(datasets.get_dataset_split_names(name, revision=revision))
    except (OSError, ValueError) as error:
        raise _not_found(source, "a data set", error) from error


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

    with ThreadPoolExecutor() as pool:
        checks = pool.map(problem, range(len(dataset)))
        problems = list(tqdm(checks, total=len(dataset), desc=f"check {what}", unit="picture"))
    bad = [
        {"row": row, "id": dataset[row]["id"], "problem": text}
        for row, text in enumerate(problems)
        if text is not None
    ]
    if bad:
        for entry in bad:
            tqdm.write(f"unreadable in {what}: {entry['id']}: {entry['problem']}")
        tqdm.write(f"{len(bad)} of {len(dataset)} pictures of {what} are unreadable and left out.")
    if len(bad) > limit * len(dataset):
        raise DataError(
            f"{len(bad)} of {len(dataset)} pictures of {what} are unreadable; at most {limit:.1%} may be.",
            hint="Repair the pictures listed above, or raise max_unreadable.",
        )
    if not bad:
        return dataset, bad
    return dataset.select([row for row, text in enumerate(problems) if text is None]), bad


def _hub_id(source: str) -> tuple[str, str | None]:
    name, _, revision = source.partition("@")
    return name, revision or None


def _load(source: str, split: str) -> datasets.Dataset:
    folder = Path(source)
    if not folder.is_dir():
        return _load_from_hub(source, split)
    parquet = _parquet_files(folder)
    found = parquet or _picture_folders(folder)
    if split not in found:
        raise DataError(
            f"{source} has no split called {split!r}.", hint=f"Its splits are: {', '.join(sorted(found))}."
        )
    # The library takes file names for patterns, and has its own mind about the names of splits.
    files = {"rows": [glob.escape(name) for name in found[split]]}
    if parquet:
        return datasets.load_dataset("parquet", data_files=files, split="rows")
    labelled = any(len(Path(name).relative_to(folder).parts) > 2 for name in found[split])
    return datasets.load_dataset("imagefolder", data_files=files, split="rows", drop_labels=not labelled)


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
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)  # a Mac's archives hold "._NAME.jpg"
        if file.suffix.lower() in _PICTURES and not hidden and file.is_file():
            splits.setdefault(parts[0] if len(parts) > 1 else "all", []).append(str(file))
    if not splits:
        raise DataError(
            f"{folder} holds neither parquet files nor pictures.",
            hint="Expected SPLIT-00000-of-00001.parquet files, or folders SPLIT/CLASS/ with pictures.",
        )
    return splits


def _canonical(
    dataset: datasets.Dataset, source: str, labels: Sequence[str] | None, strict: bool
) -> datasets.Dataset:
    if "image" not in dataset.column_names:
        raise DataError(
            f"{source} has the columns {', '.join(dataset.column_names)}, but none called image.",
            hint="Name the column with the pictures 'image'.",
        )
    dataset = dataset.cast_column("image", datasets.Image(decode=False))
    paths = pc.struct_field(dataset.data.table["image"], "path").to_pylist()
    rows = len(dataset)
    columns = {
        "label": [NO_LABEL] * rows if labels is None else _labels(dataset, source, labels, strict),
        "id": [Path(path).name if path else str(row) for row, path in enumerate(paths)],
        "source": _texts(dataset, "source", rows),
        "group": _texts(dataset, "group" if "group" in dataset.column_names else "lesion_id", rows),
        "skin_type": _skin_types(dataset, rows),
    }
    types = {"label": "int64", "id": "string", "source": "string", "group": "string", "skin_type": "int64"}
    result = dataset.select_columns(["image"])
    for name, values in columns.items():
        result = result.add_column(name, values, feature=datasets.Value(types[name]))
    return result


def _texts(dataset: datasets.Dataset, column: str, rows: int) -> list[str | None]:
    if column not in dataset.column_names:
        return [None] * rows
    feature = dataset.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return feature.int2str(list(dataset[column]))
    return [None if value is None else str(value) for value in dataset[column]]


def _skin_types(dataset: datasets.Dataset, rows: int) -> list[int | None]:
    if "skin_type" not in dataset.column_names:
        return [None] * rows
    return [int(value) if value in range(1, 7) else None for value in dataset["skin_type"]]


def _labels(dataset: datasets.Dataset, source: str, labels: Sequence[str], strict: bool) -> list[int]:
    if "label" not in dataset.column_names:
        if strict:
            raise DataError(
                f"{source} has no column called label.",
                hint="Training and evaluation need a class a picture.",
            )
        return [NO_LABEL] * len(dataset)
    feature, values = dataset.features["label"], list(dataset["label"])
    if isinstance(feature, datasets.ClassLabel):
        names = list(feature.names)
    elif all(value is None or isinstance(value, str) for value in values):
        names = sorted({value for value in values if value is not None})
    else:
        raise DataError(
            f"The labels of {source} are bare numbers ({feature}), which say nothing about their order.",
            hint="Store them as ClassLabel with names, or as text.",
        )
    check_classes(names, labels, source=source, strict=strict)
    position = {name: number for number, name in enumerate(labels)}
    if isinstance(feature, datasets.ClassLabel):
        return [NO_LABEL if value is None or value < 0 else position[names[value]] for value in values]
    return [NO_LABEL if value is None else position[value] for value in values]


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
