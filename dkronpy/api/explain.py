"""GET /v1/jobs/{job}/explain: why a job did, did not or will run at a time, from the records."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.graph import follows, standing, state_of
from dkronpy.api.requests import time
from dkronpy.api.shapes import ExecutionShape, execution_shape, time_or_null
from dkronpy.history.contract import Query
from dkronpy.model.duration import SECOND, format_duration
from dkronpy.model.execution import Execution, Reason, State, Trigger
from dkronpy.model.job import Concurrency, Edit, Job, JobState
from dkronpy.model.records import Cursor
from dkronpy.model.spec import to_document
from dkronpy.model.times import rfc3339
from dkronpy.schedule import Schedule, ScheduleError
from dkronpy.scheduling.fires import compiled, next_fire
from dkronpy.scheduling.targeting import matching


class Verdict(StrEnum):
    """What became, or becomes, of the job at that time."""

    RAN = "ran"
    """At least one execution is over."""
    IN_FLIGHT = "in_flight"
    """It was decided to run and is not over."""
    WAITING = "waiting"
    """It was decided to run and waits for its turn, or for a node."""
    SKIPPED = "skipped"
    MISSED = "missed"
    UNDECIDED = "undecided"
    """The fire is due, but no leader has decided it yet."""
    FORGOTTEN = "forgotten"
    """There was a fire; its record is no longer kept."""
    WILL_RUN = "will_run"
    WILL_NOT_RUN = "will_not_run"
    NO_FIRE = "no_fire"
    """The job's definition had, or has, no fire then."""
    NO_JOB = "no_job"
    """There was no such job then."""


_REASONS: Final = {
    Reason.OVERLAP: "an earlier run was in flight, and the job does not overlap with itself",
    Reason.PAUSED: "all scheduling was paused",
    Reason.EXCLUDED: "a calendar or a blackout of the job excluded its time",
    Reason.NO_TARGET: "no alive node had the job's tags",
    Reason.OUTSIDE_WINDOW: "it was decided later than the job's catch-up window allows",
    Reason.SUPERSEDED: "there was a newer fire, and the job wants only the newest",
    Reason.NOT_WANTED: "it was decided late, and the job wants no late fires",
    Reason.TOO_MANY_TARGETS: "more nodes had the job's tags than one run can have: give a tag a count, as in web:10",
    Reason.QUEUE_FULL: "as many of its fires waited as may: queue_limit",
    Reason.GROUP_FULL: "all places in its concurrency groups were taken",
    Reason.CANCELLED: "somebody ended it while it waited",
    Reason.DELETED: "the job was deleted while it waited",
    Reason.DISABLED: "its parents would have started it, but it was disabled, not begun or expired",
}


_OVERLAPS: Final = {
    Concurrency.FORBID: "it will be skipped",
    Concurrency.QUEUE_ONE: "it will wait for its end, or be skipped if another waits already",
    Concurrency.QUEUE_NEWEST: "it will wait for its end, or be skipped if another waits already",
    Concurrency.QUEUE: "it will wait for its end, unless too many wait already",
    Concurrency.CANCEL_OTHER: "that one will be ended first",
    Concurrency.REPLACE: "that one will be killed first",
}


class Explanation(msgspec.Struct, frozen=True):
    """`fire_time` is the fire that is explained; `next` the one after `at`, by the definition that held then."""

    job: str
    at: str
    verdict: Verdict
    explanation: str
    fire_time: str | None
    next: str | None
    definition: dict[str, Any] | None
    definition_since: str | None
    definition_by: str | None
    executions: list[ExecutionShape]


