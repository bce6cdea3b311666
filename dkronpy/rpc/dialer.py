"""Connections to the RPC ports of other nodes, over TLS where this node has certificates."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientWebSocketResponse, ClientWSTimeout

from dkronpy.rpc.tls import Tls

CLOSING = ClientWSTimeout(ws_close=1.0)  # pyright: ignore[reportCallIssue] (attrs hides the parameter)


class Dialer:
    """See the module. The session is for nothing else."""

    def __init__(self, session: ClientSession, tls: Tls | None = None) -> None:
        self._session = session
        self._scheme = "http" if tls is None else "https"
        self._context = True if tls is None else tls.client

    @asynccontextmanager
    async def connect(
        self, address: str, path: str, *, longest: int, heartbeat: float | None = None
    ) -> AsyncGenerator[ClientWebSocketResponse]:
        """A WebSocket to `path` at `host:port`, with frames of up to `longest` bytes; with `heartbeat` a ping each so
        many seconds, and the end when one is not answered within half of that. Raises ClientError, OSError."""
        async with self._session.ws_connect(
            f"{self._scheme}://{address}{path}",
            ssl=self._context,
            max_msg_size=longest,
            heartbeat=heartbeat,
            timeout=CLOSING,
        ) as socket:
            yield socket
