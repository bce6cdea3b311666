"""GET /v1/overview: is the cluster well, what runs, what went wrong in the last day, what comes next."""

from __future__ import annotations

import asyncio
import heapq
from typing import Any, Final

import msgspec
from aiohttp import web

from dkronpy import __version__
from dkronpy.api.answers import answer
from dkronpy.api.cluster import pause_shape
from dkronpy.api.context import Context
from dkronpy.api.figures import Figures, Minute
from dkronpy.api.shapes import time_or_null
from dkronpy.api.views import unhurried
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, State, execution_id
from dkronpy.model.job import JobStatus
from dkronpy.model.member import MemberStatus

SHOWN_MINUTES: Final = 60
SHOWN_RUNS: Final = 20
SHOWN_FIRES: Final = 30
_PATIENCE: Final = 1 * SECOND
"""For so long the list of coming fires is shown as it is, although jobs changed."""
_MINUTE: Final = 60 * SECOND


class RunShape(msgspec.Struct, frozen=True, gc=False):
    """An execution in short."""

    id: str
    job_name: str
    state: State
    reason: str
    trigger: str
    node_name: str
    attempt: int
    fire_time: str | None
    decided_at: str | None
    started_at: str | None
    finished_at: str | None
    exit_code: int | None
    error: str
    count: int


def run_shape(execution: Execution) -> RunShape:
    return RunShape(
        id=execution_id(execution.group, execution.attempt, execution.node),
        job_name=execution.job,
        state=execution.state,
        reason=execution.reason,
        trigger=execution.trigger.value,
        node_name=execution.node,
        attempt=execution.attempt,
        fire_time=time_or_null(execution.fire),
        decided_at=time_or_null(execution.decided),
        started_at=time_or_null(execution.started),
        finished_at=time_or_null(execution.finished),
        exit_code=execution.exit_code,
        error=execution.error[:500],
        count=execution.count,
    )


class OverviewRoutes:
    """Also what `/v1/events?only=overview` sends each second in which it changed."""

    def __init__(self, context: Context, figures: Figures) -> None:
        self._context = context
        self._services = context.services
        self._mirror = context.services.mirror
        self._figures = figures
        self._fires: list[tuple[int, str]] = []
        """The next fires, one a job, soonest first, as of `_fires_at`."""
        self._fires_at = 0
        self._fires_version = -1
        self._looking: asyncio.Task[None] | None = None
        self._overdue: tuple[int, str] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/overview", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        return answer(request, await self.body(whole=True))

    async def body(self, *, whole: bool = False) -> dict[str, Any]:
        """What is shown. What takes long to find out is found out beside, and shown as far as it is known, unless the
        `whole` is asked for. Raises HistoryError."""
        reading = self._figures.ready()
        looking = self._look(self._services.now())
        if whole:
            await asyncio.shield(reading)
            await asyncio.shield(looking)
        elif reading.done():
            await reading  # it may have failed
        complete = reading.done() and looking.done()
        now = self._services.now()
        cluster, mirror = self._services.cluster, self._mirror
        settings = self._services.settings()
        members = cluster.members()
        lag = self._lag(now)
        running = sorted(self._context.ledger.flying(), key=lambda run: (run.started or run.decided, run.job))
        day = self._figures.minutes(1440)
        return {
            "complete": complete,
            "node": settings.node_name,
            "version": __version__,
            "leader": cluster.leader(),
            "epoch": mirror.epoch.value.epoch if mirror.epoch is not None else 0,
            "backend": str(settings.backend),
            "store": "ok" if mirror.healthy else "unavailable",
            "issues": [*self._services.faults()],
            "lag": round(lag / SECOND, 1),
            "pause": pause_shape(None if mirror.pause is None else mirror.pause.value),
            "members": {
                "alive": sum(member.alive for member in members),
                "failed": sum(member.status is MemberStatus.FAILED for member in members),
                "left": sum(member.status in (MemberStatus.LEFT, MemberStatus.LEAVING) for member in members),
                "servers": sum(member.alive and member.tags.get("server") == "true" for member in members),
                "drained": sum(member.alive and member.name in mirror.drains for member in members),
            },
            "jobs": self._jobs(),
            "in_flight": {
                state.value: sum(run.state is state for run in running)
                for state in (State.RUNNING, State.DISPATCHED, State.QUEUED)
            },
            "runs": [run_shape(run) for run in running[-SHOWN_RUNS:]][::-1],
            "problems": [run_shape(run) for run in self._figures.problems()[:SHOWN_RUNS]],
            "day": {name: sum(getattr(minute, name) for minute in day) for name in _ENDS},
            "minutes": _columns(day[-SHOWN_MINUTES:]),
            "upcoming": [{"job": job, "time": time_or_null(time)} for time, job in self._fires],
        }

    def _jobs(self) -> dict[str, int]:
        failing = (JobStatus.FAILED, JobStatus.PARTIALLY_FAILED)
        jobs, states = self._mirror.jobs, self._mirror.states
        return {
            "total": len(jobs),
            "disabled": sum(held.value.disabled for held in jobs.values()),
            "failing": sum(held.value.status in failing for name, held in states.items() if name in jobs),
        }

    def _look(self, now: int) -> asyncio.Task[None]:
        """See to it that the next fires are known: the task that looks for them, or has done so."""
        version = self._context.views.version
        passed = bool(self._fires) and self._fires[0][0] <= now
        stale = version != self._fires_version and now - self._fires_at > _PATIENCE
        if self._looking is None or (self._looking.done() and (passed or stale)):
            self._looking = asyncio.create_task(self._find_fires(version, now))
        return self._looking

    async def _find_fires(self, version: int, now: int) -> None:
        views = self._context.views
        coming: list[tuple[int, str]] = []
        async for held in unhurried(views.jobs()):
            next = views.next(held)
            if next is not None:
                coming.append((next, held.value.name))
        self._fires = heapq.nsmallest(SHOWN_FIRES, coming)
        self._fires_version, self._fires_at = version, now

    def _lag(self, now: int) -> int:
        """For how long the oldest fire that was seen to come is due without being decided (ns)."""
        cursor = self._mirror.cursor
        decided = (cursor.value.time, cursor.value.job) if cursor is not None else (0, "")
        if self._overdue is None or self._overdue <= decided:
            self._overdue = next((fire for fire in self._fires if decided < fire), None)
        if self._overdue is None or self._overdue[1] not in self._mirror.jobs:
            self._overdue = None
            return 0
        return max(now - self._overdue[0], 0)


_ENDS: Final = ("success", "failed", "skipped", "missed")


def _columns(minutes: list[Minute]) -> dict[str, Any]:
    """Minutes as columns; `late` in seconds, null where nothing started on schedule."""
    found: dict[str, Any] = {name: [getattr(minute, name) for minute in minutes] for name in _ENDS}
    found["late"] = [round(minute.late / SECOND, 3) if minute.late >= 0 else None for minute in minutes]
    return {"start": time_or_null(minutes[0].number * _MINUTE), **found}
