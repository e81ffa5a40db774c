"""An archive of pictures, in folders or in parquet tables, here or in an object store, cut into shards."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from app.bulk.walk import walk
from model.errors import ConfigError, DataError, ImageError
from model.image import MAX_BYTES
from model.text import printable

# Rows of a table in memory at a time.
_ROWS = 16

Read = Callable[[], bytes]


@dataclasses.dataclass(frozen=True)
class Shard:
    """A part of the archive that is processed as a unit.

    Attributes:
        name: changes whenever the result could: a hash over its pictures' paths and sizes and the checkpoint.
        files: paths of the pictures below the archive's root; or the one parquet table that holds them.
        start, stop: the table's rows, from 0; both 0 for files.
    """

    name: str
    files: tuple[str, ...]
    start: int = 0
    stop: int = 0

    def __len__(self) -> int:
        return self.stop - self.start or len(self.files)


@dataclasses.dataclass(frozen=True)
class Place:
    """A path in a file system: ``/data/x``, ``s3://bucket/x`` or anything else that pyarrow opens."""

    filesystem: fs.FileSystem
    path: str

    @classmethod
    def parse(cls, reference: str) -> Place:
        """Find the file system of a path or an address.

        Raises:
            ConfigError: pyarrow does not know such an address.
        """
        if "://" not in reference:
            return cls(fs.LocalFileSystem(), os.path.realpath(reference))
        try:
            return cls(*fs.FileSystem.from_uri(reference))
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(
                f"{reference} cannot be opened ({error}).",
                hint="Give a folder, a parquet file, or an address such as s3://BUCKET/FOLDER.",
            ) from error

    def holds(self, other: Place) -> bool:
        """Whether the other path is this one or below it."""
        below = f"{other.path}/".startswith(f"{self.path.rstrip('/')}/")
        return below and self.filesystem.equals(other.filesystem)

    def __truediv__(self, name: str) -> Place:
        return Place(self.filesystem, f"{self.path.rstrip('/')}/{name}")


