"""OpenVINO: imported without its telemetry, started once, and given a graph to compile."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from model.config import ModelConfig
from model.runtime.graph_store import IMAGES

_core: Any = None
_lock = threading.Lock()


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry.

    Otherwise importing it alone reports to Google Analytics, under an id that it stores in the home folder.
    It works without the package ``openvino_telemetry``.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def openvino_core() -> Any:
    """OpenVINO's core, one for the whole process.

    On a processor with AMX each core sets a new signal stack for the thread that creates it, and restores the
    previous one when it is destroyed. If two are not destroyed in reverse order, the thread is left with a
    freed stack, and the next signal crashes the process.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    global _core
    with _lock:
        if _core is None:
            _core = import_openvino().Core()
        return _core


def compile_graph(
    core: Any, graph: Path, config: ModelConfig, *, precision: str, threads: int, streams: int = 1
) -> Any:
    """A graph made ready for one picture at a time.

    Args:
        core: OpenVINO's.
        graph: the exported file.
        config: the checkpoint's.
        precision: ``float32`` or ``bfloat16``.
        threads: cores that it may use.
        streams: pictures at the same time, each on its share of the threads.

    Raises:
        RuntimeError: OpenVINO cannot read or compile it.
    """
    read = core.read_model(graph)
    read.reshape({IMAGES: [1, 3, config.input_size, config.input_size]})
    options = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,  # two workers would be pinned to the same core
    }
    return core.compile_model(read, "CPU", options)
