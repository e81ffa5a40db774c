"""The same ONNX graph that we serve, in ONNX Runtime behind LitServe with batching.

Started by ``benchmarks/serve.py`` as ``python -m benchmarks.litserve_server``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import litserve
import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from timm.data import create_transform

from model.checkpoint import find

# LitServe 0.2.19 takes an installed `mcp` for `fastmcp`, and then fails to start.
litserve.server._MCP_AVAILABLE = False


class SkinAPI(litserve.LitAPI):
    """Decodes, computes batch by batch, ranks."""

    def setup(self, device: str) -> None:
        self.config = find(os.environ["CHECKPOINT"]).config
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["BENCH_THREADS"])
        self.session = onnxruntime.InferenceSession(
            Path(os.environ["BENCH_GRAPH"]), options, providers=["CPUExecutionProvider"]
        )
        self.transform = create_transform(
            self.config.input_size,
            is_training=False,
            interpolation=self.config.interpolation,
            mean=self.config.mean,
            std=self.config.std,
            crop_pct=self.config.crop_pct,
            crop_mode=self.config.crop_mode,
        )

    def decode_request(self, request):  # an annotation here would be taken for the type of the body
        picture = ImageOps.exif_transpose(Image.open(request["image"].file)).convert("RGB")
        return self.transform(picture).numpy()

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, images: np.ndarray) -> np.ndarray:
        single = images.ndim == 3  # LitServe calls `batch` only where the largest batch is over one
        logits = self.session.run(["logits"], {"images": images[None] if single else images})[0]
        scaled = np.exp((logits - logits.max(axis=-1, keepdims=True)) / self.config.temperature)
        probabilities = scaled / scaled.sum(axis=-1, keepdims=True)
        return probabilities[0] if single else probabilities

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        ranked = sorted(zip(output.tolist(), self.config.labels, strict=True), reverse=True)
        return {"conditions": [{"name": name, "probability": probability} for probability, name in ranked]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="the largest batch")
    options = parser.parse_args()
    api = SkinAPI(max_batch_size=options.batch, batch_timeout=0.01 if options.batch > 1 else 0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=options.workers, timeout=60)
    server.run(
        host="127.0.0.1",
        port=options.port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
