"""The commands of ``python -m app``, as functions."""

from __future__ import annotations

import glob
import json
import os
import sys
from pathlib import Path
from typing import Literal

from app.bulk.walk import walk
from app.clinic import dicom_opener
from app.settings import EMBEDDED_CHECKPOINT, settings_table
from model.errors import ConfigError, ImageError

STANDARD_INPUT = "-"


def predict(
    pictures: list[str],
    *,
    checkpoint: str | None = None,
    device: str = "auto",
    heatmap: str | None = None,
    dicom: bool = False,
) -> int:
    """Predict pictures: one JSON object per line, with the picture's path and the prediction.

    Args:
        pictures: files, folders (with everything below them), patterns such as '*.jpg', or - to read one
            picture from standard input.
        checkpoint: folder or ORG/NAME@REVISION; default: the environment variable CHECKPOINT, or the built-in
            one.
        device: auto, cpu, cuda or mps.
        heatmap: PNG file to write the heat map to; for a single picture only.
        dicom: also read DICOM files; needs the packages of requirements-clinic.txt.
    """
    from app.heatmap import png_bytes
    from app.predictor import Predictor

    paths = [path for given in pictures for path in _found(given)]
    if heatmap and len(paths) != 1:
        print(f"error: --heatmap takes one picture, but {len(paths)} were given.", file=sys.stderr)
        raise SystemExit(2)
    opened = dicom_opener() if dicom else bytes
    cache = os.environ.get("GRAPH_CACHE")
    predictor = Predictor.from_checkpoint(
        _checkpoint(checkpoint), device=device, graph_cache=Path(cache) if cache else None
    )
    print(predictor.describe(), file=sys.stderr)
    failed = False
    for path in paths:
        try:
            prediction = predictor.predict(opened(_read(path)), heatmap=bool(heatmap))
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
    dicom: bool = False,
) -> int:
    """Predict an archive of pictures to Parquet files, on Ray; a killed run can be continued.

    Args:
        input: folder, parquet file, or s3://BUCKET/FOLDER.
        output: folder; a killed run continues in it.
        checkpoint: folder or ORG/NAME@REVISION; default: the environment variable CHECKPOINT, or the built-in
            one.
        device: auto, cpu, cuda or mps.
        runtime: auto, openvino or torch.
        actors: processes; default: one per core or GPU.
        cores: cores per process; default: an even share.
        shard_size: pictures per file.
        address: of a Ray cluster; default: Ray on this machine.
        dicom: also read DICOM files; needs the packages of requirements-clinic.txt.
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
            dicom=dicom,
        )
    except KeyboardInterrupt:
        print("stopped; run the same command again to continue", file=sys.stderr)
        return 130
    print(json.dumps(counts, allow_nan=False))
    return 0


def private(*, output: Path, checkpoint: str | None = None) -> None:
    """Write the page that computes in the visitor's browser, as a folder that any host can serve.

    Args:
        output: folder; an earlier copy of the page in it is replaced.
        checkpoint: folder or ORG/NAME@REVISION; default: the environment variable CHECKPOINT, or the built-in
            one.
    """
    from app.predictor import terms_of
    from app.private.site import write_site
    from model.checkpoint import find
    from model.runtime.small import small_graph

    found, cache = find(_checkpoint(checkpoint)), os.environ.get("GRAPH_CACHE")
    graph = small_graph(found, Path(cache) if cache else None)
    size = write_site(output, found, graph, terms=terms_of(found.card()))
    print(
        f"{output}: {size / 1e6:.0f} MB. To try it: python -m http.server --directory {output}",
        file=sys.stderr,
    )


def key_add(name: str, *, file: Path) -> None:
    """Create a key and print it, once.

    Args:
        name: of the holder.
        file: the keys file, KEYS_FILE of the service.
    """
    from app.service.keys import add_key

    print(add_key(file, name))
    print("This is the key. It is shown only once: pass it on safely.", file=sys.stderr)


def key_list(*, file: Path) -> None:
    """List the keys' names and creation dates.

    Args:
        file: the keys file, KEYS_FILE of the service.
    """
    from app.service.keys import KeyStore

    for key in KeyStore(file).valid():
        print(f"{key.created}  {key.name}")


def key_revoke(name: str, *, file: Path) -> None:
    """Revoke a key and its sessions, at once.

    Args:
        name: of the holder.
        file: the keys file, KEYS_FILE of the service.
    """
    from app.service.keys import revoke_key

    revoke_key(file, name)


def drift(*, audit_log: Path, since: str | None = None, checkpoint: str | None = None) -> int:
    """Compare a service's predictions with the validation pictures; the exit status is 3 if much changed.

    Args:
        audit_log: file that the service wrote with AUDIT_SIGNALS=yes.
        since: first day or time to compare, such as 2026-11-01; default: everything in the log.
        checkpoint: folder or ORG/NAME@REVISION; default: the environment variable CHECKPOINT, or the built-in
            one.
    """
    from app.drift import compare, logged, report
    from model.checkpoint import find
    from model.decision.drift import LARGE

    found = find(_checkpoint(checkpoint))
    if found.drift is None:
        raise ConfigError(
            f"The checkpoint {found.id} has nothing to compare with.",
            hint="`python -m train reference` adds it.",
        )
    window = list(logged(audit_log, since=since, revision=found.revision))
    changes = compare(found.drift, window)
    print(report(changes, pictures=len(window)))
    return 3 if changes[0].psi >= LARGE else 0


def settings() -> None:
    """Print the variables that a server reads: their values, defaults and meaning, as a Markdown table."""
    print(settings_table())


def _checkpoint(given: str | None) -> str:
    return given or os.environ.get("CHECKPOINT") or EMBEDDED_CHECKPOINT


def _found(given: str) -> list[str]:
    """Expand one argument: the files in a folder or matching a pattern, or the argument itself."""
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
