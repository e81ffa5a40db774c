"""Request bodies: kept in memory only, within a memory budget that all requests share."""

from __future__ import annotations

import contextlib
import io
import threading
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, cast

from flask import Request, Response, current_app, request
from gunicorn.http.errors import ParseException
from werkzeug import formparser
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import MultipartDecoder
from werkzeug.wsgi import get_input_stream

from app.web.errors import RequestError, overloaded
from model.image import MAX_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_URLENCODED = 64 * 1024
"""Largest form without files, bytes; parsed, it takes up to fifty times as much memory."""

_DISCARD = 3 * MAX_BYTES


class Budget:
    """A memory budget, in bytes, that all requests share.

    Args:
        size: bytes, 1 or more.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._lock = threading.Lock()

    def check(self, size: int) -> None:
        """Check whether bytes would fit, without taking them.

        Raises:
            RequestError: 503, ``size`` bytes would not fit now.
        """
        if self._held + size > self.size:
            raise overloaded("The server holds as many pictures as it can right now.")

    def take(self, size: int) -> None:
        """Take bytes from the budget.

        Raises:
            RequestError: 503, not enough bytes are left.
        """
        with self._lock:
            self.check(size)
            self._held += size

    def give_back(self, size: int) -> None:
        """Return bytes to the budget."""
        with self._lock:
            self._held -= size


class _Metered:
    """A body whose bytes are taken from the budget as they arrive.

    The declared length is checked before the first byte is read, but not taken: otherwise a few clients that
        declare much and send nothing would block all others.

    Args:
        body: as passed by the server.
        budget: of all requests.
        expected: declared length, bytes; 0 for none.

    Attributes:
        arrived: bytes that were read.
    """

    def __init__(self, body: IO[bytes], budget: Budget, *, expected: int) -> None:
        self._body, self._budget, self._expected = body, budget, expected
        self._held = self.arrived = 0

    def read(self, size: int = -1) -> bytes:
        if self.arrived == 0:
            self._budget.check(self._expected)
        data = self._body.read(size)
        self.arrived += len(data)
        try:
            self._budget.take(len(data))
        except RequestError:
            self.give_back()  # at once, so that other requests need not be rejected as well
            raise
        self._held += len(data)
        return data

    def give_back(self) -> None:
        self._budget.give_back(self._held)
        self._held = 0


class _Decoder(MultipartDecoder):
    """Accepts part headers in any encoding: old clients send file names in Latin-1, which are ignored
    anyway."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


# werkzeug drops the whole form for such a name; this is the only place to replace its decoder.
formparser.MultipartDecoder = _Decoder  # type: ignore[misc]


class InMemoryRequest(Request):
    """Keeps uploaded files in memory, within the budget, and detects truncated bodies.

    werkzeug's own request spools files over 500 kB to the disk, and trusts a server that claims to terminate
    bodies itself: gunicorn does so, but silently ends a body early if the client disconnects.

    ``Flask.extensions["budget"]`` is the ``Budget`` of all requests.
    """

    def __init__(self, environ: WSGIEnvironment, *args: Any, **options: Any) -> None:
        if environ.get("CONTENT_LENGTH"):
            environ.pop("wsgi.input_terminated", None)
        super().__init__(environ, *args, **options)
        if self.mimetype == "application/x-www-form-urlencoded":
            self.max_content_length = MAX_URLENCODED

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body, counted in the budget until the request is closed."""
        self._metered = _Metered(
            self.environ["wsgi.input"],
            current_app.extensions["budget"],
            expected=self.content_length or 0,
        )
        counted = {**self.environ, "wsgi.input": self._metered}
        return get_input_stream(counted, max_content_length=self.max_content_length)

    def close(self) -> None:
        """Free the uploaded files and their share of the budget."""
        super().close()
        if "_metered" in self.__dict__:
            self._metered.give_back()

    def discard_rest(self) -> None:
        """Read and discard the rest of the body, up to a limit."""
        if self.content_length is not None:
            arrived = self._metered.arrived if "_metered" in self.__dict__ else 0
            left = min(self.content_length - arrived, _DISCARD)
        else:
            left = _DISCARD if "wsgi.input_terminated" in self.environ else 0
        with contextlib.suppress(OSError, ValueError, ParseException):  # the client has disconnected
            while left > 0 and (chunk := self.environ["wsgi.input"].read(min(left, 1 << 16))):
                left -= len(chunk)

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return io.BytesIO()


def keep_reading(response: Response) -> Response:
    """For ``after_request``: read a rejected body to its end, after the response was sent.

    A browser reports a lost connection instead of the response if the server stops reading while it is
    sending.
    """
    if response.status_code in (413, 503):
        response.call_on_close(cast(InMemoryRequest, request._get_current_object()).discard_rest)  # type: ignore[attr-defined]
    return response
