"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from model.errors import ConfigError, DataError
from model.files import atomic_folder, atomic_path, remove_unfinished, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "figures.json"
    write_json(file, {"n": 1})

    def fail(error: Exception) -> None:
        with atomic_path(file) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(KeyError):
        fail(KeyError())
    with pytest.raises(ConfigError, match=r"figures\.json cannot be written \(No space left") as full:
        fail(OSError(errno.ENOSPC, "No space left on device"))
    assert "Free some disk space" in full.value.hint
    with pytest.raises(DataError, match="not a finite number"):
        write_json(file, {"n": float("nan")})
    assert json.loads(file.read_text()) == {"n": 1}
    assert names(file.parent) == ["figures.json"]


def test_a_place_that_cannot_be_written_to_is_said_in_plain_words(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("old")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_text(file / "below a file", "text")
    assert (file.read_text(), names(tmp_path)) == ("old", ["table.csv"])


def test_a_killed_writer_leaves_the_old_file_and_something_that_can_be_cleared_away(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("old")
    script = (
        "import os, sys, pathlib; from model.files import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], cwd=ROOT, timeout=60)
    assert file.read_text() == "old"
    assert len(names(tmp_path)) == 2
    remove_unfinished(tmp_path)
    assert names(tmp_path) == ["state"]


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    with atomic_folder(folder) as fresh:
        (fresh / "old").write_text("old")

    def fail() -> None:
        with atomic_folder(folder) as fresh:
            (fresh / "half").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (names(folder), names(tmp_path)) == (["old"], ["checkpoint"])
    with atomic_folder(folder) as fresh:
        (fresh / "new").write_text("new")
    assert (names(folder), names(tmp_path)) == (["new"], ["checkpoint"])


def test_a_writer_of_a_folder_killed_at_any_moment_leaves_the_old_or_the_new_files(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from model.files import atomic_folder\n"
        "rename, left = os.rename, [int(sys.argv[2])]\n"
        "def counted(*paths):\n"
        "    left[0] -= 1\n"
        "    os.kill(os.getpid(), 9) if left[0] < 0 else rename(*paths)\n"
        "os.rename = counted\n"
        "with atomic_folder(pathlib.Path(sys.argv[1])) as fresh:\n"
        "    (fresh / 'new').write_text('new')"
    )
    for renames in (0, 1):
        folder = tmp_path / str(renames) / "checkpoint"
        folder.mkdir(parents=True)
        (folder / "old").write_text("old")
        subprocess.run([sys.executable, "-c", script, str(folder), str(renames)], cwd=ROOT, timeout=60)
        remove_unfinished(folder.parent)
        (left,) = folder.parent.iterdir()
        assert left.name.startswith(".old-" if renames else "checkpoint")
        assert names(left) == ["old"]


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "map.npy"
    with atomic_path(file) as one, atomic_path(file) as other:
        one.write_text("one")
        other.write_text("other")
        assert {one.suffix, other.suffix} == {".npy"}
    assert file.read_text() == "one", "the last to finish"
