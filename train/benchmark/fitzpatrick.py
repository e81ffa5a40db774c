"""The protocols of Fitzpatrick17k-C: a random split, and training on two skin types tested on the others.

After Abhishek, Jain and Hamarneh, "Investigating the quality of DermaMNIST and Fitzpatrick17k dermatological
image datasets", Scientific Data 12, 196 (2025). Their classes are the 114 diagnoses of Fitzpatrick17k.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from model.errors import DataError
from model.files import atomic_path, write_text
from train.data.rows import admit
from train.data.sources import split_names
from train.data.splits import load_split, picture_bytes
from train.evaluate.bootstrap import number_groups
from train.probe import Part

CLASSES: tuple[str, ...] = tuple(
    yaml.safe_load(
        (Path(__file__).parents[1] / "configs" / "fitzpatrick17k.yaml").read_text(encoding="utf-8")
    )["labels"]
)
"""The 114 diagnoses, in alphabetical order."""

SOURCES = ("dermaamin", "atlasdermatologico", "fitzpatrick17k_ajl")
"""The values of the column ``source`` for pictures of Fitzpatrick17k, here and in skin22."""

SKIN_TYPES = {"I-II": (1, 2), "III-IV": (3, 4), "V-VI": (5, 6)}
PARTS = ("train", "validation", "test")

_ROW_GROUP = 256


class Pictures(NamedTuple):
    """The pictures of Fitzpatrick17k in a data set.

    Attributes:
        rows: from ``load_split``, all splits together.
        split: the split of each, (N,).
        classes: names of the present diagnoses, in the order of ``CLASSES``.
        targets: indices in ``classes``, (N,).
        unreadable: number of pictures that could not be read.
    """

    rows: datasets.Dataset
    split: NDArray[np.str_]
    classes: list[str]
    targets: NDArray[np.int64]
    unreadable: int


def read_pictures(data: str, max_unreadable: float) -> Pictures:
    """Read the pictures of Fitzpatrick17k from a folder or Hub id, classified by the column ``diagnosis``.

    Args:
        data: Fitzpatrick17k or Fitzpatrick17k-C as downloaded, or a set that names their diagnoses and has
            one of ``SOURCES`` in its column ``source``.
        max_unreadable: largest share of unreadable pictures, 0 to 1.

    Raises:
        DataError: there are none, or too many are unreadable.
    """
    parts, split, unreadable = [], [], 0
    for name in split_names(data):
        rows = load_split([data], name, labels=None)
        known = [
            row
            for row, (source, diagnosis) in enumerate(zip(rows["source"], rows["diagnosis"], strict=True))
            if source in SOURCES and diagnosis and diagnosis.strip().lower() in CLASSES
        ]
        if known:
            chosen = rows.select(known)
            kept, bad = admit(chosen, what=name, max_unreadable=max_unreadable, labelled=False)
            parts.append(kept)
            split += [name] * len(kept)
            unreadable += len(bad)
    if not parts:
        raise DataError(
            f"{data} has no picture of Fitzpatrick17k with one of its {len(CLASSES)} diagnoses.",
            hint=f"Expected one of {', '.join(SOURCES)} in the column source, and the diagnosis as "
            "train/configs/fitzpatrick17k.yaml spells it in the column diagnosis.",
        )
    rows = datasets.concatenate_datasets(parts)
    names = [diagnosis.strip().lower() for diagnosis in rows["diagnosis"]]
    classes = [name for name in CLASSES if name in set(names)]
    targets = np.asarray([classes.index(name) for name in names], dtype=np.int64)
    return Pictures(rows, np.asarray(split), classes, targets, unreadable)


def protocols(pictures: Pictures) -> dict[str, Part]:
    """Row indices by protocol: ``random``, then the keys of ``SKIN_TYPES``, which name the training types.

    ``random`` is the data set's own partition if it has train, validation and test; otherwise 70 %, 10 % and
    20 % of the pictures, stratified by diagnosis, without splitting a group. A skin type protocol trains on
    the train and test parts of its types, chooses on the validation part, and tests on all pictures of the
    other types; diagnoses missing from one of the three are dropped, as are test pictures that share a group
    with a picture of the other two. A protocol with fewer than two diagnoses is skipped with a message.
    """
    part_of = _partition(pictures)
    result = {"random": Part(*(np.flatnonzero(part_of == name) for name in PARTS))}
    types = np.asarray([value or 0 for value in pictures.rows["skin_type"]])
    groups = number_groups(pictures.rows["group"])
    for name, own in SKIN_TYPES.items():
        inside = np.isin(types, own)
        chosen = [
            inside & np.isin(part_of, ("train", "test")),
            inside & (part_of == "validation"),
            (types > 0) & ~inside & ~np.isin(groups, groups[inside]),
        ]
        shared = set.intersection(*(set(pictures.targets[rows]) for rows in chosen))
        if len(shared) < 2:
            tqdm.write(f"{name}: {len(shared)} diagnoses are in all three parts; the protocol is skipped.")
            continue
        known = np.isin(pictures.targets, list(shared))
        result[name] = Part(*(np.flatnonzero(rows & known) for rows in chosen))
    return result


def write_splits(folder: Path, pictures: Pictures, parts: dict[str, Part]) -> None:
    """Write each protocol as a data set for ``fit`` and ``evaluate``, with its labels in ``labels.yaml``.

    Args:
        folder: gets ``PROTOCOL/{train,validation,test}.parquet`` and ``PROTOCOL/labels.yaml``.
        pictures: from ``read_pictures``.
        parts: from ``protocols``.
    """
    for protocol, part in parts.items():
        own = folder / protocol
        own.mkdir(parents=True, exist_ok=True)
        names = [pictures.classes[label] for label in np.unique(pictures.targets[part.train])]
        write_text(own / "labels.yaml", f"labels: {json.dumps(names, allow_nan=False)}\n")
        for name, numbers in zip(PARTS, part, strict=True):
            known = [row for row in numbers if pictures.classes[pictures.targets[row]] in names]
            _write(own / f"{name}.parquet", pictures, known, names)


def _partition(pictures: Pictures) -> NDArray[np.str_]:
    if set(PARTS) <= set(pictures.split):
        return pictures.split
    groups = number_groups(pictures.rows["group"])
    splitter = StratifiedGroupKFold(n_splits=10, shuffle=True, random_state=0)
    part_of = np.full(len(groups), "train", dtype="<U10")
    for fold, (_, rows) in enumerate(splitter.split(groups, pictures.targets, groups)):
        if fold < 3:
            part_of[rows] = "validation" if fold == 0 else "test"
    return part_of


def _write(file: Path, pictures: Pictures, numbers: Sequence[int], names: Sequence[str]) -> None:
    texts = {name: datasets.Value("string") for name in ("id", "source", "group", "diagnosis")}
    schema = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(names)),
            **texts,
            "skin_type": datasets.Value("int64"),
        }
    ).arrow_schema

    def entries(chunk: Sequence[int]) -> Iterator[dict]:
        for number, row in zip(chunk, pictures.rows.select(chunk), strict=True):
            same = {name: row[name] for name in (*texts, "skin_type")}
            image = {"bytes": picture_bytes(row), "path": Path(row["id"]).name}
            yield {"image": image, "label": names.index(pictures.classes[pictures.targets[number]]), **same}

    with atomic_path(file) as partial, pq.ParquetWriter(partial, schema) as writer:
        for start in tqdm(range(0, len(numbers), _ROW_GROUP), desc=f"write {file.parent.name} {file.stem}"):
            batch = list(entries(numbers[start : start + _ROW_GROUP]))
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
