"""What `transport` does, for asyncio and by aiohttp: requests over kept connections, and answers in pieces."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from dkronpy.client.errors import Unreachable
from dkronpy.client.transport import EventParser, check, checked_url, headers_for, unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from aiohttp import ClientResponse

_BROKEN: Final = (ClientError, OSError, asyncio.TimeoutError, UnicodeError, ValueError)
"""What aiohttp raises where no whole answer comes; ValueError for a host name that can't be one, or a line too long."""


class AsyncTransport:
    """A server's address and the way to it. Requests raise `Unreachable`, `Refused` or one of its kinds."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        """Raises ValueError if the URL or the token cannot be used. Does not connect yet."""
        parts, _ = checked_url(url, token)
        self.url: Final = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._timeout = timeout
        self._headers = headers_for(token)
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close the connections; they are made again when needed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        fine: int = 200,
    ) -> tuple[Any, Mapping[str, str], int]:
        """As `Transport.request`."""
        try:
            async with self._open().request(
                method, self.url + path, params=query, json=body, headers=headers
            ) as response:
                answer = await response.read()
        except _BROKEN as error:
            raise unreachable(self.url, self._timeout, error) from error
        if response.status != fine:
            check(response.status, response.reason, answer)
        try:
            return json.loads(answer), response.headers, response.status
        except ValueError as error:
            raise Unreachable(f"{self.url} did not answer with JSON: is it the address of a dkron server?") from error

    @asynccontextmanager
    async def stream(self, path: str, query: Mapping[str, str], accept: str) -> AsyncGenerator[AsyncStream]:
        """An answer that is read piece by piece."""
        try:
            response = await self._open().get(self.url + path, params=query, headers={"Accept": accept})
        except _BROKEN as error:
            raise unreachable(self.url, self._timeout, error) from error
        async with response:
            if response.status != 200:
                check(response.status, response.reason, await response.read())
            yield AsyncStream(self, response)

    async def line(self, response: ClientResponse) -> bytes:
        """The next line of an answer, empty at its end."""
        try:
            return await response.content.readline()
        except _BROKEN as error:
            raise unreachable(self.url, self._timeout, error) from error

    async def piece(self, response: ClientResponse) -> bytes:
        """The next bytes of an answer, empty at its end."""
        try:
            return await response.content.readany()
        except _BROKEN as error:
            raise unreachable(self.url, self._timeout, error) from error

    def _open(self) -> ClientSession:
        if self._session is None:
            times = ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout)
            self._session = ClientSession(headers=self._headers, timeout=times)
        return self._session


class AsyncStream:
    """An answer that is read while it comes."""

    def __init__(self, transport: AsyncTransport, response: ClientResponse) -> None:
        self._transport = transport
        self._response = response
        self.headers: Final = response.headers

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The body's bytes."""
        while data := await self._transport.piece(self._response):
            yield data

    async def events(self) -> AsyncGenerator[tuple[str, str, str]]:
        """Server-sent events as (event, data, id); comments and retry times are left out."""
        parser = EventParser()
        while line := await self._transport.line(self._response):
            if event := parser.feed(line):
                yield event
