"""What pyproject.toml declares: all that is imported, as requirements files, pins and lock say it too."""

from __future__ import annotations

import ast
import re
import sys
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"app", "model", "train", "skindiseasenet"}
ON_THE_PLATFORM = {"spaces", "_typeshed"}
"""What Hugging Face's machines have, and what only type checkers see."""

FILES = ("requirements.txt", "requirements-web.txt", "requirements-dev.txt", "constraints.txt")
LOCK = "requirements.lock"
CUDA = ("nvidia", "cuda", "triton")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


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


def requirements(name: str) -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


PYTEST = {line for line in extra("dev") if Requirement(line).name == "pytest"}


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("requirements.txt", ["", "web", "gradio", "train"]),
        ("requirements-web.txt", ["", "web"]),
        ("requirements-eval.txt", ["", "web", "gradio", "train", "eval"]),
        ("requirements-scale.txt", ["", "web", "gradio", "train", "scale"]),
        ("requirements-clinic.txt", ["clinic"]),
        ("requirements-review.txt", ["", "web", "review"]),
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
        (["app/clinic"], ["", "clinic"]),
        (["app/review"], ["", "review"]),
        (["app/drift.py"], ["", "train"]),
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


def test_torch_is_taken_as_a_pair_and_from_2_8_on() -> None:
    ranges = {requirement.name: requirement.specifier for requirement in requirements("requirements.txt")}
    assert ranges["torch"].contains("2.8.0"), "ZeroGPU Spaces need it"
    newest = {
        name: max(minor for minor in range(100) if ranges[name].contains(f"{major}.{minor}.0"))
        for name, major in (("torch", 2), ("torchvision", 0))
    }
    oldest = {
        name: min(minor for minor in range(100) if ranges[name].contains(f"{major}.{minor}.0"))
        for name, major in (("torch", 2), ("torchvision", 0))
    }
    assert oldest["torchvision"] == oldest["torch"] + 15, "torch 2.N goes with torchvision 0.(N+15)"
    assert newest["torchvision"] <= newest["torch"] + 15


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_one_pin_inside_its_range(python: str) -> None:
    machine = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    pins: dict[str, list[Requirement]] = {}
    for pin in requirements("constraints.txt"):
        if pin.marker is None or pin.marker.evaluate(machine):
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for wanted in (*requirements("requirements.txt"), *requirements("requirements-dev.txt")):
        found = pins.get(canonicalize_name(wanted.name), [])
        assert len(found) == 1, f"{wanted.name} has {len(found)} pins on Python {python}"
        (exact,) = found[0].specifier
        assert exact.operator == "=="
        assert wanted.specifier.contains(Version(exact.version)), f"{found[0]} is outside {wanted}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_a_hash_for_every_pin_and_nothing_else_but_cuda(python: str) -> None:
    machine = {"python_version": python, "python_full_version": f"{python}.9"}
    machine |= {"sys_platform": "linux", "platform_machine": "x86_64"}
    entries = (ROOT / LOCK).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    locked: dict[str, str] = {}
    for entry in entries:
        if entry.startswith("#"):
            continue
        pin, *hashes = entry.split(" --hash=")
        wanted = Requirement(pin)
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one.strip()) for one in hashes)
        if wanted.marker is None or wanted.marker.evaluate(machine):
            assert wanted.name not in locked, f"{wanted.name} is locked twice on Python {python}"
            locked[wanted.name] = str(wanted.specifier)
    pins = {
        canonicalize_name(pin.name): str(pin.specifier)
        for pin in requirements("constraints.txt")
        if pin.marker is None or pin.marker.evaluate(machine)
    }
    assert {name: pin for name, pin in locked.items() if not name.startswith(CUDA)} == pins


def test_the_space_runs_the_tested_gradio() -> None:
    pin = next(pin for pin in requirements("constraints.txt") if pin.name == "gradio")
    front_matter = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    version = re.search(r"^sdk_version: (\S+)$", front_matter, re.MULTILINE)
    assert version
    assert str(pin.specifier) == f"=={version[1]}"


def test_pins_leave_cuda_to_torch() -> None:
    names = [pin.name for pin in requirements("constraints.txt")]
    assert [name for name in names if name.startswith(CUDA)] == []


@pytest.mark.parametrize("name", [*FILES, LOCK])
def test_requirement_files_name_no_registry(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|^-[if] ", text, re.MULTILINE)
