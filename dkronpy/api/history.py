"""Many runs in few bytes, for pictures of them: the last runs of some jobs, and what is kept of one."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import invalid
from dkronpy.api.requests import integer
from dkronpy.api.shapes import time_or_null
from dkronpy.history.contract import Query
from dkronpy.model.execution import Execution, State, execution_id

MAX_JOBS: Final = 200
MAX_RECENT: Final = 50
MAX_RUNS: Final = 5000
_PAGE: Final = 1000
_AT_ONCE: Final = 8
"""Questions to the history that wait for their answers at the same time."""
_MS: Final = 1_000_000


class TickShape(msgspec.Struct, frozen=True, gc=False):
    """One run as a mark; `seconds` is how long it ran, null where it did not or still does."""

    id: str
    state: State
    at: str | None
    seconds: float | None


class HistoryRoutes:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._ledger = context.ledger

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/recent", self.recent),
            web.get("/v1/jobs/{job}/history", self.of_job),
        ]

    async def recent(self, request: web.Request) -> web.Response:
        """By job, its last runs, newest first; jobs that there are not have none."""
        names = list(dict.fromkeys(request.query.getall("job", [])))
        if len(names) > MAX_JOBS:
            raise invalid(("job", f"at most {MAX_JOBS} jobs can be asked for at once"))
        limit = integer(request, "limit", 15, least=1, most=MAX_RECENT)
        turn = asyncio.Semaphore(_AT_ONCE)

        async def ticks(name: str) -> list[TickShape]:
            async with turn:
                found, _ = await self._ledger.page(Query(job=name), limit=limit)
            return [_tick(execution) for execution in found]

        found = await asyncio.gather(*(ticks(name) for name in names))
        return answer(request, dict(zip(names, found, strict=True)))

    async def of_job(self, request: web.Request) -> web.Response:
        """The newest runs as columns, newest first."""
        name = self._context.held(request.match_info["job"]).value.name
        limit = integer(request, "limit", 2000, least=1, most=MAX_RUNS)
        found: list[Execution] = []
        cursor: str | None = None
        while len(found) < limit:
            page, cursor = await self._ledger.page(Query(job=name), limit=min(_PAGE, limit - len(found)), cursor=cursor)
            found += page
            if cursor is None:
                break
        response = answer(request, _columns(found, more=cursor is not None))
        response.enable_compression()
        return response


def _tick(execution: Execution) -> TickShape:
    seconds = None
    if execution.started is not None and execution.finished is not None:
        seconds = (execution.finished - execution.started) / 1e9
    return TickShape(
        id=execution_id(execution.group, execution.attempt, execution.node),
        state=execution.state,
        at=time_or_null(execution.started or execution.fire or execution.group),
        seconds=seconds,
    )


def _columns(found: list[Execution], *, more: bool) -> dict[str, Any]:
    """Times in ms since 1970, null for never."""
    return {
        "more": more,
        "id": [execution_id(e.group, e.attempt, e.node) for e in found],
        "state": [e.state for e in found],
        "attempt": [e.attempt for e in found],
        "count": [e.count for e in found],
        "fire": [_ms(e.fire or e.group) for e in found],
        "decided": [_ms(e.decided) for e in found],
        "started": [_ms(e.started) for e in found],
        "finished": [_ms(e.finished) for e in found],
    }


def _ms(ns: int | None) -> int | None:
    return ns // _MS if ns else None
