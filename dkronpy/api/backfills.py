"""Backfills: fires of the past that are to be run; asked for, listed and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import Problem, invalid
from dkronpy.api.explain import decided
from dkronpy.api.graph import state_of
from dkronpy.api.requests import by, json_object
from dkronpy.api.shapes import time_or_null
from dkronpy.catalog.mirror import Held
from dkronpy.history.contract import Query
from dkronpy.model.backfill import MAX_FIRES, Backfill, BackfillPolicy
from dkronpy.model.backfill_spec import parse_backfill
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import OF_FIRES, Execution
from dkronpy.model.job import Job
from dkronpy.model.times import rfc3339
from dkronpy.schedule import ScheduleError
from dkronpy.scheduling.backfilling import of_backfill, progress_of
from dkronpy.scheduling.choosing import Choice, Past, TooManyFires, choose

_PAGE: Final = 1000
"""Executions that are read at once."""


class BackfillState(StrEnum):
    """Where a backfill stands."""

    RUNNING = "running"
    """Fires are to be started, or in flight."""
    CANCELLING = "cancelling"
    """No more are started; some are in flight."""
    CANCELLED = "cancelled"
    FINISHED = "finished"


class BackfillShape(msgspec.Struct, frozen=True):
    """The newest backfill of a job: `total` fires are to be run, so many are started, and so many of those in
    flight."""

    job_name: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    policy: BackfillPolicy
    parallel: int
    state: BackfillState
    total: int
    started: int
    in_flight: int
    asked_at: str | None
    asked_by: str
    ended_at: str | None
    cancelled_at: str | None
    cancelled_by: str


class BackfillRoutes:
    """/v1/backfills and /v1/jobs/{job}/backfill."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services
        self._mirror = context.services.mirror

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/backfills", self.all),
            web.get("/v1/jobs/{job}/backfill", self.get),
            web.post("/v1/jobs/{job}/backfill", self.ask),
            web.delete("/v1/jobs/{job}/backfill", self.cancel),
        ]

    async def all(self, request: web.Request) -> web.Response:
        """The newest of each job that has had one, those asked for last first."""
        held = ((name, self._newest(job.value)) for name, job in self._mirror.jobs.items())
        found = [(name, backfill.value) for name, backfill in held if backfill is not None]
        found.sort(key=lambda item: -item[1].since)
        return answer(request, [self._shape(*item) for item in found])

    async def get(self, request: web.Request) -> web.Response:
        name = request.match_info["job"]
        return answer(request, self._shape(name, self._held(name).value))

    async def ask(self, request: web.Request) -> web.Response:
        """Chooses the fires by the records and asks, durably, for their runs; with `dry_run` only tells which."""
        job = self._context.held(name := request.match_info["job"])
        there, old = self._mirror.backfills.get(name), self._newest(job.value)
        now = self._services.now()
        spec, start, end = parse_backfill(await json_object(request), now)
        if job.value.dependency is not None:
            raise Problem(409, f"job {name!r} runs after others and has no fires of its own: backfill its parents")
        before: tuple[tuple[int, int], ...] = ()
        if old is not None:
            progress = progress_of(old.value, state_of(self._mirror, name))
            if not progress.ended and not spec.dry_run:
                raise Problem(409, f"a backfill of job {name!r} is under way: wait for its end, or cancel it")
            before = old.value.ranges(progress.started)
        choice = await self._choose(job.value, start, end, spec.policy, before, later=old is not None)
        told = {"fires": [rfc3339(fire) for fire in choice.fires], "left_out": choice.left_out}
        wanted = Backfill(
            max(now, job.value.created, 0 if old is None else old.value.since + 1),
            by(request),
            start,
            end,
            spec.policy,
            spec.parallel,
            tuple(choice.fires),
            before,
        )
        if spec.dry_run or not choice.fires:
            return answer(request, {**told, "backfill": None})
        if not await self._services.backfills.put(wanted, job, there):
            raise Problem(409, f"job {name!r}, or its backfill, was changed meanwhile: ask again")
        headers = {"Location": request.path}
        return answer(request, {**told, "backfill": self._shape(name, wanted)}, status=201, headers=headers)

    async def cancel(self, request: web.Request) -> web.Response:
        """No more fires start; those in flight go on."""
        name = request.match_info["job"]
        held = self._held(name)
        if progress_of(held.value, state_of(self._mirror, name)).ended:
            raise Problem(409, f"the backfill of job {name!r} is over already")
        cancelled = await self._services.backfills.cancel(name, by=by(request))
        return answer(request, self._shape(name, cancelled or held.value))

    def _newest(self, job: Job) -> Held[Backfill] | None:
        """The job's newest backfill; none that was of a deleted job of this name."""
        found = self._mirror.backfills.get(job.name)
        return None if found is None or found.value.since < job.created else found

    def _held(self, name: str) -> Held[Backfill]:
        found = self._newest(self._context.held(name).value)
        if found is None:
            raise Problem(404, f"job {name!r} has had no backfill")
        return found

    async def _choose(
        self, job: Job, start: int, end: int, policy: BackfillPolicy, before: Sequence[tuple[int, int]], *, later: bool
    ) -> Choice:
        """`later`: there may be runs of earlier backfills, whose groups are later than their fires."""
        cursor, state = self._mirror.cursor, state_of(self._mirror, job.name)
        past = Past(
            edits=await self._services.jobs.edits(job.name),
            executions=await self._executions(job.name, start, None if later else end + SECOND),
            backfilled=before,
            exclusions=self._context.exclusions,
            decided=lambda fire: cursor is not None and decided(cursor.value, state, job, fire),
        )
        try:
            return await asyncio.to_thread(choose, job, start, end, policy, past)
        except TooManyFires:
            raise invalid(("from", f"there are more than {MAX_FIRES} fires up to then: take a shorter range")) from None
        except ScheduleError as error:
            raise invalid((error.field, str(error))) from None

    async def _executions(self, name: str, since: int, until: int | None) -> list[Execution]:
        """The job's executions of fires whose group is in this range, and the records that reach into it."""
        found: list[Execution] = []
        cursor: str | None = None
        query = Query(job=name, since=since, until=until)
        while True:
            page, cursor = await self._context.ledger.page(query, limit=_PAGE, cursor=cursor)
            found += [execution for execution in page if execution.trigger in OF_FIRES]
            if cursor is None:
                break
        older, _ = await self._context.ledger.page(Query(job=name, until=since), limit=1)
        return found + [execution for execution in older if execution.last > since]

    def _shape(self, name: str, wanted: Backfill) -> BackfillShape:
        progress = progress_of(wanted, state_of(self._mirror, name))
        flying = {held.value.group for held in self._mirror.runs.get(name, {}).values() if of_backfill(held.value)}
        if progress.ended:
            unfinished = progress.started < len(wanted.fires)
            state = BackfillState.CANCELLED if unfinished else BackfillState.FINISHED
        else:
            state = BackfillState.CANCELLING if wanted.cancelled else BackfillState.RUNNING
        return BackfillShape(
            job_name=name,
            start=rfc3339(wanted.start + 1),
            end=rfc3339(wanted.end),
            policy=wanted.policy,
            parallel=wanted.parallel,
            state=state,
            total=len(wanted.fires),
            started=progress.started,
            in_flight=len(flying),
            asked_at=time_or_null(wanted.since),
            asked_by=wanted.by,
            ended_at=time_or_null(progress.ended),
            cancelled_at=time_or_null(wanted.cancelled),
            cancelled_by=wanted.cancelled_by,
        )
