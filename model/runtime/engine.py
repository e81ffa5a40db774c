"""OpenVINO, imported without its telemetry and started once."""

from __future__ import annotations

import sys
import threading
from types import ModuleType
from typing import Any

_core: Any = None
_lock = threading.Lock()


def import_openvino() -> ModuleType:
    """OpenVINO without its telemetry.

    Otherwise its import alone reports to Google Analytics, under an id that it keeps in the home folder.
    Where the package ``openvino_telemetry`` cannot be imported it goes without.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


def openvino_core() -> Any:
    """OpenVINO's core, the same one for the whole process.

    On a processor with AMX each core gives the thread that makes it another stack for signal handlers, and
    restores the one before when it goes. Where two do not go in the opposite order of their coming, the
    thread is left with a stack that has been freed, and the next signal ends the process.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    global _core
    with _lock:
        if _core is None:
            _core = import_openvino().Core()
        return _core
