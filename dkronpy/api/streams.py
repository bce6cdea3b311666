"""Answers of server-sent events: open streams, their ends, their keep-alives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from dkronpy.api.errors import Problem

log = logging.getLogger(__name__)

KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a comment is sent, so that readers and proxies know that the connection lives."""
MAX_STREAMS: Final = 200
MAX_WAITING: Final = 8 << 20
"""Bytes that a reader may be behind before it is dropped."""
_HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def sent_event(event: str, data: bytes, id: str) -> bytes:
    """One event on the wire; `data` is JSON, hence one line."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (id.encode(), event.encode(), data)


class Stream:
    """One reader's answer. What is `put` waits until `run` writes it, but not without bound: a reader that is too
    slow is dropped."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._waiting: list[bytes] = []
        self._size = 0
        self._wake = asyncio.Event()
        self._ended = False

    def put(self, event: bytes) -> None:
        """Queue an event, as `sent_event` made it."""
        if self._ended:
            return
        self._waiting.append(event)
        self._size += len(event)
        if self._size > MAX_WAITING:
            log.warning("a reader of events is too slow: dropped", extra={"peer": self._request.remote})
            self.end()
            if self._request.transport is not None:
                self._request.transport.abort()
        self._wake.set()

    def end(self) -> None:
        """Let the stream end as soon as it can."""
        self._ended = True
        self._wake.set()

    async def run(self) -> None:
        """Write what is put until the stream ends."""
        while await self.wait(self._wake):
            chunk = b"".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            await self.write(chunk)

    async def write(self, events: bytes) -> None:
        """Write events now; waits while the reader does not read. Raises ConnectionResetError when it has gone."""
        if events:
            await self._response.write(events)

    async def wait(self, event: asyncio.Event) -> bool:
        """Wait until `event` is set, at most `KEEP_ALIVE` s, and clear it; False when the stream must end."""
        self._wake = event
        if not self._ended:
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await event.wait()
            except TimeoutError:
                await self._response.write(b": keep-alive\n\n")
        event.clear()
        return not self._ended


class Streams:
    """All open streams of a node."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()

    def close(self) -> None:
        """End every stream."""
        for stream in self._open:
            stream.end()

    async def serve(self, request: web.Request, writer: Callable[[Stream], Awaitable[None]]) -> web.StreamResponse:
        """Answer with what `writer` writes, until it returns or the reader goes.

        Raises Problem 503 when too many streams are open."""
        if len(self._open) >= MAX_STREAMS:
            raise Problem(503, f"{MAX_STREAMS} event streams are open already: close some")
        response = web.StreamResponse(headers=_HEADERS)
        stream = Stream(request, response)
        self._open.add(stream)
        try:
            await response.prepare(request)
            await stream.write(b"retry: 2000\n\n")  # the headers wait for the first bytes
            await writer(stream)
        except ConnectionResetError:
            log.debug("a reader of events has gone", extra={"peer": request.remote})
        finally:
            self._open.discard(stream)
        return response
