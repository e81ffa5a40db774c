"""Request bodies: in memory from end to end, and only as many bytes at once as all requests share."""

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
"""A form without files, bytes; parsed, it takes up to fifty times as many."""

_DISCARD = 3 * MAX_BYTES


class Budget:
    """Bytes that all requests share.

    Args:
        size: bytes, 1 or more.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._lock = threading.Lock()

    def check(self, size: int) -> None:
        """Takes nothing yet.

        Raises:
            RequestError: 503, ``size`` bytes would not fit now.
        """
        if self._held + size > self.size:
            raise overloaded("This server holds as many pictures as it can right now.")

    def take(self, size: int) -> None:
        """Takes bytes out of the budget.

        Raises:
            RequestError: 503, there are fewer left.
        """
        with self._lock:
            self.check(size)
            self._held += size

    def give_back(self, size: int) -> None:
        """Puts bytes back that were taken."""
        with self._lock:
            self._held -= size


class _Metered:
    """A body of which every byte that arrives is taken out of the budget.

    The announced length is looked at before the first byte is read, but not taken: else a few clients that
    announce much and send nothing would keep all others out.

    Args:
        body: as the server hands it over.
        budget: of all requests.
        expected: announced length, bytes; 0 where none was.

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
            self.give_back()  # at once, so that the others need not be refused as well
            raise
        self._held += len(data)
        return data

    def give_back(self) -> None:
        self._budget.give_back(self._held)
        self._held = 0


class _Decoder(MultipartDecoder):
    """Reads part headers of any bytes: old clients send file names in Latin-1, and nobody looks at them."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


# werkzeug, which drops the whole form for such a name, looks its decoder up here and nowhere else.
formparser.MultipartDecoder = _Decoder  # type: ignore[misc]


class InMemoryRequest(Request):
    """Keeps uploaded files in memory, within the budget, and notices a body that broke off.

    werkzeug's own request spools files over 500 kB to the disk, and believes a server that says it ends them
    itself: gunicorn says so, and ends one early, without a word, where the client went away.

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
        """Frees the uploaded files, and their part of the budget."""
        super().close()
        if "_metered" in self.__dict__:
            self._metered.give_back()

    def discard_rest(self) -> None:
        """Reads what is left of the body into nothing, up to a bound."""
        if self.content_length is not None:
            arrived = self._metered.arrived if "_metered" in self.__dict__ else 0
            left = min(self.content_length - arrived, _DISCARD)
        else:
            left = _DISCARD if "wsgi.input_terminated" in self.environ else 0
        with contextlib.suppress(
            OSError, ValueError, ParseException
        ):  # the client has gone, which is as well
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
    """For ``after_request``: reads a body that was refused to its end, after the answer was sent.

    A browser reports a lost connection, not the answer, if the server stops reading while it still sends.
    """
    if response.status_code in (413, 503):
        response.call_on_close(cast(InMemoryRequest, request._get_current_object()).discard_rest)  # type: ignore[attr-defined]
    return response
