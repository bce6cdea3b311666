"""A TCP proxy on loopback that can be cut, held back in one direction, and closed to newcomers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from tests.support.processes import HOST


class Proxy:
    """Passes every connection to `address` (`host:port`) on, while it is entered: `async with Proxy(...) as proxy`."""

    def __init__(self, address: str, *, tls: ssl.SSLContext | None = None) -> None:
        """With `tls` those who connect must speak TLS, which ends here."""
        host, _, port = address.rpartition(":")
        self._tls = tls
        self._target = (host, int(port))
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering = asyncio.Event()
        self._answering.set()
        self.refusing = False
        """New connections are closed at once."""
        self.address = ""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._connected, HOST, 0, ssl=self._tls)
        self.address = f"{HOST}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._answering.set()

    def hold_answers(self) -> None:
        """Pass requests on, keep the answers until `cut` or `release_answers`."""
        self._answering.clear()

    def release_answers(self) -> None:
        self._answering.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self.refusing or not self._server.is_serving():
            writer.transport.abort()
            return
        self._start(self._pass_on(reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(server_writer)
        if writer.is_closing():  # it was cut meanwhile
            server_writer.transport.abort()
        for source, sink, answers in ((reader, server_writer, False), (server_reader, writer, True)):
            self._start(self._pump(source, sink, answers))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
        try:
            with suppress(ConnectionError):
                while data := await source.read(1 << 16):
                    if answers:
                        await self._answering.wait()
                    sink.write(data)
                    await sink.drain()
        finally:
            sink.transport.abort()
            self._writers.discard(sink)
