"""/v1/settings: what holds in the whole cluster."""

from __future__ import annotations

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.requests import by, json_object
from dkronpy.api.shapes import time_or_null
from dkronpy.model.records import ClusterSettings
from dkronpy.model.settings_spec import parse_settings


class SettingsShape(msgspec.Struct, frozen=True):
    """`env` is in the environment of every run."""

    env: dict[str, str]
    updated_at: str | None
    updated_by: str


class SettingsRoutes:
    def __init__(self, context: Context) -> None:
        self._mirror = context.services.mirror
        self._jobs = context.services.jobs

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/settings", self.get), web.put("/v1/settings", self.put)]

    async def get(self, request: web.Request) -> web.Response:
        held = self._mirror.settings
        return answer(request, _shape(ClusterSettings() if held is None else held.value))

    async def put(self, request: web.Request) -> web.Response:
        """Replace all settings; orders made from now on follow them."""
        env = parse_settings(await json_object(request))
        return answer(request, _shape(await self._jobs.put_settings(env, by=by(request))))


def _shape(settings: ClusterSettings) -> SettingsShape:
    return SettingsShape(settings.env, time_or_null(settings.since), settings.by)
