"""Runtimes for the network: OpenVINO for the exported graph on a CPU, or PyTorch, the reference.

PyTorch is imported only if it is used: a process that serves the graph starts in a second and saves the half
gigabyte that ``import torch`` takes.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Checkpoint
from model.errors import ConfigError, ExportError
from model.explain.bilstm_gradient import BiLSTMGradient
from model.explain.cam import evidence
from model.runtime.engine import compile_graph, openvino_core
from model.runtime.export import graph_file, has_torch
from model.runtime.graph_store import FEATURES, IMAGES, LOGITS
from model.runtime.precision import PRECISIONS, Precision, choose_precision

Array = NDArray[np.float32]

Device = Literal["auto", "cpu", "cuda", "mps"]
RuntimeName = Literal["auto", "openvino", "torch"]
DEVICES: tuple[str, ...] = get_args(Device)
RUNTIMES: tuple[str, ...] = get_args(RuntimeName)

logger = logging.getLogger(__name__)


class Runtime(Protocol):
    """Runs the network; safe to use from several threads.

    Attributes:
        name: ``openvino`` or ``torch``.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: ``float32`` or ``bfloat16``: what the network computes in.
    """

    name: str
    device: str
    precision: Precision

    def forward(self, image: Array) -> tuple[Array, Any]:
        """A normalised picture (1, 3, S, S) → uncalibrated logits (classes,), and a map for ``grad_cam``."""
        ...

    def pooled(self, features: Any) -> Array:
        """A map from ``forward``, averaged over locations, (C,)."""
        ...

    def grad_cam(self, features: Any, class_index: int) -> Array:
        """Grad-CAM (``model.explain.grad_cam.grad_cam``) for a map from ``forward``."""
        ...


def open_runtime(
    checkpoint: Checkpoint,
    *,
    name: str = "auto",
    device: str = "auto",
    graph_cache: Path | None = None,
    threads: int = 0,
    streams: int = 1,
    precision: str = "float32",
) -> Runtime:
    """Open the runtime for a checkpoint; if the graph is not in the cache, it is exported first.

    Args:
        checkpoint: whose network to run.
        name: a name from ``RUNTIMES``. ``auto`` is OpenVINO on a CPU and PyTorch on anything else; if the
            graph is not available it falls back to PyTorch, with a warning in the log.
        device: a name from ``DEVICES``.
        graph_cache: folder of exported graphs; default as in ``model.runtime.export.graph_file``.
        threads: cores that OpenVINO may use, 0 for all that this process may.
        streams: pictures that OpenVINO processes at the same time, each on its share of the threads.
        precision: a name from ``PRECISIONS``. ``auto`` is bfloat16 where OpenVINO computes on a processor
            that has it, and the answers stay the same, as ``model.runtime.precision`` measures.

    Raises:
        CheckpointError: the weights cannot be used as they are.
        ConfigError: a name is unknown, contradicts another, or that device or precision is not there.
        ExportError: ``openvino`` was requested, and the graph is not available.
    """
    if name not in RUNTIMES:
        raise ConfigError(f"There is no runtime {name!r}.", hint=f"The runtimes are: {', '.join(RUNTIMES)}.")
    if name == "openvino" and device not in ("auto", "cpu"):
        raise ConfigError(
            f"The runtime openvino computes on the CPU, but the device is {device}.",
            hint="Choose the runtime auto or torch for another device.",
        )
    if precision not in PRECISIONS:
        raise ConfigError(
            f"There is no precision {precision!r}.", hint=f"The precisions are: {', '.join(PRECISIONS)}."
        )
    on_cpu = name == "openvino" or device == "cpu" or (device == "auto" and not _gpu_here())
    if name != "torch" and on_cpu:
        try:
            return OpenVINORuntime(
                checkpoint, graph_cache=graph_cache, threads=threads, streams=streams, precision=precision
            )
        except ExportError as error:
            if name == "openvino" or not has_torch():
                raise
            logger.warning("%s Computing with PyTorch instead, which is slower.", error.message)
    if precision == "bfloat16":
        raise ConfigError(
            "The precision bfloat16 is for the runtime openvino; PyTorch computes in float32 here.",
            hint="Choose the precision auto or float32.",
        )
    _require_torch("The runtime torch")
    from model.runtime.torch import TorchRuntime

    return TorchRuntime(checkpoint, device="cpu" if on_cpu else device)


class OpenVINORuntime:
    """The exported graph on the CPU; see ``open_runtime`` for the arguments."""

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        graph_cache: Path | None = None,
        threads: int = 0,
        streams: int = 1,
        precision: str = "float32",
    ) -> None:
        self._config = checkpoint.config
        # The heat map needs only the head's weights; the others are in the graph.
        self._head_weights = {
            name.removeprefix("head."): values
            for name, values in checkpoint.weights.items()
            if name.startswith("head.")
        }
        threads = threads or available_cores()
        streams = max(1, min(streams, threads))
        with graph_file(checkpoint, graph_cache) as path:
            try:
                core = openvino_core()
                self.precision = choose_precision(precision, path, core, checkpoint.config)
                compiled = compile_graph(
                    core, path, checkpoint.config, precision=self.precision, threads=threads, streams=streams
                )
            except (ImportError, RuntimeError) as error:
                raise ExportError(
                    f"OpenVINO cannot compute the graph of {checkpoint.id} ({_first_line(error)}).",
                    hint="Set RUNTIME=torch to compute with PyTorch.",
                ) from error
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())
        self._head: Any = None
        self._lock = threading.Lock()

    def forward(self, image: Array) -> tuple[Array, Array]:
        """One normalised picture (1, 3, S, S) → logits (classes,) and the map (1, C, h, w)."""
        request = self._idle.get()  # waits while all streams are busy
        try:
            request.infer({IMAGES: image}, share_inputs=True)
            return request.get_tensor(LOGITS).data[0].copy(), request.get_tensor(FEATURES).data.copy()
        finally:
            self._idle.put(request)

    def pooled(self, features: Array) -> Array:
        """The map (1, C, h, w) averaged over locations, (C,)."""
        return features[0].mean(axis=(1, 2))

    def grad_cam(self, features: Array, class_index: int) -> Array:
        """As ``model.explain.grad_cam``. The first call builds the head, in PyTorch if it is not a BiLSTM."""
        if self._config.head == "bilstm":
            with self._lock:
                if self._head is None:
                    self._head = BiLSTMGradient(self._head_weights)
            return evidence(features, self._head(features, class_index))
        _require_torch(f"The heat map of the head {self._config.head}")
        import torch

        from model.explain.grad_cam import CheckpointHead, grad_cam

        with self._lock:
            if self._head is None:
                self._head = CheckpointHead(self._config, self._head_weights, channels=features.shape[1])
        return grad_cam(self._head, torch.from_numpy(features), class_index)


def _require_torch(what: str) -> None:
    if not has_torch():
        raise ConfigError(
            f"{what} needs PyTorch, which is not installed here.",
            hint="Install it: pip install -r requirements.txt",
        )


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu_here() -> bool:
    """Whether ``auto`` means a GPU; avoids importing PyTorch if there clearly is none."""
    if not has_torch():
        return False
    if sys.platform == "linux" and "torch" not in sys.modules:
        nodes = (*Path("/dev").glob("nvidia[0-9]*"), Path("/dev/kfd"), Path("/dev/dxg"), Path("/dev/nvmap"))
        if not any(node.exists() for node in nodes):
            return False
    from model.runtime.device import pick_device

    return pick_device("auto").type != "cpu"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
