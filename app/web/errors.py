"""Every error as one JSON shape under the API, and as a friendly page elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flask import Flask, Response, jsonify, make_response, render_template, request
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkExtension, InvalidChunkSize, NoMoreData
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    RequestTimeout,
)

from app.queue import OverloadedError
from app.web.answer import PAGES, render_problem
from model.errors import CheckpointError, ComputationError, ConfigError, SkinDiseaseNetError

logger = logging.getLogger(__name__)


class RequestError(SkinDiseaseNetError):
    """A request that does not hold what it should.

    Args:
        message, hint, code: as in the family.
        status: the HTTP status, 4xx or 503.
        headers: what the answer's head says on top.
    """

    code = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        code: str | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status, self.headers = status, headers or {}


RETRY_AFTER = 3
"""Seconds; by then a full queue of the default length has usually been worked off."""


def overloaded(message: str) -> RequestError:
    """503: the server has as much to do as it may; it can be asked again in ``RETRY_AFTER`` seconds."""
    return RequestError(
        message,
        hint=f"Try again in {RETRY_AFTER} seconds.",
        code="overloaded",
        status=503,
        headers={"Retry-After": str(RETRY_AFTER)},
    )


# Picture errors by code; the others are 422: the bytes arrived as they should, the picture is at fault.
_IMAGE_STATUS = {"empty_image": 400, "image_too_large": 413, "unsupported_format": 415}

# HTTP status → code, message, hint
_HTTP = {
    404: ("not_found", "There is nothing at this address.", "Check the address; /docs lists what there is."),
    405: ("method_not_allowed", "This address does not take {method} requests.", "/docs says what it takes."),
    408: (
        "request_timeout",
        "The request did not arrive in full: the connection is too slow, or it broke.",
        "Try again; a smaller copy of the picture travels faster.",
    ),
    413: (
        "image_too_large",
        "The request is too large; at most {limit:.0f} MB are accepted.",
        "Save a smaller copy, or send fewer pictures, and try again.",
    ),
    429: (
        "too_many_requests",
        "There were more requests than one key or address may send in that time.",
        "Wait for as many seconds as Retry-After says, then go on more slowly.",
    ),
}
_INTERNAL = SkinDiseaseNetError(
    "Something went wrong in the server; the picture was not kept.",
    hint="Try again; if it happens again, tell whoever runs this server when it happened.",
    code="internal_error",
)
_TELL = "Tell whoever runs this server; its log says more."
# Errors of the server's own files: what its log says of them is not for visitors.
_OF_THE_SERVER = {
    "keys_unreadable": "The server cannot tell right now who may ask.",
    "sessions_unusable": "The server cannot tell right now who is signed in.",
    "audit_unwritable": "The server cannot note down right now what it answers, so it does not answer.",
}

_FOR_PROGRAMS = {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def register_errors(app: Flask) -> None:
    """Answers every exception of the app and of its routing."""
    app.register_error_handler(SkinDiseaseNetError, _expected)
    app.register_error_handler(HTTPException, _http)
    for broken_off in (ClientDisconnected, NoMoreData, ChunkMissingTerminator):
        app.register_error_handler(broken_off, lambda error: _http(RequestTimeout()))
    for malformed in (InvalidChunkSize, InvalidChunkExtension):
        app.register_error_handler(malformed, lambda error: _http(BadRequest()))
    app.register_error_handler(Exception, _unexpected)


def wants_json() -> bool:
    """Whether this request is a program's: anything but the pages."""
    # By path too: a wrong method leads to no endpoint.
    return request.blueprint == "api" or request.path.startswith("/api/") or request.path in _FOR_PROGRAMS


def _expected(error: SkinDiseaseNetError) -> Response:
    if isinstance(error, OverloadedError):
        error = overloaded(error.message)
    if isinstance(error, RequestError):
        response = _answer(error, error.status)
        response.headers.update(error.headers)
        return response
    if error.code in _OF_THE_SERVER:
        logger.error("%s", error)
        return _answer(SkinDiseaseNetError(_OF_THE_SERVER[error.code], hint=_TELL, code=error.code), 503)
    if isinstance(error, (CheckpointError, ComputationError)):
        logger.error("%s", error)
        return _answer(error, 500)
    if isinstance(error, ConfigError):
        return _answer(error, 400)
    return _answer(error, _IMAGE_STATUS.get(error.code, 422))


def _http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:  # a redirect
        return error
    if isinstance(error, InternalServerError):  # from where no handler of exceptions is asked; it is logged
        return _answer(_INTERNAL, status)
    known = _HTTP.get(status)
    code, message, hint = known or (
        error.name.lower().replace(" ", "_"),
        f"The request cannot be answered ({error.name}).",
        "/docs says what this server takes.",
    )
    response = _answer(
        SkinDiseaseNetError(
            message.format(method=request.method, limit=(request.max_content_length or 0) / 1e6),
            hint=hint,
            code=code,
        ),
        status,
    )
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if status in (400, 408):
        response.headers["Connection"] = "close"  # where the next request would start is not known
    return response


def _unexpected(error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return _answer(_INTERNAL, 500)


def _answer(error: SkinDiseaseNetError, status: int) -> Response:
    if request.endpoint in PAGES:
        body = render_problem(error, status)
    elif wants_json():
        body = jsonify(error.to_json())
    else:
        body = make_response(render_template("error.html", error=error, status=status))
    body.status_code = status
    return body
