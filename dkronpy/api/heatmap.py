"""GET /v1/schedule/heatmap: how many fires come in each minute, of all jobs and by node tag."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.requests import integer
from dkronpy.model.duration import SECOND
from dkronpy.model.job import Job
from dkronpy.model.times import rfc3339
from dkronpy.schedule import Schedule
from dkronpy.scheduling.fires import compiled, count_fires
from dkronpy.scheduling.targeting import split_count

MAX_MINUTES: Final = 1440
_MINUTE: Final = 60 * SECOND
_TURN: Final = 0.01
"""Seconds of work before other tasks get a turn."""


class Heatmap(msgspec.Struct, frozen=True):
    """Fires per minute from `start` on; a job counts for each tag that it asks of its nodes, as `key=value`, one
    without tags for `*`. Excluded fires are not counted."""

    start: str
    minutes: int
    total: list[int]
    tags: dict[str, list[int]]


class HeatmapRoutes:
    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/schedule/heatmap", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        minutes = integer(request, "minutes", 60, least=1, most=MAX_MINUTES)
        now = self._context.services.now()
        start = now - now % _MINUTE
        heat = Heatmap(rfc3339(start), minutes, [0] * minutes, {})
        turn = time.monotonic() + _TURN
        for held in self._context.views.jobs():
            self._add(heat, held.value, start, start + minutes * _MINUTE)
            if time.monotonic() > turn:
                await asyncio.sleep(0)
                turn = time.monotonic() + _TURN
        return answer(request, heat)

    def _add(self, heat: Heatmap, job: Job, start: int, end: int) -> None:
        try:
            schedule = compiled(job)
            names = [f"{key}={split_count(value)[0]}" for key, value in job.tags.items()] or ["*"]
        except ValueError:
            return  # a job of another version; it has no fires here
        rows = [heat.total]
        for name in names:
            if name not in heat.tags:
                heat.tags[name] = [0] * heat.minutes
            rows.append(heat.tags[name])
        fire = self._next(job, schedule, start - 1)
        while fire is not None and fire < end:
            minute = (fire - start) // _MINUTE
            until = start + (minute + 1) * _MINUTE - 1
            count = count_fires(job, schedule, fire - 1, until)
            for row in rows:
                row[minute] += count
            fire = self._next(job, schedule, until)

    def _next(self, job: Job, schedule: Schedule, after: int) -> int | None:
        return self._context.exclusions.next_fire(job, schedule, after)
