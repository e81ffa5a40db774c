"""The layers of the packages, and conventions that no linter checks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("model", "train", "app")
LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*LINT, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_imports_respect_the_layers() -> None:
    """The contracts are in pyproject.toml; imports at any depth of any function count, indirect ones too."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("model/heads.py", "import gradio", "model does not import training or front ends BROKEN"),
        ("model/errors.py", "from model import checkpoint", "Layers of model BROKEN"),
        ("train/config.py", "def f():\n    from train.fit import run", "Layers of train BROKEN"),
        ("app/heatmap.py", "import flask", "command line do not import front ends BROKEN"),
    ],
)
def test_a_forbidden_import_is_detected(tmp_path: Path, file: str, line: str, broken: str) -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    with open(tmp_path / file, "a", encoding="utf-8") as text:
        text.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert broken in done.stdout


def test_json_is_written_without_nan_everywhere() -> None:
    """NaN is no JSON: a figure that may be undefined is null, and any other one that is NaN is an error."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")] + [ROOT / "handler.py"]
    calls = [
        (file, node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.dump", "json.dumps")
    ]
    lax = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file, call in calls
        if "allow_nan=False" not in [ast.unparse(keyword) for keyword in call.keywords]
    ]
    assert not lax
