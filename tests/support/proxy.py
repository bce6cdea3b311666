"""A TCP proxy on loopback that can be cut, held back in one direction, and closed to newcomers."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from tests.support.processes import HOST


class Proxy:
    """Passes every connection to `address` (`host:port`) on, while it is entered: `async with Proxy(...) as proxy`."""

    def __init__(self, address: str, *, tls: ssl.SSLContext | None = None) -> None:
        """With `tls` those who connect must speak TLS, which ends here."""
        host, _, port = address.rpartition(":")
        self._tls = tls
        self._target = (host, int(port))
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
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
        await asyncio.gather(*self._pumps, return_exceptions=True)

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
        if self.refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(server_writer)
        for source, sink, answers in ((reader, server_writer, False), (server_reader, writer, True)):
            pump = asyncio.create_task(self._pump(source, sink, answers))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
        with suppress(ConnectionError):
            while data := await source.read(1 << 16):
                if answers:
                    await self._answering.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
        self._writers.discard(sink)
