"""What one process of ``python -m app predict-archive`` does: a shard of pictures in, a Parquet file out."""

from __future__ import annotations

import collections
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from app.bulk.archive import Archive, Place, Read, Shard
from app.predictor import Predictor
from model.errors import CheckpointError, ComputationError, ImageError

PARTIAL = "_partial"
# Pictures that are fetched at once: an object store answers late, but many at a time.
_READERS = 8

In = TypeVar("In")
Out = TypeVar("Out")


def result(target: Place, shard: Shard) -> Place:
    """Where a shard's finished result lies."""
    return target / f"part-{shard.name}.parquet"


def is_scored(target: Place, shard: Shard) -> bool:
    """Whether a shard's result is there and whole; one that is cut off or damaged is not."""
    place = result(target, shard)
    try:
        with place.filesystem.open_input_file(place.path) as file:
            return len(pq.read_table(file, page_checksum_verification=True)) == len(shard)
    except (pa.ArrowException, OSError):
        return False


def sent(shard: Shard) -> dict[str, Any]:
    """A shard as Ray can carry it, whose texts are UTF-8 and file names need not be."""
    files = [os.fsencode(name) for name in shard.files]
    return {"name": shard.name, "files": files, "start": shard.start, "stop": shard.stop}


def received(item: dict[str, Any]) -> Shard:
    """What ``sent`` was given."""
    files = tuple(os.fsdecode(name) for name in item["files"])
    return Shard(item["name"], files, item["start"], item["stop"])


class Scorer:
    """One process's share of the work: shards in, Parquet files out.

    Args:
        archive: where the pictures are.
        target: the folder of the results.
        checkpoint, device, runtime, cores: as for ``score``.
        revision: that the checkpoint must have, whenever this process starts and wherever it reads it.

    Raises:
        CheckpointError: it has another one.
    """

    def __init__(
        self,
        archive: Archive,
        target: Place,
        checkpoint: str,
        revision: str,
        *,
        device: str,
        runtime: str,
        cores: int,
    ) -> None:
        self._archive, self._target = archive, target
        # A picture a core: cores that share a picture wait for each other.
        self._predictor = Predictor.from_checkpoint(
            checkpoint, device=device, runtime=runtime, threads=cores, streams=cores
        )
        if self._predictor.revision != revision:
            raise CheckpointError(
                f"The checkpoint {checkpoint} is at {self._predictor.revision} now, but this run began "
                f"with {revision}.",
                hint="Put the old one back to go on, or choose another --output.",
            )
        if self._predictor.runtime.name == "torch":
            import torch

            torch.set_num_threads(1)
        self._cores = cores
        labels = [f"probability_{name}" for name in self._predictor.config.labels]
        self._schema = pa.schema(
            [
                ("path", pa.string()),
                ("verdict", pa.string()),
                *((label, pa.float32()) for label in labels),
                ("malignancy_probability", pa.float32()),
                ("malignancy_fired", pa.bool_()),
                ("prediction_set", pa.list_(pa.string())),
                ("quality", pa.list_(pa.string())),
                ("error", pa.string()),
            ],
            metadata={"checkpoint": f"{self._predictor.id} {self._predictor.revision}"},
        )

    def __call__(self, item: dict[str, Any]) -> dict[str, int]:
        """Scores one shard; returns ``{"count": its pictures}``."""
        shard = received(item)
        with ThreadPoolExecutor(_READERS) as readers, ThreadPoolExecutor(self._cores) as workers:
            fetched = _ahead(readers, _fetch, self._archive.read(shard), depth=2 * _READERS)
            rows = list(_ahead(workers, self._row, fetched, depth=2 * self._cores))
        self._write(shard, pa.Table.from_pylist(rows, schema=self._schema))
        return {"count": len(rows)}

    def _row(self, picture: tuple[str, bytes | Exception]) -> dict[str, Any]:
        path, data = picture
        try:
            if isinstance(data, Exception):
                raise data
            prediction = self._predictor.predict(data)
        except (ImageError, ComputationError, OSError) as error:
            return {"path": path, "error": str(error)}
        row = {
            "path": path,
            "verdict": prediction.verdict,
            **{f"probability_{one.name}": one.probability for one in prediction.conditions},
            "prediction_set": prediction.prediction_set,
            "quality": [warning.name for warning in prediction.quality],
        }
        if (summed := prediction.malignancy) is not None:
            row |= {"malignancy_probability": summed.probability, "malignancy_fired": summed.fired}
        return row

    def _write(self, shard: Shard, table: pa.Table) -> None:
        partial = self._target / PARTIAL / f"{shard.name}-{uuid.uuid4().hex}.parquet"
        files = self._target.filesystem
        files.create_dir((self._target / PARTIAL).path)
        with files.open_output_stream(partial.path) as file:
            pq.write_table(table, file, write_page_checksum=True)
        files.move(partial.path, result(self._target, shard).path)


def _fetch(picture: tuple[str, Read]) -> tuple[str, bytes | Exception]:
    path, read = picture
    try:
        return path, read()
    except (ImageError, OSError) as error:
        return path, error


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[In], Out], items: Iterable[In], *, depth: int
) -> Iterator[Out]:
    """``map`` in a pool, in order, that takes only so many items ahead of its reader."""
    waiting: collections.deque[Future[Out]] = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