class Archive:
    """Pictures in a folder: every file, and every row of a parquet table with a column ``image``.

    Files and folders whose names begin with a dot are skipped, and so are marker files such as ``_SUCCESS``:
    names that begin with an underscore and have no extension. Tables have the format of the Hub: ``image`` is
    a struct with ``bytes``, or the encoded picture itself. On a local disk, names need not be UTF-8, and each
    real folder is read once, as ``walk`` describes.

    Args:
        place: a folder, a parquet table, or one picture.
    """

    def __init__(self, place: Place) -> None:
        self._filesystem = place.filesystem
        # pyarrow can neither represent every local file name nor detect circular links.
        self._here = isinstance(place.filesystem, fs.LocalFileSystem)
        self._root = place.path.rstrip("/")
        self._only: str | None = None
        if (
            os.path.isfile(self._root)
            if self._here
            else place.filesystem.get_file_info(self._root).type == fs.FileType.File
        ):
            self._root, self._only = os.path.split(self._root)

    def shards(self, *, size: int, salt: str) -> list[Shard]:
        """List the archive, in an order that depends only on the names.

        Args:
            size: largest number of pictures in a shard.
            salt: part of the shards' names: everything else that determines their results.

        Raises:
            DataError: there are no pictures, or a table has no column ``image``.
        """
        pictures: list[tuple[str, int]] = []
        shards = []
        for path, length in self._files():
            rows = self._table_rows(path)
            if rows is None:
                pictures.append((path, length))
                continue
            for start in range(0, rows, size):
                stop = min(start + size, rows)
                name = _digest([salt, path, length, start, stop])
                shards.append(Shard(name, (path,), start, stop))
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            shards.append(Shard(_digest([salt, part]), tuple(path for path, _ in part)))
        if not shards:
            raise DataError(f"{self._root} holds no pictures.", hint="Check the path.")
        return shards

    def read(self, shard: Shard) -> Iterator[tuple[str, Read]]:
        """The path of each picture below the root (``TABLE#ROW`` in a table), and a function that reads it.

        A byte in a path that is not UTF-8 is written as ``\\xff``. The function raises ``ImageError`` or
        ``OSError`` if the picture cannot be read.
        """
        if shard.stop:
            yield from self._read_rows(shard.files[0], shard.start, shard.stop)
        else:
            for path in shard.files:
                yield printable(path), functools.partial(self._read_file, path)

    def _files(self) -> list[tuple[str, int]]:
        try:
            if self._here:
                files = (
                    [(self._only, os.path.getsize(self._full(self._only)))]
                    if self._only
                    else walk(self._root)
                )
            else:
                files = self._elsewhere()
        except OSError as error:
            raise DataError(f"{self._root} cannot be listed ({error}).", hint="Check the path.") from error
        return sorted((path, size) for path, size in files if not _left_out(path))

    def _elsewhere(self) -> list[tuple[str, int]]:
        what = self._full(self._only) if self._only else fs.FileSelector(self._root, recursive=True)
        infos = self._filesystem.get_file_info(what)
        return [
            (info.path[len(self._root) :].lstrip("/"), info.size)
            for info in (infos if isinstance(infos, list) else [infos])
            if info.type == fs.FileType.File
        ]

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _open(self, path: str) -> Any:
        return (
            open(self._full(path), "rb") if self._here else self._filesystem.open_input_file(self._full(path))
        )

    def _table_rows(self, path: str) -> int | None:
        """Number of rows; None for a file that is not a parquet table and so counts as a picture."""
        if not path.endswith(".parquet"):
            return None
        try:
            with self._open(path) as file:
                table = pq.ParquetFile(file)
                names, rows = table.schema_arrow.names, table.metadata.num_rows
        except (pa.ArrowException, OSError):
            return None
        if "image" not in names:
            raise DataError(
                f"{printable(path)} has no column 'image'; its columns are: {', '.join(names)}.",
                hint="Name the pictures' column 'image', or move the table out of the folder.",
            )
        return rows

    def _read_file(self, path: str) -> bytes:
        full = self._full(path)
        with open(full, "rb") if self._here else self._filesystem.open_input_stream(full) as file:
            # one more than accepted, so that files that are too large are recognised
            return file.read(MAX_BYTES + 1)

    def _read_rows(self, path: str, start: int, stop: int) -> Iterator[tuple[str, Read]]:
        row, name = start, printable(path)
        try:
            with self._open(path) as file:
                table = pq.ParquetFile(file, buffer_size=1 << 20)
                first = 0
                # One row group at a time, so that a damaged one does not affect the others.
                for group in range(table.num_row_groups):
                    after = first + table.metadata.row_group(group).num_rows
                    if after > row and first < stop:
                        for batch in table.iter_batches(_ROWS, row_groups=[group], columns=["image"]):
                            for value in batch.column("image")[max(0, row - first) : max(0, stop - first)]:
                                yield f"{name}#{row}", functools.partial(_row_bytes, value)
                                row += 1
                            first += len(batch)
                            if row == stop:
                                return
                    first = after
        except (pa.ArrowException, OSError) as error:
            problem = f"{name} cannot be read from row {row} on ({' '.join(str(error).split())})."
            for lost in range(row, stop):
                yield f"{name}#{lost}", functools.partial(_fail, problem)


def _row_bytes(value: pa.Scalar) -> bytes:
    content = value.as_py()
    data = content.get("bytes") if isinstance(content, dict) else content
    if data is None:
        raise ImageError("The row holds no picture.", hint="Fill or remove it.", code="empty_image")
    return data


def _fail(problem: str) -> bytes:
    raise ImageError(problem, hint="Fetch the table again.", code="unreadable_file")


def _left_out(path: str) -> bool:
    *_, name = parts = path.split("/")
    return any(part.startswith(".") for part in parts) or (name.startswith("_") and "." not in name)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()[:16]
