"""Checkpoint → ONNX graph, cached under the hash of the checkpoint.

``python -m model.runtime.export CHECKPOINT`` fills the cache ahead of time, as the Docker image does;
otherwise a server does it when it starts.

The graph covers the whole network, for one picture or a batch, in float32: ``images`` (B, 3, S, S),
normalised, to ``logits`` (B, classes) and the backbone's last map ``features`` (B, C, h, w).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from model.checkpoint import Checkpoint, find
from model.decision.calibration import softmax
from model.errors import ExportError, SkinDiseaseNetError
from model.runtime.engine import openvino_core
from model.runtime.graph_store import FEATURES, IMAGES, LOGITS, distrust, is_whole, kept

TOLERANCE = 1e-4
"""The largest accepted difference between the graph's probabilities and PyTorch's."""

_LAYOUT = 1  # increase to invalidate graphs of the same checkpoint and libraries
_OPSET = 17

logger = logging.getLogger(__name__)


def has_torch() -> bool:
    """Whether PyTorch and timm are installed; a service that has its graph does not need them."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "timm"))


def default_cache() -> Path:
    """``skindiseasenet/graphs`` in the user's cache folder."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return caches / "skindiseasenet" / "graphs"


def graph_name(checkpoint: Checkpoint) -> str:
    """The file name of a checkpoint's graph; it changes with weights, config and exporter."""
    exporter = [str(_LAYOUT), *(f"{package} {version(package)}" for package in ("torch", "timm"))]
    digest = hashlib.sha256("\n".join(exporter).encode()).hexdigest()
    return f"{stem(checkpoint)}-{digest[:8]}.onnx"


def stem(checkpoint: Checkpoint) -> str:
    """The prefix of the names of a checkpoint's graphs, independent of the exporter."""
    return f"{checkpoint.fingerprint.removeprefix('sha256:')}-{_LAYOUT}"


def _exported_elsewhere(checkpoint: Checkpoint, cache: Path) -> Path:
    """Find a graph of the checkpoint, from any version of PyTorch; raises ``ExportError`` if there is
    none."""
    found = sorted(cache.glob(f"{stem(checkpoint)}-*.onnx")) if distrust(cache) is None else []
    if whole := next(filter(is_whole, found), None):
        return whole
    raise ExportError(
        f"{cache} holds no graph of {checkpoint.id} that can be trusted, and PyTorch, which exports one, "
        "is not installed here.",
        hint="Export it where PyTorch is, with `python -m model.runtime.export`, and set GRAPH_CACHE.",
    )


@contextlib.contextmanager
def graph_file(checkpoint: Checkpoint, cache: Path | None = None) -> Iterator[Path]:
    """Provide the graph's file, from the cache or exported into it.

    A graph can compute anything, so it is used only from a folder that nobody but this user and root can
    write to, and only if its digest matches; otherwise it is exported again. Of several processes that start
    at once one exports and the others wait for it. The export runs in a separate process, so that PyTorch is
    not loaded in this one. If the cache cannot be used, the file is in a temporary folder that is deleted
    when the ``with`` block ends. If PyTorch is not installed, a cached graph from any version of it is used.

    Args:
        checkpoint: what to export.
        cache: folder of the graphs; default ``default_cache()``. It is created with access for its user only.

    Raises:
        ExportError: the graph cannot be exported, or its results differ from PyTorch's; or there is none, and
            PyTorch is not installed.
    """
    cache = default_cache() if cache is None else cache
    if not has_torch():
        yield _exported_elsewhere(checkpoint, cache)
        return
    path = cache / graph_name(checkpoint)
    if distrust(cache) is None and is_whole(path):
        yield path
        return
    logger.info("Exporting %s for the CPU, once; this takes about ten seconds.", checkpoint.id)
    problem = _fill(cache, checkpoint)
    if problem is None:
        yield path
        return
    logger.warning(
        "The graph cannot be kept in %s (%s), so every start exports it again. Set GRAPH_CACHE to a folder "
        "that only you can write to, or fill one with `python -m model.runtime.export`.",
        cache,
        problem,
    )
    with tempfile.TemporaryDirectory(prefix="skindiseasenet-") as folder:
        yield _export_apart(checkpoint, Path(folder))