class ExplainRoutes:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.services

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/jobs/{job}/explain", self.explain)]

    async def explain(self, request: web.Request) -> web.Response:
        """Explains the second of `at`; without it, the job's next fire."""
        held = self._context.held(request.match_info["job"])
        now = self._services.now()
        at = time(request, "at", None)
        if at is None:
            at = self._context.views.next(held) or now
        second = at - at % SECOND
        name = held.value.name
        edit, fire = in_force(await self._services.jobs.edits(name), second, at)
        job = None if edit is None else edit.job
        schedule = None if job is None else _readable(job)
        executions = [*await self._backfilled(name, second), *await self._recorded(name, second, fire)]
        if executions:
            verdict, words = _from_records(executions)
        elif job is None:
            verdict, words = Verdict.NO_JOB, "the job did not exist then"
        elif fire is None:
            verdict, words = Verdict.NO_FIRE, _no_fire(job, schedule, at)
            if job.dependency is not None and (progress := standing(job, state_of(self._services.mirror, name), now)):
                words += f"; {progress}"
        elif fire > now:
            verdict, words = self._to_come(job, fire)
        else:
            verdict, words = self._unrecorded(job, fire)
        words += self._asked(name, second)
        return answer(
            request,
            Explanation(
                job=name,
                at=rfc3339(at),
                verdict=verdict,
                explanation=words,
                fire_time=time_or_null(executions[0].fire if executions else fire),
                next=time_or_null(
                    self._context.exclusions.next_fire(job, schedule, at)
                    if job is not None and schedule is not None
                    else None
                ),
                definition=None if job is None else to_document(job),
                definition_since=None if edit is None else rfc3339(edit.since),
                definition_by=None if edit is None else edit.by,
                executions=[execution_shape(execution, None, with_output=False) for execution in executions],
            ),
        )

    def _asked(self, name: str, second: int) -> str:
        """What is asked for in that second and has not begun, in words."""
        waiting = [held.value for (job, _), held in self._services.mirror.triggers.items() if job == name]
        due = sorted((found for found in waiting if second <= found.at < second + SECOND), key=lambda found: found.at)
        return "".join(f"; {found.by or 'somebody'} has asked for a run at {rfc3339(found.at)}" for found in due)

    async def _recorded(self, name: str, second: int, fire: int | None) -> list[Execution]:
        """The executions of that second, or the one record that stands for many fires and covers this one."""
        found, _ = await self._context.ledger.page(Query(job=name, since=second, until=second + SECOND - 1), limit=100)
        if found or fire is None:
            return found
        never_ran = frozenset({State.SKIPPED, State.MISSED})
        older, _ = await self._context.ledger.page(Query(job=name, states=never_ran, until=fire), limit=1)
        return [execution for execution in older if execution.last >= fire]

    async def _backfilled(self, name: str, second: int) -> list[Execution]:
        """The executions of that second's fires in the job's newest backfill: their groups are of when they ran."""
        held = self._services.mirror.backfills.get(name)
        if held is None or not any(second <= fire < second + SECOND for fire in held.value.fires):
            return []
        found: list[Execution] = []
        cursor: str | None = None
        while True:
            query = Query(job=name, since=held.value.since)
            page, cursor = await self._context.ledger.page(query, limit=1000, cursor=cursor)
            found += [e for e in page if e.trigger is Trigger.BACKFILL and second <= e.fire < second + SECOND]
            if cursor is None:
                return found

    def _to_come(self, job: Job, fire: int) -> tuple[Verdict, str]:
        """Whether a fire that is to come will run, as things stand."""
        mirror = self._services.mirror
        pause = mirror.pause
        state = mirror.states.get(job.name)
        nodes = matching(job.tags, self._services.cluster.members())
        if pause is not None and pause.value.holds:
            return Verdict.WILL_NOT_RUN, f"all scheduling is paused: {pause.value.reason or 'no reason was given'}"
        if state is not None and state.value.spent:
            return Verdict.WILL_NOT_RUN, "the job is ephemeral and has succeeded: it is about to be deleted"
        if (excluded := self._context.exclusions.at(job, fire)) is not None:
            return Verdict.WILL_NOT_RUN, f"{excluded.by} excludes it, until {rfc3339(excluded.until)} at least"
        if not nodes:
            return Verdict.WILL_NOT_RUN, f"no alive node has the job's tags {job.tags}"
        words = f"it will run on {_some(job, nodes)}"
        if self._services.cluster.leader() is None:
            words += ", once there is a leader"
        flying = any(not run.value.state.final for run in mirror.runs.get(job.name, {}).values())
        if flying and job.concurrency is not Concurrency.ALLOW:
            words += f", and if the run that is in flight goes on until then: {_OVERLAPS[job.concurrency]}"
        return Verdict.WILL_RUN, words

    def _unrecorded(self, job: Job, fire: int) -> tuple[Verdict, str]:
        """A fire of the past of which there is no record."""
        cursor = self._services.mirror.cursor
        state = self._services.mirror.states.get(job.name)
        if cursor is not None and state is not None and decided(cursor.value, state.value, job, fire):
            return Verdict.FORGOTTEN, "the fire was decided; its record is no longer kept"
        leader = self._services.cluster.leader()
        return Verdict.UNDECIDED, f"the fire waits for {f'the leader {leader}' if leader else 'a leader'} to decide it"


