"""The private page as a set of files that any host can serve: the picture never leaves the browser.

The scripts are written in TypeScript (``browser/``) and kept in ``built/``, together with ONNX Runtime for
browsers, so that nothing has to be fetched or built where the page is served.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import lzma
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from app.pages import render
from app.pages.language import N_, condition
from app.private.words import words
from model.checkpoint import Checkpoint
from model.errors import ConfigError
from model.files import atomic_folder
from model.image import quality
from model.image.formats import MAX_ASPECT, MIN_SIDE
from model.image.preprocess import decode_side
from model.runtime.engine import openvino_core
from model.runtime.graph_store import IMAGES, LOGITS

FOLDER = Path(__file__).parent
BUILT = FOLDER / "built"
FRAME = FOLDER.parent / "web" / "static"
"""The folder of the icon and of the style sheet for the page around the answer."""

PAGE, MODEL, GRAPH = "index.html", "model.json", "model.onnx"
PACKED = ".xz"

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""The content policy of the page: nothing but its own files, and the network's WebAssembly."""

ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers with which a browser allows several threads; without them the page uses one."""

_REFUSALS = (
    (
        "refused-unreadable",
        N_("This browser can't open that picture"),
        N_("It may be damaged, or of a kind that this browser does not know. Save it as JPEG or PNG."),
    ),
    (
        "refused-small",
        N_("The picture is too small"),
        N_("Take the photo again, closer and at full size."),
    ),
    (
        "refused-narrow",
        N_("The picture is too narrow"),
        N_("Crop the picture to the area of skin that matters."),
    ),
    (
        "broken",
        N_("The model could not be used in this browser"),
        N_("Load the page again with a connection. If that does not help, try another browser."),
    ),
)

File = Path | bytes


def private_site(
    checkpoint: Checkpoint, graph: Path, *, terms: str, top: Markup | None = None, policy: str = ""
) -> dict[str, File]:
    """All files of the page in the language in use, by name; ``index.html`` is the page.

    Args:
        checkpoint: answers.
        graph: its small graph, see ``model.runtime.small``.
        terms: of use of the checkpoint.
        top: the header of the page; default one without links.
        policy: a content policy to write into the page, for a host that sends none.

    Raises:
        ConfigError: a sentence has another structure than the scripts expect.
        CheckpointError: the checkpoint lost a file meanwhile.
    """
    config = checkpoint.config
    files: dict[str, File] = {
        name: folder / name
        for folder, names in (
            (render.FOLDER, (*render.STYLES, render.FONT)),
            (FRAME, ("frame.css", "icon.svg")),
            (FOLDER, ("private.css",)),
        )
        for name in names
    }
    files |= {file.name: file for file in sorted(BUILT.iterdir()) if file.suffix != PACKED}
    large: dict[str, File] = {GRAPH: graph}
    large |= {file.name.removesuffix(PACKED): unpacked(file) for file in sorted(BUILT.glob(f"*{PACKED}"))}
    large |= {name: checkpoint.folder / name for name in (config.detector, config.gate) if name}
    model = {
        "id": checkpoint.id,
        "revision": checkpoint.revision,
        "config": dataclasses.asdict(config),
        "decode_side": decode_side(config),
        "min_side": MIN_SIDE,
        "max_aspect": MAX_ASPECT,
        "quality": {
            name.lower(): getattr(quality, name)
            for name in ("SIDE", "SMALLEST", "DARK_BELOW", "WHITE_FROM", "BRIGHT_ABOVE", "SHARP_FROM")
        },
        "words": words(config, None if checkpoint.gate is None else checkpoint.gate.expects),
        "check": _logits(graph, config.input_size),
        # A new file has a new address, so that no browser takes one that it kept for another.
        "large": {
            name: {"url": f"{name}?{_digest(file)}", "size": _size(file)} for name, file in large.items()
        },
        "small": ["./", MODEL, *files],
    }
    files[MODEL] = json.dumps(model, allow_nan=False).encode()
    files[PAGE] = _page(
        checkpoint,
        megabytes=round((_size(graph) + _size(large["ort-wasm-simd-threaded.wasm"])) / 1e6),
        top=render.top("./", []) if top is None else top,
        terms=terms,
        styles=[name for name in files if name.endswith(".css")],
        policy=policy,
    ).encode()
    return files | large


def write_site(folder: Path, checkpoint: Checkpoint, graph: Path, *, terms: str) -> int:
    """Write the page's files for a host that serves a folder, such as a static Space.

    Args:
        folder: made if needed; an empty one, or one that this wrote before, is replaced.
        checkpoint, graph, terms: as for ``private_site``.

    Returns:
        Bytes of all files together.

    Raises:
        ConfigError: the folder holds something else, or cannot be written.
    """
    files = private_site(checkpoint, graph, terms=terms, policy=POLICY)
    files["README.md"] = _CARD.format(
        headers="\n".join(f"  {name.lower()}: {value}" for name, value in ISOLATION.items())
    ).encode()
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / MODEL).is_file())
    ):
        raise ConfigError(
            f"{folder} holds something else than an earlier copy of the page.",
            hint="Name a folder that is empty or does not exist.",
        )
    with atomic_folder(folder) as fresh:
        for name, content in files.items():
            (fresh / name).parent.mkdir(exist_ok=True)
            (fresh / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return sum(map(_size, files.values()))


_CARD = """\
---
title: SkinDiseaseNet in your browser
emoji: 🔬
colorFrom: green
colorTo: gray
sdk: static
license: other
pinned: false
custom_headers:
{headers}
---

# SkinDiseaseNet in your browser

The photo never leaves the device: the browser fetches the model once and computes by itself. A
learning aid, never a diagnosis. Written by `python -m app private`.
"""


@functools.cache
def unpacked(file: Path) -> bytes:
    """The content of a packed file, kept in memory."""
    return lzma.decompress(file.read_bytes())


def check_input(side: int) -> NDArray[np.float32]:
    """An input (1, 3, side, side), -1 to 1, for which the browser's result is compared with ours."""
    numbers = np.arange(3 * side * side) * 7919 % 256
    return (numbers / 128 - 1).astype(np.float32).reshape(1, 3, side, side)


@functools.cache
def _logits(graph: Path, side: int) -> tuple[float, ...]:
    model = openvino_core().read_model(graph.read_bytes())
    compiled = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return tuple(compiled({IMAGES: check_input(side)})[LOGITS][0].tolist())


def _page(checkpoint: Checkpoint, *, styles: Sequence[str], **values: object) -> str:
    templates = render.environment(FOLDER / "templates", render.FOLDER / "templates")
    return templates.get_template("private.html").render(
        conditions=[condition(name) for name in checkpoint.config.labels],
        model_id=checkpoint.id,
        revision=checkpoint.revision,
        refusals=_REFUSALS,
        styles=styles,
        listed=render.TOP,
        notice=render.notice(),
        **values,
    )


def _size(file: File) -> int:
    return len(file) if isinstance(file, bytes) else file.stat().st_size


def _digest(file: File) -> str:
    content = file if isinstance(file, bytes) else file.read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]
