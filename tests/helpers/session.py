"""The command lines in a process of their own that imports them once: ``python tests/helpers/session.py``.

It reads one JSON pair a line, such as ``[["app", "predict", "photo.jpg"], {"HF_TOKEN": ""}]``: the words and
what is different in the environment. It answers each with one line.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]


def assert_clear_error(result: Result, *words: str) -> None:
    """It failed with one line for people, which holds these words, and showed no traceback."""
    assert result.status == 1
    last = result.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "Traceback" not in result.err
    for word in words:
        assert word in last


@dataclass(frozen=True)
class Result:
    """What one command left behind."""

    status: int
    out: str
    err: str


class Session:
    """The other end of the process, which knows nothing but the given environment."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *command: object, **environment: str) -> Result:
        """Runs ``python -m`` with these arguments, the package first, and a changed environment."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([[str(word) for word in command], environment]) + "\n")
        self._process.stdin.flush()
        return Result(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def session(environment: dict[str, str]) -> Iterator[Session]:
    """A process that runs commands until the block ends."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__))],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Session(process)
        process.communicate()


def _answer(command: list[str], environment: dict[str, str]) -> Result:
    from app.__main__ import main as app
    from train.__main__ import main as train

    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            status = {"app": app, "train": train}[command[0]](command[1:])
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except Exception:
            traceback.print_exc()
            status = 1
    return Result(status, out.getvalue(), err.getvalue())


if __name__ == "__main__":
    for line in sys.stdin:
        answer = json.dumps(vars(_answer(*json.loads(line))))
        print(answer, flush=True)
