"""Requests to run a job that are not carried out yet: listed, and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem
from dkronpy.api.requests import by
from dkronpy.api.shapes import time_or_null
from dkronpy.model.execution import Reason, Trigger
from dkronpy.model.records import TriggerRecord

CANCEL_WAIT: Final = 5.0
"""Seconds until a cancellation that the leader has not carried out is answered with 202."""


class TriggerShape(msgspec.Struct, frozen=True):
    """A request; `at` is when the run shall be, `triggered_at` when it was asked for."""

    job_name: str
    group: int
    at: str | None
    trigger: Trigger
    trigger_type: str
    trigger_description: str
    trigger_data: msgspec.Raw | None
    triggered_by: str
    triggered_at: str | None
    env: dict[str, str]


class TriggerRoutes:
    """/v1/triggers and /v1/jobs/{job}/triggers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._mirror = context.services.mirror

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/triggers", self.of_all),
            web.get("/v1/jobs/{job}/triggers", self.of_job),
            web.delete("/v1/jobs/{job}/triggers/{group}", self.cancel),
        ]

    async def of_all(self, request: web.Request) -> web.Response:
        """All that wait, those that are due first."""
        return self._list(request, self._mirror.jobs)

    async def of_job(self, request: web.Request) -> web.Response:
        self._context.held(name := request.match_info["job"])
        return self._list(request, [name])

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancels a request; 202 where the leader has not done so yet, 409 where it was carried out before."""
        name = request.match_info["job"]
        self._context.held(name)
        group = _group(request.match_info["group"])
        found = self._mirror.triggers.get((name, group))
        if found is None:
            raise Problem(404, f"job {name!r} has no trigger {request.match_info['group'][:40]!r} that waits")
        shape = _shape(name, group, found.value)
        key = (name, group, 0, "")
        over = asyncio.Event()
        unsubscribe = self._mirror.subscribe(lambda _: None if key in self._mirror.kills else over.set())
        try:
            await self._context.services.requests.cancel(name, group, by=by(request))
            over.clear()
            if key in self._mirror.kills:
                async with asyncio.timeout(CANCEL_WAIT):
                    await over.wait()
        except TimeoutError:
            return answer(request, shape, status=202)
        finally:
            unsubscribe()
        ended = await self._context.ledger.get(key)
        if ended is None or ended.reason != Reason.CANCELLED:
            raise Problem(409, "it was carried out before it could be cancelled: see the job's executions")
        return answer(request, shape)

    def _list(self, request: web.Request, names: Iterable[str]) -> web.Response:
        jobs = {name: self._mirror.jobs[name].value for name in names}
        waiting = [
            _shape(name, group, held.value)
            for (name, group), held in sorted(self._mirror.triggers.items(), key=lambda item: item[1].value.at)
            if name in jobs and held.value.since >= jobs[name].created
        ]
        return answer(request, waiting, headers={"X-Total-Count": str(len(waiting))})


def _group(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _shape(name: str, group: int, record: TriggerRecord) -> TriggerShape:
    return TriggerShape(
        job_name=name,
        group=group,
        at=time_or_null(record.at),
        trigger=record.kind,
        trigger_type=record.type or record.kind.value,
        trigger_description=record.description,
        trigger_data=msgspec.Raw(record.data.encode()) if record.data else None,
        triggered_by=record.by,
        triggered_at=time_or_null(record.since),
        env=record.env,
    )
