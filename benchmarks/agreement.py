"""The exported graph against PyTorch on real pictures: ``python -m benchmarks.agreement --data DIR``.

Compares probabilities and verdicts; both runtimes take each picture from its bytes to the answer.
Exits with 1 where a probability is further apart than ``model.runtime.export.TOLERANCE``, or a verdict is
another though no value it depends on is that close to its threshold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as parquet

from app.prediction import Prediction
from app.predictor import Predictor
from app.settings import EMBEDDED_CHECKPOINT
from model.config import ModelConfig
from model.runtime.export import TOLERANCE


def pictures(folder: Path, split: str, count: int) -> Iterator[bytes]:
    """Encoded pictures from the parquet files of a split, spread evenly over it."""
    files = sorted(folder.glob(f"{split}-*.parquet"))
    if not files:
        sys.exit(f"error: {folder} has no files {split}-*.parquet. Name a folder and a split that are there.")
    column = [
        row["bytes"]
        for file in files
        for row in parquet.read_table(file, columns=["image"])["image"].to_pylist()
    ]
    step = max(1, len(column) // count)
    yield from column[::step][:count]


def near_threshold(prediction: Prediction, config: ModelConfig) -> bool:
    """Whether a value that decides the verdict is within the tolerance of where it would decide otherwise."""
    first, second = (ranked.probability for ranked in prediction.conditions[:2])
    distances = [abs(criterion.value - criterion.threshold) for criterion in prediction.criteria]
    return min(*distances, abs(first - config.uncertain_below), first - second) <= 2 * TOLERANCE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", default=EMBEDDED_CHECKPOINT)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of parquet files with a column `image`"
    )
    parser.add_argument("--split", default="validation")
    parser.add_argument("--count", type=int, default=500, help="pictures")
    options = parser.parse_args()
    graph = Predictor.from_checkpoint(options.checkpoint, device="cpu", runtime="openvino")
    reference = Predictor.from_checkpoint(options.checkpoint, device="cpu", runtime="torch")
    count = same_top = same_verdict = unexplained = 0
    largest = 0.0
    for data in pictures(options.data, options.split, options.count):
        got, expected = graph.predict(data), reference.predict(data)
        shares = {ranked.name: ranked.probability for ranked in expected.conditions}
        largest = max(largest, *(abs(ranked.probability - shares[ranked.name]) for ranked in got.conditions))
        count += 1
        same_top += got.conditions[0].name == expected.conditions[0].name
        same_verdict += got.verdict == expected.verdict
        unexplained += got.verdict != expected.verdict and not near_threshold(expected, graph.config)
    report = {
        "checkpoint": graph.revision,
        "pictures": count,
        "largest difference of a probability": largest,
        "same top label": same_top,
        "same verdict": same_verdict,
        "verdicts that differ away from a threshold": unexplained,
    }
    print(json.dumps(report, indent=1))
    return int(largest > TOLERANCE or unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
