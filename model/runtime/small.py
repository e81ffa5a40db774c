"""The graph with weights of half the size, for downloads: a browser computes it in float32 all the same.

``python -m model.runtime.small CHECKPOINT`` makes it ahead of time, as the Docker image does.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np

from model.checkpoint import Checkpoint, find
from model.errors import ExportError, SkinDiseaseNetError
from model.runtime.export import default_cache, graph_file, stem
from model.runtime.graph_store import distrust, is_whole, kept

_SUFFIX = ".float16"  # not .onnx, so that nobody takes it for the full graph
_SMALLEST = 150_000
"""Tensors with fewer numbers keep their precision. For a ResNet-50 these are the early layers, whose rounding
reaches furthest: with them in float32 the graph has 63 MB instead of 60, and the probabilities of 400
validation pictures of ``skin22`` differ by at most 0.0006 instead of 0.0037 (the median by 0.00005 instead of
0.00024)."""


def small_graph(checkpoint: Checkpoint, cache: Path | None = None) -> Path:
    """Provide the small graph's file, from the cache or made into it; see ``model.runtime.export``.

    Args:
        checkpoint: whose graph.
        cache: folder of the graphs; default ``default_cache()``.

    Returns:
        The path of an ONNX graph with the same input and outputs. Its large weights are float16, each
        followed by a cast to float32, which a runtime computes once, when it loads the graph. (The
        checkpoint's weights are float16 too, but the exporter multiplies some with others.)

    Raises:
        ExportError: the graph cannot be made here, or a weight is beyond float16.
        ConfigError: it cannot be written.
    """
    cache = default_cache() if cache is None else cache
    if distrust(cache) is None:
        found = filter(is_whole, sorted(cache.glob(f"{stem(checkpoint)}-*{_SUFFIX}")))
        if small := next(found, None):
            return small
    if importlib.util.find_spec("onnx") is None:
        raise ExportError(
            f"{cache} holds no small graph of {checkpoint.id} that can be trusted, and the package onnx, "
            "which makes one, is not installed here.",
            hint="Make it where onnx is, with `python -m model.runtime.small`, and set GRAPH_CACHE.",
        )
    with graph_file(checkpoint, cache) as graph, kept(cache / (graph.stem + _SUFFIX)) as written:
        written.write_bytes(_with_halved_weights(graph))
    return cache / (graph.stem + _SUFFIX)


def _with_halved_weights(graph: Path) -> bytes:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(graph)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ExportError(f"The weights {name} are too large for float16.", hint="Serve it as usual.")
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def main(arguments: list[str] | None = None) -> int:
    """Make the small graph of one checkpoint and print its path."""
    parser = argparse.ArgumentParser(
        prog="python -m model.runtime.small", description="Makes the small graph of a checkpoint."
    )
    parser.add_argument("checkpoint", help="a folder, or ORG/NAME@REVISION")
    parser.add_argument("--output", type=Path, help="folder to write to; default the cache of graphs")
    options = parser.parse_args(arguments)
    try:
        print(small_graph(find(options.checkpoint), options.output))
    except SkinDiseaseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
