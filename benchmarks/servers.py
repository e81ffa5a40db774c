"""The servers that are compared, each as a process group that can be started, stopped and put to sleep."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent


@dataclasses.dataclass(frozen=True)
class Sizing:
    """One way to spread a server over the cores.

    Attributes:
        words: for the table.
        command: PORT in it is replaced.
        environment: on top of what all have in common.
    """

    words: str
    command: tuple[str, ...]
    environment: dict[str, str]


def _ours(workers: int, running: int, words: str) -> Sizing:
    return Sizing(
        words,
        (str(BIN / "gunicorn"), "flask_app:app"),
        {"WORKERS": str(workers), "MAX_RUNNING": str(running), "RATE_LIMIT": "off"},
    )


def _fastapi(workers: int, threads: int) -> Sizing:
    command = (
        str(BIN / "uvicorn"),
        "benchmarks.fastapi_server:app",
        "--port",
        "PORT",
        "--workers",
        str(workers),
    )
    return Sizing(
        f"{workers} workers x {threads} threads",
        (*command, "--log-level", "warning"),
        {"BENCH_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)},
    )


def _litserve(workers: int, threads: int, batch: int) -> Sizing:
    command = (sys.executable, "-m", "benchmarks.litserve_server", "--port", "PORT")
    return Sizing(
        f"{workers} workers x {threads} threads, batches up to {batch}",
        (*command, "--workers", str(workers), "--batch", str(batch)),
        {"BENCH_THREADS": str(threads), "OMP_NUM_THREADS": "1"},
    )


CANDIDATES: dict[str, list[Sizing]] = {
    "SkinDiseaseNet": [
        _ours(1, 2, "1 worker, 2 pictures at a time (WORKERS=1 MAX_RUNNING=2)"),
        _ours(1, 3, "1 worker, 3 pictures at a time (WORKERS=1 MAX_RUNNING=3)"),
        _ours(1, 1, "1 worker, 1 picture at a time (WORKERS=1 MAX_RUNNING=1)"),
        _ours(2, 2, "2 workers, 2 pictures at a time (WORKERS=2 MAX_RUNNING=2)"),
    ],
    "FastAPI + PyTorch": [_fastapi(2, 1), _fastapi(1, 2)],
    "LitServe + ONNX Runtime": [_litserve(2, 1, 1), _litserve(2, 1, 4), _litserve(1, 2, 8)],
}
_PATHS = {"SkinDiseaseNet": "/api/v1/predict"}
_READY = {"SkinDiseaseNet": "/readyz"}


class Server:
    """One server in one sizing."""

    def __init__(self, name: str, sizing: Sizing, environment: dict[str, str]) -> None:
        self.name, self.sizing = name, sizing
        self.path = _PATHS.get(name, "/predict")
        self._environment = {**environment, **sizing.environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - gone with this object
        self.start_seconds = 0.0
        self.port = 0

    @property
    def words(self) -> str:
        """Name and sizing."""
        return f"{self.name}, {self.sizing.words}"

    def start(self) -> None:
        """Starts it, waits until it says that it is ready, and puts it to sleep.

        Raises:
            RuntimeError: it ended, or was not ready within two minutes; the message has the end of its log.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [part.replace("PORT", str(self.port)) for part in self.sizing.command]
        environment = {**self._environment, "PORT": str(self.port)}
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        url = f"http://127.0.0.1:{self.port}{_READY.get(self.name, '/health')}"
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=5).close()
                break
            if self._process.poll() is not None or time.perf_counter() > began + 120:
                self._log.seek(0)
                raise RuntimeError(f"{self.name} did not start:\n{self._log.read()[-2000:].decode()}")
            time.sleep(0.02)
        self.start_seconds = time.perf_counter() - began
        self._signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Ends it and all its processes."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=20)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Runs until the block ends, and sleeps outside of it, so that it takes no turn of another's."""
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal(signal.SIGSTOP)

    def resident_megabytes(self) -> list[float]:
        """Of each worker, the largest first."""
        assert self._process is not None
        workers = psutil.Process(self._process.pid).children(recursive=True)
        return sorted((worker.memory_info().rss / 1e6 for worker in workers), reverse=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
