"""Small data sets for tests, in the layouts that people have; a picture's colour tells its class."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from conftest import encode, make_picture
from PIL import Image

from model.labels import LABELS

COLUMNS = ("image", "label", "source", "group")
SUFFIXES = {"JPEG": ".jpg", "WEBP": ".webp", "PNG": ".png"}


def class_picture(number: int, classes: int, *, seed: int, side: int = 48) -> Image.Image:
    """A picture whose colour tells its class, no two seeds alike."""
    red, green, blue = colorsys.hsv_to_rgb(number / classes, 0.9, 0.95 if number % 2 else 0.5)
    plain = Image.new("RGB", (side + 16, side), tuple(round(255 * part) for part in (red, green, blue)))
    return Image.blend(make_picture(side + 16, side, seed=seed), plain, 0.75)


def make_rows(
    count: int,
    *,
    labels: Sequence[str] = LABELS,
    seed: int = 0,
    kind: str = "JPEG",
    group_size: int = 2,
    named: bool = True,
) -> list[dict[str, Any]]:
    """Rows with ``image`` (encoded), ``label`` (a name), ``source``, ``group``, ``lesion_id``, ``diagnosis``.

    Args:
        count: row ``i`` has the class ``i // group_size`` modulo their number.
        labels: class names; the colour follows a name's position.
        seed: of the pictures, their file names and groups; another seed, other rows.
        kind: JPEG, WEBP or PNG.
        group_size: neighbouring rows that share class and group.
        named: whether the pictures carry file names.
    """
    rows = []
    for row in range(count):
        number = row // group_size % len(labels)
        data = encode(class_picture(number, len(labels), seed=1000 * seed + row), kind)
        group = f"{seed}-{row // group_size}"
        rows.append(
            {
                "image": {"bytes": data, "path": f"{seed}-{row}{SUFFIXES[kind]}" if named else None},
                "label": labels[number],
                "source": ("clinic", "atlas")[row % 2],
                "group": group,
                "lesion_id": group,
                "diagnosis": labels[number],
            }
        )
    return rows


def write_parquet(
    file: Path,
    rows: list[dict[str, Any]],
    *,
    columns: Sequence[str] = COLUMNS,
    names: Sequence[str] | None = LABELS,
) -> None:
    """Writes rows as the ``datasets`` library does, with its own description of the columns.

    Args:
        columns: the columns to write.
        names: of the ClassLabel, in their order; None writes the labels as they stand in the rows.
    """
    features = {name: datasets.Value("string") for name in columns}
    features["image"] = datasets.Image()
    if names is not None and "label" in columns:
        features["label"] = datasets.ClassLabel(names=list(names))
    elif "label" in columns and not isinstance(rows[0]["label"], str):
        features["label"] = datasets.Value("int64")
    kept = [{name: row[name] for name in columns} for row in rows]
    file.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(kept, features=datasets.Features(features)).to_parquet(file)


def make_parquet(
    folder: Path,
    splits: dict[str, int],
    *,
    labels: Sequence[str] = LABELS,
    seed: int = 0,
    columns: Sequence[str] = COLUMNS,
    kind: str = "JPEG",
    group_size: int = 2,
) -> Path:
    """A parquet folder like ``../shared/data/skin22``: one file a split; see ``make_rows`` for the rest."""
    for number, (split, count) in enumerate(splits.items()):
        rows = make_rows(count, labels=labels, seed=10 * seed + number, kind=kind, group_size=group_size)
        write_parquet(folder / f"{split}-00000-of-00001.parquet", rows, columns=columns, names=labels)
    return folder


def make_image_folder(
    folder: Path, splits: dict[str, int], *, labels: Sequence[str] = LABELS, seed: int = 0, kind: str = "JPEG"
) -> Path:
    """An image folder ``SPLIT/CLASS/*`` like the public Kaggle set, with so many pictures a class."""
    for split, count in splits.items():
        for number, name in enumerate(labels):
            for picture in range(count):
                seed += 1
                file = folder / split / name / f"{split}_{name}_{picture}{SUFFIXES[kind]}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encode(class_picture(number, len(labels), seed=seed), kind))
    return folder
