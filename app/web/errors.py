"""Error handling: one JSON format for the API, and a friendly page elsewhere."""

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

from app.pages.language import N_
from app.queue import OverloadedError
from app.web.answer import PAGES, render_problem
from model.errors import CheckpointError, ComputationError, ConfigError, SkinDiseaseNetError

logger = logging.getLogger(__name__)


class RequestError(SkinDiseaseNetError):
    """An invalid request.

    Args:
        message, hint, code, values: as in ``SkinDiseaseNetError``.
        status: the HTTP status, 4xx or 503.
        headers: further response headers.
    """

    code = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        code: str | None = None,
        values: Mapping[str, object] | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, values=values)
        self.status, self.headers = status, headers or {}


RETRY_AFTER = 3
"""Seconds; by then a full queue of the default length has usually been processed."""


def overloaded(message: str) -> RequestError:
    """503: the server is at its limit; clients may retry after ``RETRY_AFTER`` seconds."""
    return RequestError(
        message,
        hint="Try again in {seconds} seconds.",
        code="overloaded",
        values={"seconds": RETRY_AFTER},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER)},
    )


# By code; all others are 422: the request was fine, but the picture or the reading is not.
_STATUS = {
    "empty_image": 400,
    "image_too_large": 413,
    "unsupported_format": 415,
    "no_such_case": 404,
    "already_read": 409,
    "already_settled": 409,
}


def status_of(error: SkinDiseaseNetError) -> int:
    """The HTTP status for a picture or a reading that cannot be taken."""
    return _STATUS.get(error.code, 422)


# HTTP status → code, message, hint
_HTTP = {
    404: (
        "not_found",
        N_("There is nothing at this address."),
        N_("Check the address; /docs lists all of them."),
    ),
    405: (
        "method_not_allowed",
        N_("This address does not accept {method} requests."),
        N_("See /docs for what it accepts."),
    ),
    408: (
        "request_timeout",
        N_("The request did not arrive completely: the connection is too slow, or it broke."),
        N_("Try again, perhaps with a smaller copy of the picture."),
    ),
    413: (
        "image_too_large",
        N_("The request is too large; at most {limit} MB are accepted."),
        N_("Save a smaller copy, or send fewer pictures, and try again."),
    ),
    429: (
        "too_many_requests",
        N_("There were too many requests from this key or address."),
        N_("Wait for the seconds given in Retry-After, then continue more slowly."),
    ),
}
_INTERNAL = SkinDiseaseNetError(
    "Something went wrong on the server; your picture was not kept.",
    hint="Try again; if it happens again, tell whoever runs this server, with the time it happened.",
    code="internal_error",
)
_TELL = N_("Tell whoever runs this server; its log has the details.")
# Errors of the server's own files: the details in its log are not for visitors.
_OF_THE_SERVER = {
    "keys_unreadable": N_("The server cannot check keys right now."),
    "sessions_unusable": N_("The server cannot check who is signed in right now."),
    "private_unavailable": N_("The page that computes in your browser is not set up on this server."),
    "audit_unwritable": N_("The server cannot write its audit log right now, so it does not give results."),
    "review_unusable": N_("The server cannot use its review queue right now; nothing was stored."),
}

_APIS = ("/api/", "/dicomweb/")
_FOR_PROGRAMS = {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def register_errors(app: Flask) -> None:
    """Register handlers for every exception of the app and of its routing."""
    app.register_error_handler(SkinDiseaseNetError, _expected)
    app.register_error_handler(HTTPException, _http)
    for broken_off in (ClientDisconnected, NoMoreData, ChunkMissingTerminator):
        app.register_error_handler(broken_off, lambda error: _http(RequestTimeout()))
    for malformed in (InvalidChunkSize, InvalidChunkExtension):
        app.register_error_handler(malformed, lambda error: _http(BadRequest()))
    app.register_error_handler(Exception, _unexpected)


def wants_json() -> bool:
    """Whether this request comes from a program: it is for anything but the pages."""
    # Check the path too: a wrong method has no endpoint.
    return request.blueprint == "api" or request.path.startswith(_APIS) or request.path in _FOR_PROGRAMS


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
    return _answer(error, status_of(error))


def _http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:  # a redirect
        return error
    # raised where exception handlers are not called; it has been logged
    if isinstance(error, InternalServerError):
        return _answer(_INTERNAL, status)
    known = _HTTP.get(status)
    code, message, hint = known or (
        error.name.lower().replace(" ", "_"),
        N_("The request cannot be answered ({name})."),
        N_("See /docs for what this server accepts."),
    )
    response = _answer(
        SkinDiseaseNetError(
            message,
            hint=hint,
            code=code,
            values={
                "method": request.method,
                "limit": f"{(request.max_content_length or 0) / 1e6:.0f}",
                "name": error.name,
            },
        ),
        status,
    )
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if status in (400, 408):
        response.headers["Connection"] = "close"  # the start of the next request is unknown
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
