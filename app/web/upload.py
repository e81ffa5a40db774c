"""Read the pictures of a request."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from typing import cast

from flask import Request
from werkzeug.datastructures import FileStorage

from app.pages.batch import MAX_BATCH_BYTES
from app.web.errors import RequestError
from model.image import MAX_BYTES

# Margin for the boundaries and part headers around a picture of the largest accepted size.
MAX_BODY = MAX_BYTES + 64 * 1024

MAX_BATCH_BODY = MAX_BATCH_BYTES + 64 * 1024

RAW_TYPES = "image/* or application/octet-stream"
_HOW = f"Send it as the multipart field `image`, or as the raw body with Content-Type {RAW_TYPES}."


def read_form_picture(request: Request) -> bytes:
    """The bytes of the one file in the multipart field ``image``; its name is never read.

    Raises:
        RequestError: there is no such field, it is not a file, or there are several.
    """
    files = _form_files(request)
    if len(files) > 1:
        raise RequestError(
            "{number} pictures were sent; one at a time is expected.",
            hint="Send each picture separately.",
            code="too_many_images",
            values={"number": len(files)},
        )
    return read_bytes(files[0])


def read_form_pictures(request: Request) -> list[bytes]:
    """The bytes of each file in the multipart field ``image``: at least one, ``MAX_BATCH_BYTES`` in total.

    Raises:
        RequestError: there is no such field, or it is not a file.
        werkzeug.exceptions.RequestEntityTooLarge: the body is larger.
    """
    if request.mimetype == "multipart/form-data":
        request.max_content_length = MAX_BATCH_BODY
    return [read_bytes(file) for file in _form_files(request)]


def read_body(request: Request) -> bytes:
    """As ``get_data``, but without a second copy of the body."""
    body = io.BytesIO()
    shutil.copyfileobj(request.stream, body)
    return body.getvalue()


def read_bytes(file: FileStorage) -> bytes:
    """The bytes of an uploaded file."""
    return cast(io.BytesIO, file.stream).getvalue()  # unlike `read`, this copies nothing


def _form_files(request: Request) -> list[FileStorage]:
    files = request.files.getlist("image")
    if not files:
        others = sorted(name for name in {*request.files, *request.form} if name)
        got = f"only {', '.join(map(repr, others[:5]))}" if others else "no field at all"
        if "image" in request.form:
            got = "it as text, not as a file"
        raise RequestError(
            "A file in the field 'image' is expected; the form has {got}.",
            hint="Choose a picture first; a program sends it as a file in the multipart field `image`.",
            code="missing_image",
            values={"got": got},
        )
    return files


def read_picture(request: Request) -> bytes:
    """The bytes of the picture in a multipart form or in a raw body.

    Raises:
        RequestError: the content type is not supported, or the form has no picture.
        werkzeug.exceptions.RequestEntityTooLarge: the body is over ``MAX_BODY``; it is not read completely.
    """
    kind = request.mimetype
    if kind == "multipart/form-data":
        return read_form_picture(request)
    if kind.startswith("image/") or kind in ("application/octet-stream", "application/dicom"):
        return read_body(request)
    if not kind and not request.content_length and not read_body(request):
        raise RequestError("The request has no body; a picture is expected.", hint=_HOW, code="empty_body")
    raise RequestError(
        f"The Content-Type is {kind or 'missing'}; multipart/form-data, {RAW_TYPES} is expected.",
        hint=_HOW,
        code="unsupported_content_type",
        status=415,
    )


def read_switch(request: Request, name: str) -> bool:
    """Read a query parameter that is on or off; off if it is missing.

    Raises:
        RequestError: it has another value, or is given twice.
    """
    values = request.args.getlist(name) or ["0"]
    if len(values) > 1 or values[0] not in ("0", "1", "false", "true"):
        raise _invalid(name, values, "1 or 0", f"Write ?{name}=1, or leave it out.")
    return values[0] in ("1", "true")


def read_choice(request: Request, name: str, words: Sequence[str]) -> str:
    """Read a query parameter that is one of some words; the first of them if it is missing.

    Raises:
        RequestError: it is another word, or is given twice.
    """
    values = request.args.getlist(name) or [words[0]]
    if len(values) > 1 or values[0] not in words:
        raise _invalid(name, values, f"one of {', '.join(words)}", f"Correct {name}, or leave it out.")
    return values[0]


def _invalid(name: str, values: Sequence[str], expected: str, hint: str) -> RequestError:
    got = ", ".join(repr(value[:40]) for value in values[:3])
    return RequestError(f"{name} is {got}; {expected} is expected.", hint=hint, code="invalid_parameter")
