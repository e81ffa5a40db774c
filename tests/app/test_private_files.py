"""The files of the page that computes in the browser; tests/browser/test_private.py has what it does."""

from __future__ import annotations

import json
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from app.__main__ import main
from app.predictor import Predictor
from app.private.site import BUILT, MODEL, PAGE
from app.settings import Settings
from app.web import create_app


def test_the_command_writes_everything_that_a_host_needs(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "site"
    command = ["private", "--output", str(folder), "--checkpoint", str(tiny_checkpoint)]
    assert main(command) == 0
    model = json.loads((folder / MODEL).read_text())
    for name, large in model["large"].items():
        assert (folder / name).stat().st_size == large["size"]
    assert all((folder / name).exists() for name in model["small"])
    assert "wasm-unsafe-eval" in (folder / PAGE).read_text()
    assert "cross-origin-embedder-policy: require-corp" in (folder / "README.md").read_text()

    (folder / MODEL).write_text("old")
    assert main(command) == 0
    assert json.loads((folder / MODEL).read_text()) == model

    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    assert main(["private", "--output", str(other), "--checkpoint", str(tiny_checkpoint)]) == 1
    assert "holds something else" in capsys.readouterr().err
    assert [file.name for file in other.iterdir()] == ["thesis.txt"]


def test_the_page_alone_may_run_webassembly_and_can_be_switched_off(predictor: Predictor) -> None:
    client = create_app(Settings(port=8000), predictor).test_client()
    assert "wasm-unsafe-eval" in client.get("/private/").headers["Content-Security-Policy"]
    start = client.get("/")
    assert "wasm-unsafe-eval" not in start.headers["Content-Security-Policy"]
    assert "Cross-Origin-Embedder-Policy" not in start.headers
    assert "/private/" in start.text

    client = create_app(Settings(port=8000, private=False), predictor).test_client()
    assert client.get("/private/").status_code == 404
    assert "/private/" not in client.get("/").text


def test_a_server_that_cannot_make_the_graph_says_so(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    app = create_app(Settings(port=8000, graph_cache=tmp_path), predictor)
    answer = app.test_client().get("/private/")
    assert answer.status_code == 503
    assert "not set up on this server" in answer.text
    assert str(tmp_path) not in answer.text


def test_the_scripts_are_what_their_sources_give(tmp_path: Path) -> None:
    sources = ROOT / "browser"
    node = shutil.which("node")
    if node is None or not (sources / "node_modules").is_dir():
        pytest.skip("needs node and `npm ci` in browser/")
    subprocess.run([node, "build.mjs", str(tmp_path / "built")], cwd=sources, check=True)
    fresh = {file.name: file.read_bytes() for file in (tmp_path / "built").iterdir()}
    kept = {file.name: file.read_bytes() for file in BUILT.iterdir()}
    packed = {name for name in kept if name.endswith(".xz")}
    assert {name.removesuffix(".xz") for name in kept} == set(fresh)
    for name, content in kept.items():
        assert (lzma.decompress(content) if name in packed else content) == fresh[name.removesuffix(".xz")]
