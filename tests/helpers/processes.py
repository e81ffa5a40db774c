"""Server processes that tests start, wait for and end."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    port: int,
    log: Path,
    environment: dict[str, str],
    ready: str = "/",
    wait: float = 120,
    folder: Path | None = None,
) -> Iterator[str]:
    """Runs a server process until the block ends; yields its address once ``ready`` answers.

    With a ``folder`` it runs there and knows the given environment alone.
    """
    address = f"http://127.0.0.1:{port}"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder or ROOT,
            env=environment if folder else {**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + wait
            while True:
                try:
                    urllib.request.urlopen(address + ready, timeout=5).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"{command} did not start:\n{log.read_text()}")
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
