"""Gradio's uploads, kept in memory until they have been analysed.

Gradio's own upload route writes a picture to the disk, under its file name and the hash of its content, which
two visitors with the same picture share. The routes here replace it: each upload gets its own unguessable
address, no file name is kept, and nothing is ever written to disk.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from gradio.utils import get_upload_folder
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.pages.batch import MAX_BATCH, MAX_BATCH_BYTES
from model.errors import ImageError, SkinDiseaseNetError
from model.image import MAX_BYTES

MAX_KEPT = 240_000_000
"""Most bytes of all uploads together that wait to be analysed."""
MAX_AGE = 60.0
"""Seconds after which an unused upload is deleted."""

# An <img> shows any picture with this type; opened directly, it is never run as a page.
_KIND = "application/octet-stream"
_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,")


class _InMemory(MultiPartParser):
    spool_max_size = MAX_BATCH_BYTES


class Uploads:
    """The uploaded pictures that have not been analysed yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pictures: dict[str, bytes] = {}

    def keep(self, pictures: Sequence[bytes]) -> list[str]:
        """Keep pictures for ``MAX_AGE`` seconds; must be called in the server's event loop.

        Returns:
            The path by which Gradio knows each picture; no such file exists.

        Raises:
            SkinDiseaseNetError: ``MAX_KEPT`` would be exceeded.
        """
        with self._lock:
            kept = sum(map(len, self._pictures.values()))
            if kept + sum(map(len, pictures)) > MAX_KEPT:
                raise SkinDiseaseNetError(
                    "The server is busy: too many uploads are waiting.",
                    hint="Try again in a moment.",
                    code="overloaded",
                )
            # Gradio passes only paths in its upload folder to functions.
            paths = [f"{get_upload_folder()}/{secrets.token_hex(16)}/picture" for _ in pictures]
            self._pictures |= dict(zip(map(_token, paths), pictures, strict=True))
        for path in paths:
            asyncio.get_running_loop().call_later(MAX_AGE, self.forget, path)
        return paths

    def look(self, path: str) -> bytes | None:
        """The picture with this path, or with an address that ends in it; None if there is none."""
        return self._pictures.get(_token(path))

    def forget(self, path: str) -> None:
        """Delete the picture with this path, if there is one."""
        with self._lock:
            self._pictures.pop(_token(path), None)

    @contextlib.contextmanager
    def received(self, payload: Any) -> Iterator[bytes]:
        """The bytes of a picture that was sent; an upload is deleted when the block ends.

        Args:
            payload: Gradio's FileData of the upload as a dict, the upload's address on this server, or the
                picture itself as ``data:image/...;base64,...``.

        Raises:
            ImageError: there is no such upload, or the text is not a picture.
        """
        if isinstance(payload, str) and payload.startswith("data:"):
            yield _decode(payload)
            return
        path = payload.get("path") if isinstance(payload, dict) else payload
        data = self.look(str(path))
        if data is None:
            raise ImageError(
                "No picture was sent, or it has been deleted: an upload is deleted once it has been "
                "analysed, or after {seconds} seconds.",
                hint="Choose the photo again.",
                code="no_image",
                values={"seconds": f"{MAX_AGE:.0f}"},
            )
        try:
            yield data
        finally:
            self.forget(str(path))

    def received_all(self, payloads: Sequence[Any]) -> list[bytes]:
        """The bytes of several uploads, all of which are deleted.

        Raises:
            ImageError: one of them does not exist.
        """
        with contextlib.ExitStack() as stack:
            return [stack.enter_context(self.received(payload)) for payload in payloads]

    def routes(self) -> list[Route]:
        """The routes that replace Gradio's own: uploads, their progress, and their previews."""

        async def progress(request: Request) -> Response:
            return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

        async def upload(request: Request) -> Response:
            parser = _InMemory(request.headers, request.stream(), max_files=MAX_BATCH, max_fields=0)
            try:
                form = await parser.parse()
            except (MultiPartException, KeyError):
                return PlainTextResponse(
                    f"A form is expected with at most {MAX_BATCH} pictures in the field `files`.",
                    status_code=400,
                )
            parts = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
            if any((part.size or 0) > MAX_BYTES for part in parts):
                most = f"at most {MAX_BYTES / 1e6:.0f} MB are accepted"
                return PlainTextResponse(
                    f"The picture is too large; {most}. Save a smaller copy and try again.", status_code=413
                )
            try:
                return JSONResponse(self.keep([await part.read() for part in parts]))
            except SkinDiseaseNetError as error:
                return PlainTextResponse(str(error), status_code=503)

        async def preview(request: Request) -> Response:
            data = self.look(request.path_params["path"])
            if data is None:
                return PlainTextResponse("There is no such file.", status_code=404)
            return Response(data, media_type=_KIND)

        return [
            Route("/gradio_api/file={path:path}", preview),
            Route("/gradio_api/upload", upload, methods=["POST"]),
            Route("/gradio_api/upload_progress", progress),
        ]


def _token(path: str) -> str:
    return path.rpartition("/")[0].rpartition("/")[2]


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
