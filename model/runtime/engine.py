"""OpenVINO, imported without telemetry and initialised once."""

from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import Any

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
