"""Read data sets: the Hub, parquet folders, image folders and the layouts of ``train.data.formats``."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from model.errors import DataError
from model.files import atomic_path
from train.data import formats
from train.data.formats import Loader
from train.data.pictures import image_of, pictures, refuse_masks, shown

VALIDATION = ("validation", "val", "valid", "dev")
"""Names of a validation split, in any case; the first is the standard one."""

_NAMES = {"train": "train", "test": "test", **dict.fromkeys(VALIDATION, VALIDATION[0])}
_SHARD = re.compile(r"^(?P<split>.+?)-\d{5}-of-\d{5}$")
_BLOCK = 1 << 20


def split_names(source: str) -> list[str]:
    """The names of a source's splits, sorted; one called ``val``, ``Valid`` or ``dev`` is ``validation``.

    Raises:
        DataError: the folder has nothing readable, or the Hub does not provide the data set.
    """
    return sorted(
        {own if name in owns else name for name, owns in _meant(_found(source)).items() for own in owns}
    )


def load_rows(source: str, split: str, labels: Sequence[str] | None) -> datasets.Dataset:
    """Load one split of one source, with the source's own columns.

    Args:
        source: a folder or a Hub id (``ORG/NAME`` or ``ORG/NAME@REVISION``).
        split: the split's own name, or the one from ``split_names``.
        labels: the wanted classes; some public sets have labels at several levels.

    Raises:
        DataError: the source or split does not exist, the split is ambiguous, or its files are not valid.
    """
    found = _found(source)
    owns = _meant(found).get(split, [])
    if split in found:
        own = split
        if others := [name for name in owns if name != split]:
            tqdm.write(f"{shown(source)} has {split}, so {' and '.join(others)} is not used for it.")
    elif len(owns) == 1:
        own = owns[0]
        tqdm.write(f"{shown(source)}: the split {own} is taken as {split}.")
    elif owns:
        raise DataError(
            f"{shown(source)} has the splits {' and '.join(owns)}, and each of them could be {split}.",
            hint=f"Rename the right one to {split}.",
        )
    else:
        raise DataError(
            f"{shown(source)} has no split called {split!r}.",
            hint=f"Its splits are: {', '.join(sorted(found))}.",
        )
    return found[own](labels)


def _meant(found: Iterable[str]) -> dict[str, list[str]]:
    """The standard name of each split → the source's candidates for it."""
    names: dict[str, list[str]] = {}
    for own in sorted(found):
        names.setdefault(_NAMES.get(own.lower(), own), []).append(own)
    return names


def _found(source: str) -> dict[str, Loader]:
    """A loader for each split, by the source's own name."""
    folder = Path(source)
    if not folder.is_dir():
        return _on_the_hub(source)
    if public := formats.splits(folder):
        return public
    if parquet := _parquet_files(folder):
        return {split: partial(_load_parquet, files) for split, files in parquet.items()}
    return {
        split: partial(_load_pictures, folder, files) for split, files in _picture_folders(folder).items()
    }


def _on_the_hub(source: str) -> dict[str, Loader]:
    name, _, revision = source.partition("@")
    try:
        splits = datasets.get_dataset_split_names(name, revision=revision or None)
    except (OSError, ValueError) as error:
        raise _not_found(source, error) from error

    def load(split: str, labels: Sequence[str] | None) -> datasets.Dataset:
        try:
            return datasets.load_dataset(name, split=split, revision=revision or None)
        except (OSError, ValueError) as error:
            raise _not_found(source, error) from error

    return {split: partial(load, split) for split in splits}


def _not_found(source: str, error: Exception) -> DataError:
    problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return DataError(
        f"{shown(source)} is neither a local folder nor a data set on the Hub ({problem}).",
        hint="Check the spelling, the connection, and that you are signed in if the set is private.",
    )


def _parquet_files(folder: Path) -> dict[str, list[Path]]:
    """Parquet files by split: ``SPLIT-00000-of-00001.parquet`` or ``SPLIT.parquet``, here or in ``data/``."""
    splits: dict[str, list[Path]] = {}
    for file in sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")]):
        shard = _SHARD.match(file.stem)
        splits.setdefault(shown(shard["split"] if shard else file.stem), []).append(file)
    return splits


def _load_parquet(files: Sequence[Path], labels: Sequence[str] | None) -> datasets.Dataset:
    try:
        return datasets.concatenate_datasets([_table(file) for file in files])
    except ValueError as error:
        raise DataError(
            f"The columns of {' and '.join(shown(file.name) for file in files)} differ ({error}).",
            hint="Write the shards of a split with the same columns and the same class names.",
        ) from error


def _table(file: Path) -> datasets.Dataset:
    """Load a parquet file through a memory-mapped Arrow file that is named by the hash of the content.

    So a rewritten file is read again, whatever its name, time and size.
    """
    try:
        digest = hashlib.sha256()
        with open(file, "rb") as content:
            while block := content.read(_BLOCK):
                digest.update(block)
        arrow = Path(datasets.config.HF_DATASETS_CACHE) / "parquet-by-content" / f"{digest.hexdigest()}.arrow"
        if not arrow.is_file():
            with (
                pq.ParquetFile(file) as table,
                atomic_path(arrow) as fresh,
                pa.OSFile(os.fspath(fresh), "wb") as sink,
                pa.ipc.new_stream(sink, table.schema_arrow) as writer,
            ):
                for batch in table.iter_batches(batch_size=100):
                    writer.write_batch(batch)
        return datasets.Dataset.from_file(str(arrow))
    except (OSError, pa.ArrowException, NotImplementedError) as error:
        raise DataError(
            f"{shown(file)} is not a readable parquet file ({error}).",
            hint="Download or write it again.",
        ) from error


def _picture_folders(folder: Path) -> dict[str, list[Path]]:
    """Picture files by split: ``SPLIT/CLASS/*`` or ``SPLIT/*``; a flat folder is the split ``all``."""
    splits: dict[str, list[Path]] = {}
    for file in pictures(folder):
        parts = file.relative_to(folder).parts
        splits.setdefault(shown(parts[0]) if len(parts) > 1 else "all", []).append(file)
    if not splits:
        raise DataError(
            f"{shown(folder)} has neither parquet files nor pictures.",
            hint="Expected SPLIT-00000-of-00001.parquet files, folders SPLIT/CLASS/ with pictures, or a "
            "public data set as it is downloaded (docs/datasets.md).",
        )
    return splits


def _load_pictures(folder: Path, files: Sequence[Path], labels: Sequence[str] | None) -> datasets.Dataset:
    refuse_masks(folder, files)
    columns: dict[str, list] = {"image": [image_of(file) for file in files]}
    types = {"image": datasets.Image(decode=False)}
    parts = [file.relative_to(folder).parts for file in files]
    if any(len(names) > 2 for names in parts):
        classes = [shown(names[1]) if len(names) > 2 else None for names in parts]
        types["label"] = datasets.ClassLabel(names=sorted({name for name in classes if name is not None}))
        columns["label"] = classes
    return datasets.Dataset.from_dict(columns, features=datasets.Features(types))
