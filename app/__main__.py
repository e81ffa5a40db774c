"""The command line: ``python -m app predict PHOTO...``, one JSON Prediction a line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from app.heatmap import png_bytes
from app.predictor import Predictor
from app.settings import EMBEDDED_CHECKPOINT
from model.errors import ImageError, SkinDiseaseNetError


def main(arguments: list[str] | None = None) -> int:
    """Answers each photo; returns 1 if any could not be read, which its line then says."""
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = parser.add_subparsers(required=True)
    predict = commands.add_parser("predict", help="print one JSON Prediction a line")
    predict.add_argument("photos", nargs="+", metavar="PHOTO")
    predict.add_argument("--checkpoint", default=EMBEDDED_CHECKPOINT, help="folder or ORG/NAME@REVISION")
    predict.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    predict.add_argument("--heatmap", metavar="OUT.png", help="write the heat map of the one photo there")
    options = parser.parse_args(arguments)
    if options.heatmap and len(options.photos) > 1:
        parser.error("--heatmap takes one photo at a time.")
    try:
        predictor = Predictor.from_checkpoint(options.checkpoint, device=options.device)
    except SkinDiseaseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(predictor.describe(), file=sys.stderr)
    failed = False
    for photo in options.photos:
        try:
            prediction = predictor.predict(_read(photo), heatmap=bool(options.heatmap))
        except ImageError as error:
            print(json.dumps(error.to_json()), flush=True)
            print(f"error: {photo}: {error}", file=sys.stderr)
            failed = True
            continue
        print(json.dumps(prediction.to_json()), flush=True)
        if options.heatmap and prediction.heatmap:
            try:
                Path(options.heatmap).write_bytes(png_bytes(prediction.heatmap))
            except OSError as error:
                print(f"error: {options.heatmap} cannot be written ({error.strerror}).", file=sys.stderr)
                failed = True
    return int(failed)


def _read(photo: str) -> bytes:
    try:
        return Path(photo).read_bytes()
    except OSError as error:
        raise ImageError(
            f"{photo} cannot be read ({error.strerror}).", hint="Check the path.", code="unreadable_file"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
