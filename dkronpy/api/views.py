"""Jobs as encoded JSON, kept until something that they show changes: a record, or the next fire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dkronpy.api.answers import encode
from dkronpy.api.shapes import job_shape
from dkronpy.catalog.mirror import Change, Held, Mirror
from dkronpy.model.job import Job, JobState
from dkronpy.schedule import Schedule, ScheduleError
from dkronpy.scheduling.exclusions import Exclusions
from dkronpy.scheduling.fires import compiled

log = logging.getLogger(__name__)

MAX_KEPT: Final = 20_000
"""Jobs whose JSON is kept."""
_SLICE: Final = 500
"""Jobs that are looked at before other tasks get a turn."""
NEVER: Final = 1 << 63
"""After every time."""


@dataclass(slots=True)
class _View:
    revision: int
    schedule: Schedule | None
    """None for a job that is started by its parents."""
    until: int = 0
    """When `next` is over (ns)."""
    next: int | None = None
    body: bytes | None = None


class JobViews:
    """The mirror's jobs as JSON. `now` gives ns since the epoch."""

    def __init__(self, mirror: Mirror, now: Callable[[], int]) -> None:
        self._mirror = mirror
        self._now = now
        self._views: dict[str, _View] = {}
        self._names: list[str] | None = None
        self._all: bytes | None = None
        self._all_until = 0
        self.version = 0
        """Counts the changes of what is shown of any job."""
        self.exclusions = Exclusions()
        mirror.subscribe(self._changed)

    def body(self, held: Held[Job]) -> bytes:
        """The JSON of this revision of a job, with the state it has now."""
        name = held.value.name
        view = self._views.get(name)
        if view is None or view.revision != held.revision:
            view = self._view(held)
        now = self._now()
        if view.body is None or now >= view.until:
            self._advance(view, held.value, now)
            state = self._mirror.states.get(name)
            runs = self._mirror.runs.get(name, {})
            view.body = encode(
                job_shape(
                    held.value,
                    JobState() if state is None else state.value,
                    children=self._mirror.children.get(name, ()),
                    next=None if state is not None and state.value.spent else view.next,
                    running=sum(not run.value.state.final for run in runs.values()),
                )
            )
        return view.body

    def next(self, held: Held[Job]) -> int | None:
        """The job's next fire in ns."""
        view = self._views.get(held.value.name)
        if view is None or view.revision != held.revision:
            view = self._view(held)
        now = self._now()
        if now >= view.until:
            view.body = None
            self._advance(view, held.value, now)
        return view.next

    def jobs(self) -> list[Held[Job]]:
        """Every job, by name."""
        if self._names is None:
            self._names = sorted(self._mirror.jobs)
        jobs = self._mirror.jobs
        return [jobs[name] for name in self._names]

    async def array(self, jobs: Iterable[Held[Job]]) -> bytes:
        """A JSON array of the jobs."""
        return b"[" + b",".join([self.body(held) async for held in unhurried(jobs)]) + b"]"

    async def all(self) -> bytes:
        """A JSON array of all jobs, by name."""
        if self._all is not None and self._now() < self._all_until:
            return self._all
        version = self.version
        body = await self.array(self.jobs())
        if version == self.version and len(self._mirror.jobs) <= MAX_KEPT:
            self._all = body
            self._all_until = min((view.until for view in self._views.values()), default=NEVER)
        return body

    def _view(self, held: Held[Job]) -> _View:
        job = held.value
        view = _View(held.revision, _schedule(job))
        current = self._mirror.jobs.get(job.name)
        if current is not None and current.revision == held.revision:
            if len(self._views) >= MAX_KEPT:
                self._views.clear()
            self._views[job.name] = view
        return view

    def _advance(self, view: _View, job: Job, now: int) -> None:
        """Bring `next` up to date where it is over."""
        if now >= view.until:
            view.next = None if view.schedule is None else self.exclusions.next_fire(job, view.schedule, now)
            view.until = NEVER if view.next is None else view.next

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            match change.kind:
                case "jobs":
                    self._views.pop(change.name, None)
                    for job in (change.old, change.new):
                        for parent in () if job is None else job.parents:
                            self._stale(parent)
                    if change.old is None or change.new is None:
                        self._names = None
                case "calendars":
                    self.exclusions = Exclusions({n: held.value for n, held in self._mirror.calendars.items()})
                    self._views.clear()
                case "states" | "runs":
                    self._stale(change.name)
                case _:
                    continue
            self._all = None
            self.version += 1

    def _stale(self, name: str) -> None:
        view = self._views.get(name)
        if view is not None:
            view.body = None


async def unhurried(jobs: Iterable[Held[Job]]) -> AsyncIterator[Held[Job]]:
    """The jobs, with turns for other tasks in between."""
    for index, held in enumerate(jobs, 1):
        yield held
        if index % _SLICE == 0:
            await asyncio.sleep(0)


def _schedule(job: Job) -> Schedule | None:
    """The job's own schedule; None where it has none, or where this version can't read what another has stored."""
    if job.dependency is not None:
        return None
    try:
        return compiled(job)
    except ScheduleError as error:
        log.warning("the stored schedule can't be read: %s", error, extra={"job": job.name})
        return None
