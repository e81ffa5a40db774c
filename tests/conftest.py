"""What all tests share: a small checkpoint, small pictures, servers that really run, and a browser."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import flask
import numpy as np
import pytest
import torch
from fake_hub import FakeHub
from flask.testing import FlaskClient
from huggingface_hub import EvalResult, ModelCardData
from PIL import Image
from processes import ROOT as ROOT
from processes import free_port, running
from session import Session, session

from app.prediction import Prediction
from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app
from model import checkpoint
from model.config import ModelConfig
from model.labels import LABELS
from model.network import SkinDiseaseNet


def pytest_configure(config: pytest.Config) -> None:
    """What `datasets` prepares and what is exported goes to a folder of this session, named early."""
    if hasattr(config, "workerinput"):  # the environment of the process that started this one names it
        return
    cache = tempfile.TemporaryDirectory(prefix="caches-")
    config.add_cleanup(cache.cleanup)
    os.environ["HF_DATASETS_CACHE"] = f"{cache.name}/datasets"
    os.environ["XDG_CACHE_HOME"] = cache.name
    os.environ["PRECISION"] = "float32"  # answers are compared with PyTorch's, to the last digits


_SLOW_FIXTURES = {
    "browsers",
    "chromium",
    "flask_address",
    "gradio_address",
    "hub_environment",
    "open_page",
    "serve",
}
_SLOW_FILES = {
    *("test_changed_folder", "test_clinic_live", "test_gradio", "test_gradio_edge", "test_gradio_mcp"),
    *("test_gradio_pages", "test_gradio_start", "test_handler", "test_overload", "test_schemathesis"),
    *("test_score", "test_space", "test_web_flood", "test_web_live"),
    *(
        "test_ablation",
        "test_benchmark",
        "test_crossval",
        "test_distributed",
        "test_fit",
        "test_ood_detector",
    ),
    *("test_push", "test_run_folder"),
}
"""Servers, launchers, and whole runs of training."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make test-fast` leaves out, and puts it first: the quick files fill what time is left."""
    for item in items:
        if item.path.stem in _SLOW_FILES or _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def fresh_accelerate() -> None:
    """Accelerate keeps one state a process; every test starts without one."""
    if "accelerate.state" in sys.modules:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)


def make_picture(width: int = 96, height: int = 72, *, seed: int = 0) -> Image.Image:
    """A smooth, colourful picture that is neither symmetric nor flat."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The picture as a file's bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    return ModelConfig(labels=LABELS, backbone="test_resnet", hidden_size=16, input_size=64, temperature=0.5)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_config: ModelConfig) -> Path:
    """A checkpoint folder of a small network with random weights, the same in every run."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    card = "---\nlicense: other\nlicense_name: test-only\n---\n# Tiny\n"
    checkpoint.save(folder, SkinDiseaseNet(tiny_config), tiny_config, card=card)
    return folder


@pytest.fixture(scope="session")
def predictor(tiny_checkpoint: Path) -> Predictor:
    return Predictor.from_checkpoint(str(tiny_checkpoint), device="cpu")


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``skin`` with the split test, and ``ood`` with the split holdout and no labels."""
    from opinionated import write_data

    return write_data(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def opinionated(tiny_checkpoint: Path, drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with logits spread over the classes, and thresholds that reject about half."""
    from opinionated import make_opinionated

    return make_opinionated(
        tiny_checkpoint, drawn_data, tmp_path_factory.mktemp("checkpoints") / "opinionated"
    )


@pytest.fixture(scope="session")
def told(opinionated: Path) -> dict[str, list[Prediction]]:
    """What the predictor says to the pictures of ``drawn_data``."""
    from opinionated import answers

    return answers(opinionated)


@pytest.fixture(scope="session")
def carded_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a card that states licence, library and results, as a published one must."""
    folder = tmp_path_factory.mktemp("checkpoints") / "carded"
    shutil.copytree(tiny_checkpoint, folder)
    result = EvalResult("image-classification", "made-up", "made-up", "accuracy", 0.5)
    front = ModelCardData(license="other", library_name="timm", model_name="Carded", eval_results=[result])
    (folder / "README.md").write_text(f"---\n{front.to_yaml()}\n---\n# Carded\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def hub() -> Iterator[FakeHub]:
    """One small Hub for all tests; each uses repositories of its own."""
    with FakeHub() as server:
        yield server


@pytest.fixture(scope="session")
def hub_environment(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a process needs to know that Hub and no other."""
    return hub.environment(tmp_path_factory.mktemp("caches"))


@pytest.fixture(scope="session")
def online(hub_environment: dict[str, str]) -> Iterator[Session]:
    """A process that runs our commands against that Hub."""
    with session(hub_environment) as commands:
        yield commands


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "photo.jpg"
    path.write_bytes(encode(make_picture(seed=3)))
    return path


@pytest.fixture(scope="module")
def app(predictor: Predictor) -> flask.Flask:
    return create_app(Settings(port=8000), predictor)


@pytest.fixture
def client(app: flask.Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def flask_address(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ``flask_app:app`` under gunicorn, as `make serve` starts it, on the tiny checkpoint."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "flask_app:app"]
    log = tmp_path_factory.mktemp("flask") / "server.log"
    environment = {"CHECKPOINT": str(tiny_checkpoint), "PORT": str(port), "RATE_LIMIT": "off"}
    with running(command, port=port, log=log, environment=environment, ready="/readyz") as address:
        yield address


@pytest.fixture(scope="session")
def gradio_address(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `python space_app.py` on the tiny checkpoint."""
    port = free_port()
    folder = tmp_path_factory.mktemp("gradio")
    environment = {
        "CHECKPOINT": str(tiny_checkpoint),
        "PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "space_app.py"]
    with running(command, port=port, log=folder / "server.log", environment=environment, wait=300) as address:
        yield address


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serves a predictor with Flask from this process: ``serve(predictor, **settings)`` → its address."""
    from werkzeug.serving import make_server

    from app.settings import Settings
    from app.web import create_app

    with contextlib.ExitStack() as stack:

        def start(predictor: Predictor, *, port: int = 0, **settings: object) -> str:
            app = create_app(Settings(port=8000, **settings), predictor)  # type: ignore[arg-type]
            server = make_server("127.0.0.1", port, app, threaded=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; without one the test skips, or fails where REQUIRE_BROWSER is set."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    message = "Chromium is missing; on Debian and Ubuntu: sudo apt-get install chromium"
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browsers(chromium: str) -> Iterator[Callable[..., object]]:
    """Headless Chromiums, one for each set of arguments, which live as long as the module's tests.

    No longer: while Playwright runs, its thread counts as one with a running event loop.
    """
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright, contextlib.ExitStack() as stack:

        @functools.cache
        def started(arguments: tuple[str, ...]) -> object:
            browser = playwright.chromium.launch(executable_path=chromium, args=[*quiet, *arguments])
            stack.callback(browser.close)
            return browser

        yield started


@pytest.fixture
def open_page(browsers: Callable[..., object]) -> Iterator[Callable[..., object]]:
    """Opens a page as a new visitor: ``open_page(url, arguments=[...], **context options)``."""
    with contextlib.ExitStack() as stack:

        def opened(url: str, *, arguments: Iterable[str] = (), **options: object) -> object:
            context = browsers(tuple(arguments)).new_context(**options)  # type: ignore[attr-defined]
            stack.callback(context.close)
            page = context.new_page()
            page.goto(url)
            return page

        yield opened
