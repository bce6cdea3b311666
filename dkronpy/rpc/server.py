"""The RPC server. A node says here who it is and which protocol versions it speaks; the lanes between nodes begin
with that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from dkronpy import __version__

PROTOCOL_OLDEST, PROTOCOL_NEWEST = 1, 1
"""Versions of the RPC protocol that this release speaks."""


def build(node: str) -> web.Application:
    """The application of the RPC port of the node with this name."""

    async def hello(_: web.Request) -> web.Response:
        return web.json_response(
            {"node": node, "version": __version__, "protocol": {"oldest": PROTOCOL_OLDEST, "newest": PROTOCOL_NEWEST}}
        )

    app = web.Application()
    app.router.add_get("/hello", hello)
    return app


def door(
    serve: Callable[[web.WebSocketResponse], Awaitable[None]], **options: Any
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a lane's path: `serve` has the socket of a peer, which is closed in the end. `options` are of
    aiohttp's WebSocketResponse."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(**options)
        try:
            await socket.prepare(request)
        except ConnectionError:
            return web.Response()  # which nobody gets: the peer hung up before it was greeted
        try:
            await serve(socket)
        finally:
            await socket.close()
        return socket

    return handle
