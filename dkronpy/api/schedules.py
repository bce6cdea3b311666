"""When jobs fire: the next fires of a job, and those of a schedule that somebody thinks of."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from dkronpy.api.answers import answer
from dkronpy.api.context import Context
from dkronpy.api.errors import invalid
from dkronpy.api.graph import follows
from dkronpy.api.requests import integer, json_object
from dkronpy.model.duration import format_duration
from dkronpy.model.job import Job
from dkronpy.model.spec import parse_preview, schedule_job
from dkronpy.model.times import rfc3339
from dkronpy.schedule import Schedule, ScheduleError, describe_fire
from dkronpy.schedule.wording import describe
from dkronpy.scheduling.exclusions import blackout_spans
from dkronpy.scheduling.fires import compiled

DEFAULT_COUNT: Final = 5
MAX_COUNT: Final = 1000


class FireShape(msgspec.Struct, frozen=True, gc=False):
    """A fire in UTC and on its zone's clock. `dst`: what a change of that clock does to it, null for nothing."""

    time: str
    local: str
    dst: str | None


class ScheduleRoutes:
    """GET /v1/jobs/{job}/next and POST /v1/schedule/preview."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._now = context.services.now

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/jobs/{job}/next", self.next),
            web.post("/v1/schedule/preview", self.preview),
        ]

    async def next(self, request: web.Request) -> web.Response:
        job = self._context.held(request.match_info["job"]).value
        count = integer(request, "count", DEFAULT_COUNT, least=1, most=MAX_COUNT)
        if job.dependency is not None:
            return answer(request, {"description": description(job), "fires": []})
        found = self._fires(job, _compiled(job), count)
        return answer(request, {"description": description(job), "fires": found})

    async def preview(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        count = body.pop("count", None)
        count = DEFAULT_COUNT if count is None else count
        if type(count) is not int or not 1 <= count <= MAX_COUNT:
            raise invalid(("count", f"must be a whole number from 1 to {MAX_COUNT}"))
        spec = parse_preview(body)
        job = schedule_job(spec.name, spec)
        if not job.schedule and not job.schedules:
            raise invalid(("schedule", "is missing: write one such as @every 10s or 0 30 2 * * *"))
        found = self._fires(job, _compiled(job), count)
        return answer(request, {"description": description(job), "fires": found})

    def _fires(self, job: Job, schedule: Schedule, count: int) -> list[FireShape]:
        """The job's next `count` fires that nothing excludes; fewer where it ends or is switched off."""
        found: list[FireShape] = []
        previous = self._now()
        while len(found) < count and (fire := self._context.exclusions.next_fire(job, schedule, previous)) is not None:
            described = describe_fire(schedule, fire, previous)
            dst = described.shift.value if described.shift else "clock_changed" if described.clock_changed else None
            found.append(FireShape(rfc3339(fire), described.local, dst))
            previous = fire
        return found


def description(job: Job) -> str:
    """When the job fires, in plain English. Its schedules must be readable."""
    if job.dependency is not None:
        return f"After {follows(job.dependency)}"
    words: list[str] = []
    for text, zone in [(job.schedule, ""), *((entry.schedule, entry.timezone) for entry in job.schedules)]:
        if text:
            words.append(
                describe(text, job.hash_id or job.name, job.hash) + (f", on the clock of {zone}" if zone else "")
            )
    if job.spread:
        words[-1] += f"; later by a part of {format_duration(job.spread)} that is drawn from the name"
    return "; and ".join(words)


def _compiled(job: Job) -> Schedule:
    """The job's schedule. Raises Problem 400."""
    try:
        blackout_spans(job.blackouts, job.timezone)
        return compiled(job)
    except ScheduleError as error:
        raise invalid((error.field, str(error))) from None
