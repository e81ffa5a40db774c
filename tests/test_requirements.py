"""What pyproject.toml declares: all that is imported, and the same as the requirements files say."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"app", "model", "train", "skindiseasenet"}
ON_THE_PLATFORM = {"spaces", "_typeshed"}
"""What Hugging Face's machines have, and what only type checkers see."""


def extra(*names: str) -> set[str]:
    """The dependencies of these extras and of those that they name; "" is what is installed without any."""
    found = {str(Requirement(line)) for line in PROJECT["dependencies"]} if "" in names else set()
    for name in filter(None, names):
        for line in PROJECT["optional-dependencies"][name]:
            wanted = Requirement(line)
            if wanted.name == PROJECT["name"]:
                found |= extra(*wanted.extras)
            else:
                found.add(str(wanted))
    return found


def listed(file: str) -> set[str]:
    """The lines of a requirements file, and of those that it names."""
    found: set[str] = set()
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= listed(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            found.add(str(Requirement(line)))
    return found


PYTEST = {line for line in extra("dev") if Requirement(line).name == "pytest"}


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("requirements.txt", ["", "web", "gradio", "train"]),
        ("requirements-web.txt", ["", "web"]),
        ("requirements-eval.txt", ["", "web", "gradio", "train", "eval"]),
        ("requirements-scale.txt", ["", "web", "gradio", "train", "scale"]),
        ("requirements-dev.txt", ["", "dev"]),
    ],
)
def test_a_requirements_file_says_what_the_extras_say(file: str, names: list[str]) -> None:
    assert listed(file) - PYTEST == extra(*names) - PYTEST


def test_what_the_project_was_asked_to_install_is_in_requirements() -> None:
    fixed = "torch timm gradio datasets huggingface-hub accelerate safetensors flask pytest"
    assert set(fixed.split()) <= {Requirement(line).name for line in listed("requirements.txt")}


def imported(*places: str) -> set[str]:
    """The packages that the files below these places import, also within functions."""
    files = [file for place in places for file in ([ROOT / place] if place.endswith(".py") else below(place))]
    roots = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                roots.add(node.module.partition(".")[0])
    return roots - set(sys.stdlib_module_names) - OURS - ON_THE_PLATFORM


def below(place: str) -> list[Path]:
    return sorted((ROOT / place).rglob("*.py"))


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["model"], ["", "torch"]),
        (["app/web", "app/pages", "app/service", "flask_app.py", "gunicorn.conf.py"], ["", "web"]),
        (["app/gradio_ui", "app/pages", "space_app.py"], ["", "gradio"]),
        (["app/bulk", "app/commands.py", "app/__main__.py"], ["", "torch", "scale"]),
        (["train", "skindiseasenet.py"], ["", "train", "eval"]),
    ],
)
def test_everything_imported_is_declared(places: list[str], names: list[str]) -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in extra(*names)}
    of_module = packages_distributions()
    missing = {
        root
        for root in imported(*places)
        if not declared & {canonicalize_name(name) for name in of_module.get(root, [root])}
    }
    assert missing == set()


def test_the_program_of_the_package_is_there() -> None:
    module, _, name = PROJECT["scripts"]["skindiseasenet"].partition(":")
    assert callable(getattr(import_module(module), name))
