"""What a new user types, and what the requirements promise. Nothing here installs anything."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENT_FILES = ("requirements.txt", "requirements-web.txt", "requirements-dev.txt", "constraints.txt")


def make(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs make as a person would, not as a part of the `make test` that may be running this."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    return subprocess.run(
        ["make", *args], cwd=cwd, env=of_a_person(), capture_output=True, text=True, timeout=60
    )


def of_a_person() -> dict[str, str]:
    """The environment without what make hands on."""
    of_make = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DATA", "REPO", "PYTHON", "TORCH_INDEX", "ARGS"}
    return {name: value for name, value in os.environ.items() if name not in of_make}


@pytest.fixture
def bare_tree(tmp_path: Path) -> Path:
    """A clone with no .venv, in which every attempt to install is seen."""
    for name in ("Makefile", *REQUIREMENT_FILES):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def tracked_files() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


def test_make_alone_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    targets = set(phony[1].split())
    assert targets >= {"help", "demo", "serve", "test", "lint", "lock", "train", "space", "clean"}
    alone, asked = make(), make("help")
    assert alone.returncode == 0
    assert alone.stdout == asked.stdout
    assert set(re.findall(r"^make ([\w-]+)", alone.stdout, re.MULTILINE)) == targets


@pytest.mark.parametrize(("target", "variable"), [("train", "DATA"), ("space", "REPO")])
def test_a_target_that_needs_a_variable_stops_before_it_installs(
    target: str, variable: str, bare_tree: Path
) -> None:
    result = make(target, cwd=bare_tree)
    assert result.returncode == 2
    assert f"usage: make {target} {variable}=" in result.stderr
    assert not (bare_tree / ".venv").exists()


def test_train_passes_its_variables_on() -> None:
    shown = make("-n", "train", "DATA=one two", "INIT=w.safetensors", "OUT=runs/mine").stdout.replace(
        "\\\n", ""
    )
    assert "--data one two" in shown
    assert re.search(r"--init w\.safetensors\s+--output runs/mine", shown)
    bare = make("-n", "train", "DATA=one").stdout
    assert "--init" not in bare
    assert "--output" not in bare


def test_an_old_python_is_named(bare_tree: Path, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1 && exit\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)
    result = make("demo", f"PYTHON={old}", cwd=bare_tree)
    assert result.returncode == 2
    assert "Python 3.10 or newer is needed" in result.stderr
    assert "Python 3.9.1" in result.stderr
    assert not (bare_tree / ".venv").exists()


def test_a_missing_python_is_named(bare_tree: Path) -> None:
    result = make("demo", "PYTHON=no-such-python", cwd=bare_tree)
    assert result.returncode == 2
    assert "There is no no-such-python here" in result.stderr


@pytest.fixture
def stub_venv(bare_tree: Path) -> Path:
    """A .venv whose python writes down its arguments, and fails to install what the environment names."""
    python = bare_tree / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\necho "$@" >> calls\ncase "$*" in *"${FAIL:-nothing fails}"*) exit 1;; esac\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    (bare_tree / ".venv" / ".made").touch()
    return bare_tree


def calls(tree: Path) -> list[str]:
    """What the stub was asked to do since the last look."""
    file = tree / "calls"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_a_second_run_starts_at_once(stub_venv: Path) -> None:
    assert make("demo", cwd=stub_venv).returncode == 0
    first = calls(stub_venv)
    assert [line.split()[-1] for line in first] == ["requirements.txt", "space_app.py"]
    assert "-c constraints.txt" in first[0]
    make("demo", cwd=stub_venv)
    assert calls(stub_venv) == ["space_app.py"]


@pytest.mark.parametrize(("target", "program"), [("demo", "python"), ("serve", "gunicorn")])
def test_a_signal_that_ends_make_ends_the_server(target: str, program: str, stub_venv: Path) -> None:
    make("demo", cwd=stub_venv)
    server = stub_venv / ".venv" / "bin" / program
    server.write_text('#!/bin/sh\necho "$$" > pid.new\nmv pid.new pid\nexec sleep 300\n', encoding="utf-8")
    server.chmod(0o755)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(["make", target], cwd=stub_venv, env=of_a_person(), **quiet) as started:
        while not (stub_venv / "pid").exists():
            time.sleep(0.05)
        started.terminate()
    pid = int((stub_venv / "pid").read_text(encoding="utf-8"))
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


def test_tests_install_their_tools_once(stub_venv: Path) -> None:
    make("demo", cwd=stub_venv)
    calls(stub_venv)
    make("test", cwd=stub_venv)
    assert [line.split()[-1] for line in calls(stub_venv)] == ["requirements-dev.txt", "pytest"]
    make("test", cwd=stub_venv)
    assert [line.split()[-1] for line in calls(stub_venv)] == ["pytest"]


def test_the_fast_tests_leave_the_slow_ones_out(stub_venv: Path) -> None:
    make("test-fast", cwd=stub_venv)
    assert calls(stub_venv)[-1] == "-m pytest -m not slow"


def test_a_changed_requirement_installs_again(stub_venv: Path) -> None:
    make("demo", cwd=stub_venv)
    calls(stub_venv)
    with (stub_venv / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write("one-more-package\n")
    make("demo", cwd=stub_venv)
    assert len(calls(stub_venv)) == 2


def test_a_failed_install_leaves_no_stamp(stub_venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "requirements.txt")
    assert make("demo", cwd=stub_venv).returncode == 2
    assert not list((stub_venv / ".venv").glob(".requirements-*"))
    monkeypatch.delenv("FAIL")
    calls(stub_venv)
    assert make("demo", cwd=stub_venv).returncode == 0
    assert len(calls(stub_venv)) == 2


def test_two_installs_at_once_stop_the_second(stub_venv: Path) -> None:
    (stub_venv / ".venv" / ".installing").mkdir()
    result = make("demo", cwd=stub_venv)
    assert result.returncode == 2
    assert "Another make is installing" in result.stderr
    assert calls(stub_venv) == []


def test_torch_comes_from_the_index_that_is_named(stub_venv: Path) -> None:
    index = "file:///somewhere/cpu"
    make("demo", f"TORCH_INDEX={index}", cwd=stub_venv)
    torch, rest, _ = calls(stub_venv)
    assert f"--index-url {index} --force-reinstall torch>=" in torch
    assert " torchvision>=" in torch
    assert "-c constraints.txt" in torch
    assert "--index-url" not in rest
    make("demo", cwd=stub_venv)
    assert calls(stub_venv) == ["space_app.py"], (
        "the index is remembered, so a later run without it starts at once"
    )
    make("demo", "TORCH_INDEX=file:///elsewhere", cwd=stub_venv)
    assert "--index-url file:///elsewhere --force-reinstall" in calls(stub_venv)[0]


def test_tracked_files_are_small() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tracked_files() if (ROOT / name).is_file()}
    large = {name: size for name, size in sizes.items() if size >= 5_000_000}
    assert {name for name in large if not name.startswith("checkpoints/")} == set()


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "make test" in lines
    assert "make lint" in lines
    assert any(line.startswith("export REQUIRE_BROWSER=1") for line in lines)
    assert any(line.startswith("export REQUIRE_CLINIC=1") for line in lines)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
