"""The network alone and the predictor alone, each in a process of its own; figures as JSON on the output.

``python -m benchmarks.bare forward ...`` runs nothing but the network, on a tensor in memory.
``python -m benchmarks.bare predict ...`` takes turns between that and ``Predictor.predict`` on 12 megapixels.
``python -m benchmarks.bare memory ...`` says where a worker's memory goes.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model.checkpoint import find
from model.runtime.engine import import_openvino

Forward = Callable[[np.ndarray], object]


def build(runtime: str, checkpoint: str, graph: Path, *, threads: int, streams: int) -> list[Forward]:
    """One function for each stream; the streams share the threads evenly."""
    if runtime == "openvino":
        from model.runtime.base import OpenVINORuntime

        opened = OpenVINORuntime(find(checkpoint), graph_cache=graph.parent, threads=threads, streams=streams)
        return [opened.forward] * streams
    if runtime == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads // streams
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return [lambda image: session.run(None, {"images": image})] * streams
    import torch

    from model.runtime.torch import TorchRuntime

    torch.set_num_threads(threads // streams)
    return [TorchRuntime(find(checkpoint), device="cpu").forward] * streams


def forward(options: argparse.Namespace) -> dict[str, object]:
    """Pictures a second of all streams together, and the median milliseconds of one picture."""
    streams = build(
        options.runtime, options.checkpoint, options.graph, threads=options.threads, streams=options.streams
    )
    image = _image(options.checkpoint)
    for run in streams:
        run(image)
        run(image)
    took: list[float] = []
    start = time.perf_counter()

    def work(run: Forward) -> None:
        while (began := time.perf_counter()) < start + options.seconds:
            run(image)
            took.append(time.perf_counter() - began)

    workers = [threading.Thread(target=work, args=(run,)) for run in streams]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"rate": len(took) / (time.perf_counter() - start), "ms": float(np.median(took)) * 1e3}


def predict(options: argparse.Namespace) -> dict[str, object]:
    """Median milliseconds of the bare forward, of ``predict`` without and with the heat map, in turns."""
    from app.predictor import Predictor

    predictor = Predictor.from_checkpoint(
        options.checkpoint, device="cpu", graph_cache=options.graph.parent, threads=options.threads
    )
    (bare,) = build(options.runtime, options.checkpoint, options.graph, threads=options.threads, streams=1)
    image, photo = _image(options.checkpoint), options.photo.read_bytes()
    jobs: dict[str, Callable[[], object]] = {
        "forward": lambda: bare(image),
        "predict": lambda: predictor.predict(photo),
        "heatmap": lambda: predictor.predict(photo, heatmap=True),
    }
    took: dict[str, list[float]] = {name: [] for name in jobs}
    stages: list[dict[str, float]] = []
    for job in jobs.values():
        job()
    end = time.perf_counter() + options.seconds
    while time.perf_counter() < end:
        for name, job in jobs.items():
            start = time.perf_counter()
            answer = job()
            took[name].append(time.perf_counter() - start)
            if name == "predict":
                stages.append(answer.timings_ms)  # type: ignore[attr-defined]
    medians = {name: float(np.median(values)) * 1e3 for name, values in took.items()}
    return {**medians, "stages": {key: float(np.median([s[key] for s in stages])) for key in stages[0]}}


def memory(options: argparse.Namespace) -> list[tuple[str, float]]:
    """(step, resident MB after it) while a process becomes a worker."""
    rows = [("Python", _resident())]

    def step(name: str) -> None:
        rows.append((name, _resident()))

    import PIL.Image  # noqa: F401

    step("NumPy and Pillow")
    import_openvino()
    step("OpenVINO")
    import app.web  # noqa: F401

    step("Flask and this project")
    from app.predictor import Predictor

    predictor = Predictor.from_checkpoint(
        options.checkpoint, device="cpu", graph_cache=options.graph.parent, streams=2
    )
    step("the graph, loaded")
    photo = options.photo.read_bytes()
    for _ in range(5):
        predictor.predict(photo)
    step("five pictures of 12 megapixels")
    for _ in range(5):
        predictor.predict(photo, heatmap=True)
    step("five heat maps")
    return rows


def _image(checkpoint: str) -> np.ndarray:
    side = find(checkpoint).config.input_size
    return np.random.default_rng(0).standard_normal((1, 3, side, side), dtype=np.float32)


def _resident() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["forward", "predict", "memory"])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--runtime", default="openvino", choices=["openvino", "onnxruntime", "torch"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    print(json.dumps({"forward": forward, "predict": predict, "memory": memory}[chosen.what](chosen)))
