"""The cluster's keys: listed, installed, used and removed on all nodes at once.

Keys are in bodies alone, never in an address, and are not logged; also to list them takes a token of scope write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem, invalid
from dkronpy.api.requests import json_object
from dkronpy.api.services import Keyring
from dkronpy.config.values import parse_key
from dkronpy.gossip.gossip import KeyReport

PATH: Final = "/v1/keyring"


class KeyringRoutes:
    """The routes under `/v1/keyring`."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.services.cluster

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self.list),
            web.post(f"{PATH}/install", self.install),
            web.post(f"{PATH}/use", self.use),
            web.post(f"{PATH}/remove", self.remove),
        ]

    async def list(self, request: web.Request) -> web.Response:
        return answer(request, _shape(await self._keyring().list_keys()))

    async def install(self, request: web.Request) -> web.Response:
        return await self._change(request, self._keyring().install_key)

    async def use(self, request: web.Request) -> web.Response:
        return await self._change(request, self._keyring().use_key)

    async def remove(self, request: web.Request) -> web.Response:
        return await self._change(request, self._keyring().remove_key)

    def _keyring(self) -> Keyring:
        keyring = self._cluster.keyring()
        if keyring is None:
            raise Problem(409, "this cluster has no key: start every node with the same --encrypt")
        return keyring

    async def _change(self, request: web.Request, change: Callable[[bytes], Awaitable[KeyReport]]) -> web.Response:
        text = (await json_object(request)).get("key")
        try:
            key = parse_key(text) if isinstance(text, str) else b""
        except ValueError as error:
            raise invalid(("key", str(error))) from None
        if not key:
            raise invalid(("key", "must be a key in base64, as dkron keygen prints it"))
        return answer(request, _shape(await change(key)))


def _shape(report: KeyReport) -> dict[str, Any]:
    return {
        "complete": report.complete,
        "members": report.members,
        "answered": report.answered,
        "errors": report.errors,
        "keys": report.keys,
        "primary": report.primary,
    }
