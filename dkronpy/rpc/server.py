"""The RPC server. A node says here who it is and which protocol versions it speaks; the lanes between nodes begin
with that."""

from __future__ import annotations

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