def _fill(cache: Path, checkpoint: Checkpoint) -> str | None:
    """Export into the cache, unless another process just did; return what is wrong with the folder."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if problem := distrust(cache):
            return problem
        with open(cache / ".lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_whole(cache / graph_name(checkpoint)):
                _export_apart(checkpoint, cache)
    except OSError as error:
        return str(error.strerror)
    return None


def export(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write a checkpoint's graph, after comparing its results with PyTorch's.

    The file appears under its name only when it is complete, after its digest, which is in a file beside it.

    Args:
        checkpoint: what to export.
        folder: created if needed.

    Returns:
        The file's path.

    Raises:
        CheckpointError: the weights cannot be used as they are.
        ExportError: the network has a part that cannot be exported, or the graph computes something else.
        ConfigError: the file cannot be written.
    """
    path = folder / graph_name(checkpoint)
    with contextlib.suppress(OSError):  # what is wrong with the folder is said below
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with kept(path) as graph:
        _trace(checkpoint, graph)
        _compare(checkpoint, graph)
    return path


def _export_apart(checkpoint: Checkpoint, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "model.runtime.export",
        str(checkpoint.folder.resolve()),
        "--output",
        str(folder.resolve()),
    ]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    path = folder / graph_name(checkpoint)
    if done.returncode or not is_whole(path):
        ended = (
            f"it ended with status {done.returncode}" if done.returncode else "its files changed meanwhile"
        )
        said = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        said = said or [ended]
        raise ExportError(
            f"{checkpoint.id} could not be exported: {said[0].removeprefix('error: ')}",
            hint="Set RUNTIME=torch to compute with PyTorch.",
        )
    return path


def _trace(checkpoint: Checkpoint, file: Path) -> None:
    import torch

    class WithMap(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = checkpoint.network

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features = self.network.forward_features(images)
            return self.network.forward_head(features), features

    side = checkpoint.config.input_size
    # Two pictures: with one, the tracer would fix the batch size to one.
    images = torch.zeros(2, 3, side, side)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it uses an operator that ONNX does not have
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                WithMap().eval(),
                (images,),
                str(file),
                input_names=[IMAGES],
                output_names=[LOGITS, FEATURES],
                dynamic_axes={name: {0: "batch"} for name in (IMAGES, LOGITS, FEATURES)},
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's errors share no base class
        raise ExportError(
            f"The network cannot be exported ({type(error).__name__}: {' '.join(str(error).split())[:200]}).",
            hint="Serve it with RUNTIME=torch.",
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _compare(checkpoint: Checkpoint, file: Path) -> None:
    import torch

    side, temperature = checkpoint.config.input_size, checkpoint.config.temperature
    compiled = openvino_core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = softmax(checkpoint.network(images).numpy(), temperature)
    got = softmax(compiled({IMAGES: images.numpy()})[LOGITS], temperature)
    difference = float(np.abs(got - expected).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"The graph's probabilities differ from PyTorch's by {difference:.2g}; at most {TOLERANCE:g} is "
            "accepted.",
            hint="Serve it with RUNTIME=torch.",
        )


def main(arguments: list[str] | None = None) -> int:
    """Export one checkpoint and print the graph's path."""
    parser = argparse.ArgumentParser(
        prog="python -m model.runtime.export", description="Exports a checkpoint's graph."
    )
    parser.add_argument("checkpoint", help="a folder, or ORG/NAME@REVISION")
    parser.add_argument("--output", type=Path, help="folder to write to; default the cache of graphs")
    options = parser.parse_args(arguments)
    try:
        checkpoint = find(options.checkpoint)
        if options.output is None:
            default_cache().mkdir(mode=0o700, parents=True, exist_ok=True)
        print(export(checkpoint, options.output or default_cache()))
    except SkinDiseaseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
