"""A PostgreSQL that a test starts for itself, reachable over a socket in a folder of its own."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yields the URL of an empty database; skips without PostgreSQL, or fails where it is required."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [os.path.dirname(shutil.which("initdb") or "")]
    if not found[-1]:
        message = "PostgreSQL is missing; on Debian and Ubuntu: sudo apt-get install postgresql"
        if os.environ.get("REQUIRE_POSTGRES"):
            pytest.fail(message)
        pytest.skip(message)
    # It refuses to run as root. A socket's path must be short, so not below pytest's folder.
    as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        if as_owner:
            shutil.chown(folder, "postgres")

        def run(program: str, *options: str) -> None:
            command = [*as_owner, f"{found[-1]}/{program}", *options]
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)

        run("initdb", "-D", f"{folder}/data", "-U", "review", "-A", "trust", "-E", "UTF8", "--no-sync")
        run(
            *("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "start"),
            *("-o", f"-k {folder} -c listen_addresses='' -c fsync=off"),
        )
        try:
            yield f"postgresql://review@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", f"{folder}/data", "-w", "-m", "immediate", "stop")
