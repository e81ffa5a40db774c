"""Timeouts for Gradio's connections: uvicorn waits forever for request headers and for slow readers."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


def timed_protocol(seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's protocol with a timeout for sending request headers and for reading the response."""

    class Timed(AutoHTTPProtocol):  # type: ignore[valid-type, misc]
        _head: asyncio.TimerHandle | None = None
        _reader: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in filter(None, (self._head, self._reader)):
                timer.cancel()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reader = self.loop.call_later(seconds, self._reset)

        def resume_writing(self) -> None:
            if self._reader:
                self._reader.cancel()
            super().resume_writing()

        def _reset(self) -> None:
            # Without lingering, or the system would keep trying to deliver the response.
            line = self.transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

        def _await_head(self) -> None:
            if self._head:
                self._head.cancel()
            self._head = self.loop.call_later(seconds, self._end_without_head)

        def _end_without_head(self) -> None:
            # While a request is handled, its headers have arrived; Edge limits the body.
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Timed
