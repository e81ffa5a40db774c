"""The review queue with real processes: two workers at once, one that is killed, SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import postgres
from processes import ROOT
from sqlalchemy import func, select
from test_review import PICTURE, answer

from app.review.cipher import add_key
from app.review.store import Store
from app.review.tables import CASES, READINGS, TRAIL

CASES_AT_START = 40


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'review.db'}"
    else:
        with postgres() as address:
            yield address


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    add_key(tmp_path / "review.key")
    return tmp_path / "review.key"


def start(url: str, key_file: Path, reader: str) -> subprocess.Popen[str]:
    command = [sys.executable, "tests/helpers/review_reader.py", url, str(key_file), reader]
    return subprocess.Popen(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=None, text=True
    )


def check_whole(store: Store) -> None:
    """Every reading has its line in the trail, and every case the outcome that its readings make."""
    with store.begin() as connection:
        readings = connection.scalar(select(func.count()).select_from(READINGS))
        noted = connection.scalar(select(func.count()).select_from(TRAIL).where(TRAIL.c.action == "accept"))
        settled = connection.scalar(
            select(func.count()).select_from(CASES).where(CASES.c.outcome.is_not(None))
        )
        twice = select(READINGS.c.case_id).group_by(READINGS.c.case_id).having(func.count() == 2).subquery()
        assert readings == noted
        assert settled == connection.scalar(select(func.count()).select_from(twice))


def test_two_workers_migrate_and_read_and_one_is_killed(url: str, key_file: Path) -> None:
    # Both come to an empty database at once: nothing to read yet.
    both = [start(url, key_file, name) for name in ("one", "two")]
    for process in both:
        assert process.communicate(timeout=120)[0] == "open\n"
        assert process.returncode == 0
    store = Store(url, key_file)
    for _ in range(CASES_AT_START):
        store.submit(PICTURE, answer(), who=None)

    killed, other = start(url, key_file, "one"), start(url, key_file, "two")
    assert killed.stdout is not None
    confirmed = [killed.stdout.readline().strip() for _ in range(6)][1:]
    killed.kill()
    confirmed += killed.stdout.read().split("\n")[:-1]
    killed.wait()
    killed.stdout.close()
    other.communicate(timeout=120)
    assert other.returncode == 0
    check_whole(store)
    assert all(store.case(case, "one").own == "Acne" for case in confirmed), "what was confirmed is there"

    again = start(url, key_file, "one")
    again.communicate(timeout=120)
    assert again.returncode == 0
    check_whole(store)
    assert len(store.settled()) == CASES_AT_START
