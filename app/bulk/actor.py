"""The worker of ``python -m app predict-archive``: a shard of pictures in, a Parquet file out."""

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
from app.clinic import dicom_opener
from app.predictor import Predictor
from model.errors import CheckpointError, ComputationError, ImageError

PARTIAL = "_partial"
# Concurrent reads: an object store has a high latency but serves many requests at once.
_READERS = 8

In = TypeVar("In")
Out = TypeVar("Out")


def result(target: Place, shard: Shard) -> Place:
    """The path of a shard's finished result."""
    return target / f"part-{shard.name}.parquet"


def is_scored(target: Place, shard: Shard) -> bool:
    """Whether a shard's result exists and is complete, neither truncated nor damaged."""
    place = result(target, shard)
    try:
        with place.filesystem.open_input_file(place.path) as file:
            return len(pq.read_table(file, page_checksum_verification=True)) == len(shard)
    except (pa.ArrowException, OSError):
        return False


def sent(shard: Shard) -> dict[str, Any]:
    """Convert a shard for Ray, whose texts must be UTF-8, while file names need not be."""
    files = [os.fsencode(name) for name in shard.files]
    return {"name": shard.name, "files": files, "start": shard.start, "stop": shard.stop}


def received(item: dict[str, Any]) -> Shard:
    """Convert the result of ``sent`` back to a shard."""
    files = tuple(os.fsdecode(name) for name in item["files"])
    return Shard(item["name"], files, item["start"], item["stop"])


class Scorer:
    """Predicts shards in one process: shards in, Parquet files out.

    Args:
        archive: where the pictures are.
        target: the folder of the results.
        checkpoint, device, runtime, cores, dicom: as for ``score``.
        revision: that the checkpoint must have, whenever and wherever this process loads it.

    Raises:
        CheckpointError: the checkpoint has another revision.
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
        dicom: bool = False,
    ) -> None:
        self._archive, self._target = archive, target
        # One picture per core: cores that share a picture wait for each other.
        self._predictor = Predictor.from_checkpoint(
            checkpoint, device=device, runtime=runtime, threads=cores, streams=cores
        )
        if self._predictor.revision != revision:
            raise CheckpointError(
                f"The checkpoint {checkpoint} is at {self._predictor.revision} now, but this run began "
                f"with {revision}.",
                hint="Restore the old one to continue, or choose another --output.",
            )
        if self._predictor.runtime.name == "torch":
            import torch

            torch.set_num_threads(1)
        self._cores = cores
        self._opened = dicom_opener() if dicom else bytes
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
        """Predict one shard; return ``{"count": its pictures}``."""
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
            prediction = self._predictor.predict(self._opened(data))
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
    """An ordered ``map`` in a pool that runs at most ``depth`` items ahead of its consumer."""
    waiting: collections.deque[Future[Out]] = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