def decided(cursor: Cursor, state: JobState, job: Job, fire: int) -> bool:
    """Whether the leader is past this fire: behind the cursor, in no backlog, of a revision that it schedules by."""
    if fire <= state.decided:
        return True
    in_backlog = any(sweep.start <= fire <= sweep.to for sweep in cursor.sweeps)
    return state.adopted >= job.since and fire <= cursor.after(job.name) and not in_backlog


def in_force(edits: Sequence[Edit], second: int, at: int) -> tuple[Edit | None, int | None]:
    """The edit whose definition held at `at`, and its fire in that second; `edits` are oldest first.

    A fire at or before the edit follows the definition before it, so in a second with edits an older one may own it."""
    newest: Edit | None = None
    for edit in reversed(edits):
        if edit.since > at:
            continue
        newest = newest or edit
        schedule = None if edit.job is None else _readable(edit.job)
        if edit.job is not None and schedule is not None:
            fire = next_fire(edit.job, schedule, max(second - 1, edit.since))
            if fire is not None and fire < second + SECOND:
                return edit, fire
        if edit.since < second:
            break
    return newest, None


def _readable(job: Job) -> Schedule | None:
    """The schedule; None for a child's, and for one that this version can't read."""
    try:
        return compiled(job) if job.dependency is None else None
    except ScheduleError:
        return None


def _why(execution: Execution) -> str:
    """Its reason in words; a reason that is not known here, of another release, as it is."""
    return next((words for reason, words in _REASONS.items() if reason == execution.reason), execution.reason)


def _from_records(executions: Sequence[Execution]) -> tuple[Verdict, str]:
    first = executions[0]
    if not first.state.ran:
        verdict = Verdict.SKIPPED if first.state is State.SKIPPED else Verdict.MISSED
        why = _why(first)
        more = f" (one record stands for {first.count} such fires)" if first.count > 1 else ""
        detail = f" ({first.error})" if first.reason == Reason.EXCLUDED and first.error else ""
        return verdict, f"it was {verdict}: {why}{detail}{more}"
    if first.waits:
        why = _why(first)
        return Verdict.WAITING, f"it waits: {why}{f' ({first.error})' if first.error else ''}"
    states = ", ".join(f"{execution.node} {execution.state} (attempt {execution.attempt})" for execution in executions)
    over = any(execution.state.final for execution in executions)
    by = "".join(f", after {run.job} group {run.group}" for run in (first.origin.parents if first.origin else ()))
    return Verdict.RAN if over else Verdict.IN_FLIGHT, f"by {first.trigger}{by}: {states}"


def _no_fire(job: Job, schedule: Schedule | None, at: int) -> str:
    if job.disabled:
        return "the job was disabled"
    if job.dependency is not None:
        return f"the job runs after {follows(job.dependency)}, not by time"
    if job.starts_at is not None and at < job.starts_at:
        return f"the job starts at {rfc3339(job.starts_at)}"
    if job.expires_at is not None and at > job.expires_at:
        return f"the job expired at {rfc3339(job.expires_at)}"
    texts = " and ".join(repr(text) for text in (job.schedule, *(entry.schedule for entry in job.schedules)) if text)
    if schedule is None:
        return f"the schedule {texts} can't be read"
    spread = f", spread over {format_duration(job.spread)}," if job.spread else ""
    return f"the schedule {texts}{spread} has no fire in that second"


def _some(job: Job, nodes: Sequence[str]) -> str:
    counted = " (as many of them as its tags allow)" if any(":" in value for value in job.tags.values()) else ""
    return ", ".join(nodes[:10]) + (" …" if len(nodes) > 10 else "") + counted
