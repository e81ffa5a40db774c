"""Would an 8-bit graph do? Its answers against the float32 graph's; nothing is served by it.

    python -m benchmarks.int8 --data DATA/skin22

The graph is quantised after training (ONNX Runtime, static, QDQ, a scale for each channel, convolutions
only) on training pictures, and both graphs then look at every picture of the validation split. It would be
worth offering if balanced accuracy fell by less than half a point and 98 % of the top labels stayed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.metrics import balanced_accuracy_score
from tqdm import tqdm

from model.checkpoint import find
from model.config import ModelConfig
from model.image import read_image
from model.image.preprocess import decode_side, preprocess
from model.runtime.export import graph_file
from model.runtime.graph_store import IMAGES, LOGITS


def rows(folder: Path, split: str, config: ModelConfig) -> Iterator[tuple[np.ndarray, int]]:
    """Every picture of a split as the network sees it, (1, 3, S, S), with its label number."""
    for file in sorted(folder.glob(f"{split}-*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(64, columns=["image", "label"]):
            for row in batch.to_pylist():
                picture = read_image(row["image"]["bytes"], target_side=decode_side(config))
                yield preprocess(picture, config=config)[None], row["label"]


class Pictures(CalibrationDataReader):
    """Hands out every so-many-th training picture."""

    def __init__(self, folder: Path, config: ModelConfig, *, count: int, step: int) -> None:
        drawn = (
            image for number, (image, _) in enumerate(rows(folder, "train", config)) if number % step == 0
        )
        self._images = iter([next(drawn) for _ in range(count)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {IMAGES: image}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", default="checkpoints/skin22")
    parser.add_argument("--data", type=Path, required=True, help="parquet folder with train and validation")
    parser.add_argument("--calibration", type=int, default=128, help="training pictures to quantise with")
    parser.add_argument("--threads", type=int, default=0, help="of ONNX Runtime; 0: all cores")
    options = parser.parse_args()
    checkpoint = find(options.checkpoint)
    config = checkpoint.config
    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = options.threads
    with graph_file(checkpoint, None) as graph, tempfile.TemporaryDirectory() as folder:
        prepared, small = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
        quant_pre_process(graph, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            small,
            Pictures(options.data, config, count=options.calibration, step=20),
            op_types_to_quantize=["Conv"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        graphs = [onnxruntime.InferenceSession(file, session) for file in (graph, small)]
        answers: list[list[int]] = [[], []]
        labels = []
        for image, label in tqdm(rows(options.data, "validation", config), unit="picture", file=sys.stderr):
            labels.append(label)
            for answer, one in zip(answers, graphs, strict=True):
                answer.append(int(one.run([LOGITS], {IMAGES: image})[0].argmax()))
    found: dict[str, Any] = {
        "pictures": len(labels),
        "balanced accuracy, float32": round(balanced_accuracy_score(labels, answers[0]), 4),
        "balanced accuracy, int8": round(balanced_accuracy_score(labels, answers[1]), 4),
        "same top label": round(float(np.mean(np.asarray(answers[0]) == answers[1])), 4),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
