"""Where Gradio's uploads live, and that none outlives its request.

Gradio's own upload route stores a picture under its file name and the hash of its content, which two visitors
with the same picture share, and deletes nothing. The route here takes its place: each upload gets a folder of
its own with an unguessable name, no file name is kept, and an upload that breaks off leaves nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.batch import MAX_BATCH
from model.errors import ImageError
from model.image import MAX_BYTES

MAX_TOTAL = 60_000_000
"""Bytes that one upload of several pictures may have."""

MAX_AGE = 300.0
"""Seconds after which an upload that nobody asked about is deleted."""

# An <img> shows any picture that comes as this; opened by itself it is never run as a page.
_KIND = "application/octet-stream"
_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,")
_FILE = "/gradio_api/file="


def private_folder() -> Path:
    """The folder that Gradio uses: ``GRADIO_TEMP_DIR``, else a new one that only this user may read."""
    if not os.environ.get("GRADIO_TEMP_DIR"):
        os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="skindiseasenet-")
        atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)
    folder = Path(os.environ["GRADIO_TEMP_DIR"]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def upload_routes(folder: Path) -> list[Route]:
    """The routes that stand in for Gradio's own: an upload, its progress, and its preview in the page."""

    async def progress(request: Request) -> Response:
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    async def upload(request: Request) -> Response:
        size = request.headers.get("content-length", "")
        if not size.isdecimal():
            return PlainTextResponse("A Content-Length header is needed.", status_code=411)
        if int(size) > MAX_TOTAL:
            return _too_large(f"at most {MAX_TOTAL / 1e6:.0f} MB in all are accepted")
        async with request.form(max_files=MAX_BATCH, max_fields=0) as form:
            pictures = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
            if any((part.size or 0) > MAX_BYTES for part in pictures):
                return _too_large(f"at most {MAX_BYTES / 1e6:.0f} MB are accepted")
            return JSONResponse([str(_store(await part.read(), folder)) for part in pictures])

    async def preview(request: Request) -> Response:
        path = Path(request.path_params["path"]).resolve()
        # Whole and at once: Gradio's own route logs an error where the file goes while it is being sent.
        with contextlib.suppress(OSError):
            if path.parent.parent == folder:
                return Response(path.read_bytes(), headers={"Cache-Control": "no-store"}, media_type=_KIND)
        return PlainTextResponse("There is no such file.", status_code=404)

    return [
        Route("/gradio_api/file={path:path}", preview),
        Route("/gradio_api/upload", upload, methods=["POST"]),
        Route("/gradio_api/upload_progress", progress),
    ]


def _too_large(limit: str) -> Response:
    return PlainTextResponse(
        f"The picture is too large; {limit}. Save a smaller copy and try again.", status_code=413
    )


def _store(data: bytes, folder: Path) -> Path:
    path = folder / secrets.token_hex(16) / "picture"
    path.parent.mkdir()
    path.write_bytes(data)
    return path


@contextlib.contextmanager
def received(payload: Any, folder: Path) -> Iterator[bytes]:
    """The bytes of a picture that was sent; an upload is deleted when the block ends.

    Args:
        payload: Gradio's FileData of the upload as a dict, the upload's address on this server, or the
            picture itself as ``data:image/...;base64,...``, which is not written to disk.
        folder: the folder of all uploads.

    Raises:
        ImageError: there is no such upload, or the text is no picture.
    """
    if isinstance(payload, str) and payload.startswith("data:"):
        yield _decode(payload)
        return
    path = _path(payload)
    if path.parent.parent != folder:
        raise ImageError("No picture was sent.", hint="Choose a photo and send it again.", code="no_image")
    try:
        yield _read(path)
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)


def received_all(payloads: Sequence[Any], folder: Path) -> list[bytes]:
    """The bytes of several uploads, all of which are deleted.

    Raises:
        ImageError: one of them is not there.
    """
    pictures = []
    with contextlib.ExitStack() as stack:
        for payload in payloads:
            pictures.append(stack.enter_context(received(payload, folder)))
    return pictures


def _path(payload: Any) -> Path:
    if isinstance(payload, str):
        _, _, named = payload.partition(_FILE)
    else:
        named = str((payload or {}).get("path") or "")
    return Path(named.replace("\0", "")).resolve()


def _decode(uri: str) -> bytes:
    head = _DATA_URI.match(uri)
    try:
        if head:
            return base64.b64decode(uri[head.end() :], validate=True)
    except ValueError:
        pass
    raise ImageError(
        "The text that was sent is not a picture as a data URI.",
        hint="Send data:image/jpeg;base64, and then the picture's bytes in base64.",
        code="no_image",
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise ImageError(
            "The picture is no longer here; each upload is deleted as soon as it has been looked at.",
            hint="Choose the photo again.",
            code="no_image",
        ) from None


def sweep(folder: Path, *, older_than: float) -> None:
    """Deletes what has lain in the folder for more seconds than this."""
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - entry.lstat().st_mtime >= older_than:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@contextlib.asynccontextmanager
async def sweeping(folder: Path) -> AsyncIterator[None]:
    """Deletes forgotten uploads as long as the server runs, and all of them when it ends."""

    async def forever() -> None:
        while True:
            await asyncio.sleep(MAX_AGE / 5)
            await asyncio.to_thread(sweep, folder, older_than=MAX_AGE)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        sweep(folder, older_than=0)
