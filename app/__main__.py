"""The command line: ``predict`` prints predictions, ``score`` takes an archive, ``key`` says who may ask."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from app.heatmap import png_bytes
from app.predictor import Predictor
from app.service.keys import KeyStore, add_key, revoke_key
from app.settings import EMBEDDED_CHECKPOINT
from model.errors import ImageError, SkinDiseaseNetError
from model.runtime.base import RUNTIMES


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns 0, or 1 after an error, which was printed."""
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = parser.add_subparsers(required=True)
    predict = commands.add_parser("predict", help="print one JSON Prediction a line")
    predict.add_argument("photos", nargs="+", metavar="PHOTO")
    predict.add_argument("--checkpoint", default=EMBEDDED_CHECKPOINT, help="folder or ORG/NAME@REVISION")
    predict.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    predict.add_argument("--heatmap", metavar="OUT.png", help="write the heat map of the one photo there")
    predict.set_defaults(run=_predict)
    _add_score(commands.add_parser("score", help="score an archive to Parquet files, on Ray"))
    _add_key_commands(commands.add_parser("key", help="add, list and revoke the keys of ACCESS=keys"))
    options = parser.parse_args(arguments)
    if getattr(options, "heatmap", None) and len(options.photos) > 1:
        parser.error("--heatmap takes one photo at a time.")
    try:
        return options.run(options)
    except SkinDiseaseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _predict(options: argparse.Namespace) -> int:
    """Answers each photo; returns 1 if any could not be read, which its line then says."""
    predictor = Predictor.from_checkpoint(options.checkpoint, device=options.device)
    print(predictor.describe(), file=sys.stderr)
    failed = False
    for photo in options.photos:
        try:
            prediction = predictor.predict(_read(photo), heatmap=bool(options.heatmap))
        except ImageError as error:
            print(json.dumps(error.to_json(), allow_nan=False), flush=True)
            print(f"error: {photo}: {error}", file=sys.stderr)
            failed = True
            continue
        print(json.dumps(prediction.to_json(), allow_nan=False), flush=True)
        if options.heatmap and prediction.heatmap:
            try:
                Path(options.heatmap).write_bytes(png_bytes(prediction.heatmap))
            except OSError as error:
                print(f"error: {options.heatmap} cannot be written ({error.strerror}).", file=sys.stderr)
                failed = True
    return int(failed)


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", required=True, help="folder, parquet file, or s3://BUCKET/FOLDER")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where a killed run goes on")
    parser.add_argument("--checkpoint", default=EMBEDDED_CHECKPOINT, help="folder or ORG/NAME@REVISION")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--runtime", choices=RUNTIMES, default="auto", help="what computes the network")
    parser.add_argument("--actors", type=int, metavar="N", help="processes; default one a core or GPU")
    parser.add_argument("--cores", type=int, metavar="N", help="cores of each; default an even share")
    parser.add_argument("--shard-size", type=int, default=256, metavar="N", help="pictures a file")
    parser.add_argument("--address", help="of a Ray cluster; default Ray on this machine")
    parser.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> int:
    from app.bulk.run import score

    try:
        counts = score(
            source=options.input,
            output=options.output,
            checkpoint=options.checkpoint,
            device=options.device,
            runtime=options.runtime,
            actors=options.actors,
            cores=options.cores,
            shard_size=options.shard_size,
            address=options.address,
        )
    except KeyboardInterrupt:
        print("stopped; the same command goes on where this one was", file=sys.stderr)
        return 130
    print(json.dumps(counts, allow_nan=False))
    return 0


def _add_key_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True)
    for name, run, words in (
        ("add", _key_add, "make a key and print it, this once"),
        ("list", _key_list, "print the names, and the days on which they were made"),
        ("revoke", _key_revoke, "end a key and its sessions, at once"),
    ):
        action = actions.add_parser(name, help=words)
        if name != "list":
            action.add_argument("name", metavar="NAME")
        action.add_argument(
            "--file", type=Path, required=True, help="the keys file, KEYS_FILE of the service"
        )
        action.set_defaults(run=run)


def _key_add(options: argparse.Namespace) -> int:
    print(add_key(options.file, options.name))
    print("This is the key. It is shown only now: hand it over safely.", file=sys.stderr)
    return 0


def _key_list(options: argparse.Namespace) -> int:
    for key in KeyStore(options.file).valid():
        print(f"{key.created}  {key.name}")
    return 0


def _key_revoke(options: argparse.Namespace) -> int:
    revoke_key(options.file, options.name)
    return 0


def _read(photo: str) -> bytes:
    try:
        return Path(photo).read_bytes()
    except OSError as error:
        raise ImageError(
            f"{photo} cannot be read ({error.strerror}).", hint="Check the path.", code="unreadable_file"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
