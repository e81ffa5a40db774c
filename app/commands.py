"""The commands of ``python -m app``, as functions."""

from __future__ import annotations

import glob
import json
import os
import sys
from pathlib import Path
from typing import Literal

from app.bulk.walk import walk
from app.settings import EMBEDDED_CHECKPOINT, settings_table
from model.errors import ImageError

STANDARD_INPUT = "-"


def predict(
    pictures: list[str],
    *,
    checkpoint: str | None = None,
    device: str = "auto",
    heatmap: str | None = None,
) -> int:
    """Answer pictures: one JSON object a line, with the picture's path and the prediction.

    Args:
        pictures: files, folders (with all that lies below), patterns such as '*.jpg', or - for the bytes of
            one picture on the standard input.
        checkpoint: folder or ORG/NAME@REVISION; without it CHECKPOINT of the environment, or the one that
            ships.
        device: auto, cpu, cuda or mps.
        heatmap: PNG file for the heat map; of one picture.
    """
    from app.heatmap import png_bytes
    from app.predictor import Predictor

    paths = [path for given in pictures for path in _found(given)]
    if heatmap and len(paths) != 1:
        print(f"error: --heatmap takes one picture, and {len(paths)} were named.", file=sys.stderr)
        raise SystemExit(2)
    cache = os.environ.get("GRAPH_CACHE")
    predictor = Predictor.from_checkpoint(
        _checkpoint(checkpoint), device=device, graph_cache=Path(cache) if cache else None
    )
    print(predictor.describe(), file=sys.stderr)
    failed = False
    for path in paths:
        try:
            prediction = predictor.predict(_read(path), heatmap=bool(heatmap))
        except ImageError as error:
            print(json.dumps({"path": path, **error.to_json()}, allow_nan=False), flush=True)
            print(f"error: {path}: {error}", file=sys.stderr)
            failed = True
            continue
        print(json.dumps({"path": path, **prediction.to_json()}, allow_nan=False), flush=True)
        if heatmap and prediction.heatmap:
            try:
                Path(heatmap).write_bytes(png_bytes(prediction.heatmap))
            except OSError as error:
                print(f"error: {heatmap} cannot be written ({error.strerror}).", file=sys.stderr)
                failed = True
    return int(failed)


def predict_archive(
    *,
    input: str,
    output: str,
    checkpoint: str | None = None,
    device: str = "auto",
    runtime: Literal["auto", "openvino", "torch"] = "auto",
    actors: int | None = None,
    cores: int | None = None,
    shard_size: int = 256,
    address: str | None = None,
) -> int:
    """Answer an archive of pictures to Parquet files, on Ray; a killed run goes on.

    Args:
        input: folder, parquet file, or s3://BUCKET/FOLDER.
        output: folder, where a killed run goes on.
        checkpoint: folder or ORG/NAME@REVISION; without it CHECKPOINT of the environment, or the one that
            ships.
        device: auto, cpu, cuda or mps.
        runtime: what computes the network.
        actors: processes; default one a core or GPU.
        cores: cores of each; default an even share.
        shard_size: pictures a file.
        address: of a Ray cluster; default Ray on this machine.
    """
    from app.bulk.run import score

    try:
        counts = score(
            source=input,
            output=output,
            checkpoint=_checkpoint(checkpoint),
            device=device,
            runtime=runtime,
            actors=actors,
            cores=cores,
            shard_size=shard_size,
            address=address,
        )
    except KeyboardInterrupt:
        print("stopped; the same command goes on where this one was", file=sys.stderr)
        return 130
    print(json.dumps(counts, allow_nan=False))
    return 0


def key_add(name: str, *, file: Path) -> None:
    """Make a key and print it, this once.

    Args:
        name: who holds it.
        file: the keys file, KEYS_FILE of the service.
    """
    from app.service.keys import add_key

    print(add_key(file, name))
    print("This is the key. It is shown only now: hand it over safely.", file=sys.stderr)


def key_list(*, file: Path) -> None:
    """Print the names, and the days on which they were made.

    Args:
        file: the keys file, KEYS_FILE of the service.
    """
    from app.service.keys import KeyStore

    for key in KeyStore(file).valid():
        print(f"{key.created}  {key.name}")


def key_revoke(name: str, *, file: Path) -> None:
    """End a key and its sessions, at once.

    Args:
        name: who holds it.
        file: the keys file, KEYS_FILE of the service.
    """
    from app.service.keys import revoke_key

    revoke_key(file, name)


def settings() -> None:
    """Print the variables that a server reads: their values, defaults and meaning, as a Markdown table."""
    print(settings_table())


def _checkpoint(given: str | None) -> str:
    return given or os.environ.get("CHECKPOINT") or EMBEDDED_CHECKPOINT


def _found(given: str) -> list[str]:
    """What one word names: what lies in a folder or fits a pattern, and itself if that is nothing."""
    if given == STANDARD_INPUT or Path(given).is_file():
        return [given]
    if Path(given).is_dir():
        found = [os.path.join(given, below) for below, _ in walk(given)]
    else:
        found = sorted(path for path in glob.glob(given, recursive=True) if Path(path).is_file())
    return found or [given]


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read ({error.strerror}).", hint="Check the path.", code="unreadable_file"
        ) from error
