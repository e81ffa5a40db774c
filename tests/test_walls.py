"""The walls of the design, read from the imports that stand in the source, at any depth of any function.

An import inside the project is followed, so that a wall is not climbed through a third module.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("model", "train", "app")

GRADIO_ROOM = ("gradio", "gradio_client", "app.gradio_*")
FLASK_ROOM = ("flask", "werkzeug", "app.web")

# importer → what it must not reach
WALLS = {
    "model": ("train", "app", "gradio", "flask", "datasets", "accelerate"),
    "train": ("app", "gradio", "flask"),
    "app": ("train", "datasets", "accelerate"),
    "app.predictor": (*GRADIO_ROOM, *FLASK_ROOM),
    "app.__main__": (*GRADIO_ROOM, *FLASK_ROOM),
    "app.gradio_*": FLASK_ROOM,
    "app.web": GRADIO_ROOM,
}


def imports(source: str, *, module: str, is_package: bool) -> set[str]:
    """Dotted names that the source imports; for `from a import b` both `a` and `a.b`, as b may be a module.

    The packages around a module count too: Python runs their `__init__.py` first.
    """
    parents = module.split(".")
    names = {".".join(parents[:depth]) for depth in range(1, len(parents))}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - is_package
                base = ".".join([*parents[: len(parents) - up], *base.split(".")]).rstrip(".")
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                names.add(str(node.args[0].value))
    return names


def read_tree(root: Path) -> dict[str, set[str]]:
    """Module name → names it imports, for every file of the three packages."""
    tree = {}
    for file in (path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))):
        parts = file.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        tree[module] = imports(file.read_text(encoding="utf-8"), module=module, is_package=is_package)
    return tree


def within(name: str, room: str) -> bool:
    return fnmatchcase(name, room) or fnmatchcase(name, f"{room}.*")


def breaches(tree: dict[str, set[str]]) -> list[str]:
    """One line a breach: the wall, and the way over it."""
    found = []
    for importer, forbidden in WALLS.items():
        for start in (module for module in tree if within(module, importer)):
            ways, seen = [(start,)], {start}
            while ways:
                way = ways.pop()
                for name in sorted(tree[way[-1]]):
                    if any(within(name, room) for room in forbidden):
                        found.append(" → ".join((*way, name)))
                    elif name in tree and name not in seen:
                        seen.add(name)
                        ways.append((*way, name))
    return found


def test_the_walls_stand() -> None:
    tree = read_tree(ROOT)
    assert {name.split(".")[0] for name in tree} == set(PACKAGES)
    assert breaches(tree) == []


def test_walled_modules_exist() -> None:
    tree = read_tree(ROOT)
    empty = [importer for importer in WALLS if not any(within(module, importer) for module in tree)]
    assert empty == [], "a wall around a module that is no longer there keeps nothing"


@pytest.mark.parametrize(
    ("module", "source", "way"),
    [
        ("model.network", "import gradio as gr", "model.network → gradio"),
        ("model.network", "def f():\n    from datasets import load_dataset", "model.network → datasets"),
        ("model.network", "from train.data import load", "model.network → train.data"),
        (
            "model.network",
            "import importlib\nimportlib.import_module('accelerate')",
            "model.network → accelerate",
        ),
        ("train.loop", "try:\n    import flask.views\nexcept ImportError: pass", "train.loop → flask.views"),
        ("app.cli", "class A:\n    import train", "app.cli → train"),
        ("app.predictor", "from . import web", "app.predictor → app.web"),
        ("app.predictor", "from .gradio_ui import build_demo", "app.predictor → app.gradio_ui"),
        ("app.web.views", "from ..gradio_ui import build_demo", "app.web.views → app.gradio_ui"),
        ("app.gradio_ui", "if True:\n    from app import web", "app.gradio_ui → app.web"),
    ],
)
def test_the_checker_sees_a_breach(module: str, source: str, way: str) -> None:
    found = breaches({module: imports(source, module=module, is_package=False)})
    assert way in found


def test_the_checker_follows_imports_inside_the_project() -> None:
    tree = {"app.predictor": {"app.helper"}, "app.helper": {"app.drawing"}, "app.drawing": {"gradio"}}
    assert breaches(tree) == ["app.predictor → app.helper → app.drawing → gradio"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("model.network", "import timm, torch\nfrom .heads import build_head"),
        ("train.loop", "from accelerate import Accelerator\nimport datasets\nfrom model import network"),
        ("app.gradio_ui", "import gradio\nfrom .predictor import Predictor"),
        ("app.cli", "import training_wheels\n'import train'  # import train"),
    ],
)
def test_the_checker_lets_the_rest_pass(module: str, source: str) -> None:
    assert breaches({module: imports(source, module=module, is_package=False)}) == []


def test_relative_imports_of_a_package_start_at_the_package() -> None:
    assert imports("from . import views", module="app.web", is_package=True) == {
        "app",
        "app.web",
        "app.web.views",
    }
    assert imports("from .. import settings", module="app.web", is_package=True) == {"app", "app.settings"}


@pytest.mark.parametrize("name", ["space_app.py", "flask_app.py"])
def test_entry_points_hold_under_25_lines(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) < 25


def test_files_stay_readable_in_one_sitting() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files
    }
    assert {name: count for name, count in lines.items() if count > 320} == {}


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
