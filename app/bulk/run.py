"""``python -m app predict-archive``: an archive of any size to Parquet, with Ray, on one or many machines.

The archive is divided into shards, and the plan of them is written first. Each shard's result has the shard's
name and is renamed into place when it is complete, so a shard that was started twice counts once, and a
killed run continues with the shards that are missing.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import fs
from tqdm import tqdm

from app.bulk.actor import PARTIAL, Scorer, is_scored, result, sent
from app.bulk.archive import Archive, Place, Shard
from app.clinic import require_packages
from model.checkpoint import find
from model.errors import ConfigError, SkinDiseaseNetError
from model.text import parse_json, printable

PLAN = "_plan.json"
# Increase when the columns of the results change.
_VERSION = 2
# A shard that kills its process more often than this aborts the run.
_RETRIES = 3


def score(
    *,
    source: str,
    output: str,
    checkpoint: str,
    device: str,
    runtime: str,
    actors: int | None,
    cores: int | None,
    shard_size: int,
    address: str | None,
    dicom: bool = False,
) -> dict[str, int]:
    """Write one Parquet file per shard; docs/scaling.md describes its columns.

    Args:
        source: folder, parquet file, or an address such as ``s3://BUCKET/FOLDER``.
        output: folder; on a cluster, one that every machine can access.
        checkpoint: as for ``Predictor.from_checkpoint``; on a cluster, every machine must have access to it.
        device: auto, cpu, cuda or mps. runtime: auto, openvino or torch.
        actors: number of processes, each with its own ``Predictor``; default: one per core.
        cores: per process; default: an even share of all.
        shard_size: largest number of pictures in a shard.
        address: of a Ray cluster; None starts Ray on this machine for the duration of the run.
        dicom: also read DICOM files.

    Returns:
        The number of pictures per verdict; ``unreadable`` counts those with an error.

    Raises:
        ConfigError, CheckpointError, DataError: an option, the checkpoint or the archive is wrong, or
            ``output`` holds the results of another run.
    """
    for name, value in (("actors", actors), ("cores", cores), ("shard-size", shard_size)):
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}; at least 1 is expected.", hint=f"Correct --{name}.")
    if printable(output) != output:
        raise ConfigError(f"The name {printable(output)} is not UTF-8.", hint="Choose another --output.")
    place, target = Place.parse(source), Place.parse(output)
    if place.holds(target):
        raise ConfigError(f"The output {output} lies in the input {source}.", hint="Choose another --output.")
    if dicom:
        require_packages()
    found = find(checkpoint)
    archive = Archive(place)
    shards = archive.shards(size=shard_size, salt=f"{found.id} {found.revision}")
    pictures = sum(map(len, shards))
    plan = {
        "version": _VERSION,
        "checkpoint": {"id": found.id, "revision": found.revision},
        "pictures": pictures,
        "shard_size": shard_size,
        **({"dicom": True} if dicom else {}),
        "shards": [shard.name for shard in shards],
    }
    _keep_plan(target, plan, output)
    left = [shard for shard in shards if not is_scored(target, shard)]
    bar = tqdm(
        total=pictures,
        initial=pictures - sum(map(len, left)),
        desc="score",
        unit="picture",
        smoothing=0.1,
    )
    # Ray reports lost processes on stdout, which is for the result only.
    with bar, contextlib.redirect_stdout(sys.stderr):
        if left:
            work = (archive, target, checkpoint, found.revision)
            how = {"device": device, "runtime": runtime, "dicom": dicom}
            for count in _run(left, work, how, actors=actors, cores=cores, address=address):
                bar.update(count)
    if _exists(target / PARTIAL):
        target.filesystem.delete_dir((target / PARTIAL).path)
    return _summary([result(target, shard) for shard in shards])


def _run(
    shards: list[Shard],
    work: tuple[Archive, Place, str, str],
    how: dict[str, Any],
    *,
    actors: int | None,
    cores: int | None,
    address: str | None,
) -> Iterator[int]:
    """Let Ray's actors predict the shards; yields each finished shard's number of pictures."""
    ray = _ray()
    try:
        if address is None:
            # The object store holds only the plan, and is not reachable from other machines.
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                object_store_memory=100 * 2**20,
                _node_ip_address="127.0.0.1",
            )
        else:
            here = Path(__file__).resolve().parents[2]
            packages = [str(here / name) for name in ("app", "model")]
            ray.init(address=address, log_to_driver=False, runtime_env={"py_modules": packages})
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"The Ray cluster at {address} does" if address else "Ray on this machine does"
        raise ConfigError(
            f"{where} not answer ({error}).", hint="Check --address and `ray status`."
        ) from error
    try:
        there = ray.cluster_resources()
        gpus = int(there.get("GPU", 0)) if how["device"] in ("auto", "cuda") else 0
        total = max(1, int(there["CPU"]))
        actors = actors or gpus or total
        cores = cores or max(1, total // actors)
        if actors * cores > total:
            raise ConfigError(
                f"{actors} actors with {cores} cores each were requested, but Ray has {total} cores.",
                hint="Lower --actors or --cores.",
            )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        done = ray.data.from_items(
            [sent(shard) for shard in shards],
            override_num_blocks=len(shards),
        ).map(
            Scorer,
            fn_constructor_args=work,
            fn_constructor_kwargs={**how, "cores": cores},
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=2),
            **({"num_gpus": 1} if gpus else {"num_cpus": cores}),
            ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": _RETRIES},
        )
        for row in done.iter_rows():
            yield row["count"]
    except ray.exceptions.RayError as error:
        raise _cause(error) from error
    finally:
        ray.shutdown()


def _ray() -> Any:
    """Import Ray with its telemetry off; it reads these variables on import."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ConfigError(
            f"Scoring an archive needs Ray, which is not installed ({error}).",
            hint="Install it: pip install -r requirements-scale.txt -c constraints.txt",
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _cause(error: BaseException) -> SkinDiseaseNetError:
    """The error that a remote process raised, unwrapped if it is one of ours."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, SkinDiseaseNetError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    return SkinDiseaseNetError(
        f"Ray gave up: {error}", hint="Run the same command again: it continues where it stopped."
    )


def _keep_plan(target: Place, plan: dict[str, Any], output: str) -> None:
    """Write the plan, or make sure that the results in the folder belong to it."""
    stored = target / PLAN
    before = _read_plan(stored)
    if before == plan:
        return
    if before is not None:
        changed = [
            f"{name} was {before.get(name)} and is {value}"
            for name, value in plan.items()
            if name != "shards" and before.get(name) != value
        ]
        what = "; ".join(changed) or "the names or sizes of the pictures were different"
    elif others := _parts(target) - {f"part-{name}.parquet" for name in plan["shards"]}:
        what = f"{len(others)} files that this run would not write, {min(others)} first"
    else:
        target.filesystem.create_dir(target.path)
        with target.filesystem.open_output_stream(f"{stored.path}.new") as file:
            file.write(json.dumps(plan, indent=2, allow_nan=False).encode())
        target.filesystem.move(f"{stored.path}.new", stored.path)
        return
    raise ConfigError(
        f"{output} holds the results of another run ({what}).",
        hint="Give the same archive, checkpoint and shard size, or choose another --output.",
    )


def _read_plan(stored: Place) -> dict[str, Any] | None:
    """Read the plan; None if it is missing or truncated: the results' names then tell whose they are."""
    if not _exists(stored):
        return None
    with stored.filesystem.open_input_stream(stored.path) as file:
        try:
            plan = parse_json(file.read())
        except ValueError:
            return None
    return plan if isinstance(plan, dict) else None


def _parts(target: Place) -> set[str]:
    there = target.filesystem.get_file_info(fs.FileSelector(target.path, allow_not_found=True))
    return {info.base_name for info in there if info.base_name.startswith("part-")}


def _exists(place: Place) -> bool:
    return place.filesystem.get_file_info(place.path).type != fs.FileType.NotFound


def _summary(parts: list[Place]) -> dict[str, int]:
    counts: collections.Counter[str] = collections.Counter()
    for part in parts:
        with part.filesystem.open_input_file(part.path) as file:
            verdicts = pq.read_table(file, columns=["verdict"])["verdict"]
        counts.update(verdict or "unreadable" for verdict in verdicts.to_pylist())
    return dict(counts)
