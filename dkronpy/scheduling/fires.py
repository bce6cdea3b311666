"""Which fires a definition owes, and the timeline of what is due next."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Reason
from dkronpy.model.job import CatchupPolicy, Job
from dkronpy.schedule import Schedule, ScheduleError, parse
from dkronpy.schedule.combined import Part, Several, Shifted
from dkronpy.schedule.hashing import draw

ON_TIME = SECOND
"""A fire decided within this time is on time, whatever its catch-up policy."""


def compiled(job: Job) -> Schedule:
    """The job's schedule; one that never fires for a job that names none. Raises ScheduleError."""
    drawn_from = job.hash_id or job.name
    if not job.schedules and job.spread < SECOND:  # as nearly all are
        return parse(job.schedule or "@manually", job.timezone, job=drawn_from, hash=job.hash)
    parts: list[Part] = []
    if job.schedule or not job.schedules:
        parts.append(Part(parse(job.schedule or "@manually", job.timezone, job=drawn_from, hash=job.hash)))
    for index, entry in enumerate(job.schedules):
        try:
            schedule = parse(entry.schedule, entry.timezone or job.timezone, job=drawn_from, hash=job.hash)
        except ScheduleError as error:
            raise ScheduleError(str(error), f"schedules.{index}.{error.field}") from error
        parts.append(Part(schedule, entry.env))
    if len(parts) > 1 and any(part.schedule.grace is not None for part in parts):
        raise ScheduleError("@after says itself how late it may start: give it a job of its own", "schedules")
    schedule = parts[0].schedule if parts[0].env == {} and len(parts) == 1 else Several(tuple(parts))
    if job.spread < SECOND:
        return schedule
    return Shifted(schedule, draw(drawn_from, "spread", job.spread // SECOND) * SECOND)


def next_fire(job: Job, schedule: Schedule, after: int) -> int | None:
    """The first fire of this definition after `after` (ns), within its `starts_at` and `expires_at`; None when there
    is none."""
    if job.disabled or job.parent_job or job.depends_on is not None:
        return None
    if job.starts_at is not None and after < job.starts_at:
        after = job.starts_at - 1
    fire = schedule.next(after)
    if fire is None or (job.expires_at is not None and fire > job.expires_at):
        return None
    return fire


def count_fires(job: Job, schedule: Schedule, after: int, until: int) -> int:
    """How many fires this definition has in (after, until]."""
    if job.disabled or job.parent_job or job.depends_on is not None:
        return 0
    if job.starts_at is not None:
        after = max(after, job.starts_at - 1)
    if job.expires_at is not None:
        until = min(until, job.expires_at)
    return schedule.count(after, until) if until > after else 0


def lateness(job: Job, schedule: Schedule, fire: int, now: int, newer: Callable[[], int | None]) -> Reason | None:
    """Why a fire decided at `now` may not run for being late; None if it may. `newer` gives the job's next fire that
    may run.

    An `@after` schedule carries its own grace, which takes the place of the catch-up window."""
    late = now - fire
    if late < ON_TIME:
        return None
    grace = schedule.grace
    if late > (job.catchup.window if grace is None else grace):
        return Reason.OUTSIDE_WINDOW
    if grace is not None:
        return None
    if job.catchup.policy is CatchupPolicy.NONE:
        return Reason.NOT_WANTED
    if job.catchup.policy is CatchupPolicy.LATEST:
        found = newer()
        if found is not None and found <= now:
            return Reason.SUPERSEDED
    return None


class Timeline:
    """The next fire of every job, in order of (time, job)."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[Job, Schedule, int]] = {}
        self._heap: list[tuple[int, str, int]] = []
        self._puts = 0
        self._after = 0
        self._nexts: dict[int, tuple[Schedule, int | None]] = {}
        """What follows `_after` by schedule (its `id`): equal schedules are one object, and many are due at once."""

    def put(self, job: Job, schedule: Schedule, after: int) -> None:
        """Schedule `job` by this definition only, from its first fire after `after` on."""
        self._puts += 1
        self._jobs[job.name] = (job, schedule, self._puts)
        fire = self._next(job, schedule, after)
        if fire is not None:
            heapq.heappush(self._heap, (fire, job.name, self._puts))

    def schedule(self, job: Job) -> Schedule | None:
        """The compiled schedule of this very definition, if it is the one that is scheduled."""
        entry = self._jobs.get(job.name)
        return entry[1] if entry is not None and entry[0] is job else None

    def entries(self) -> list[tuple[Job, Schedule]]:
        """Every definition that is scheduled."""
        return [(job, schedule) for job, schedule, _ in self._jobs.values()]

    def remove(self, name: str) -> None:
        """The job fires no more; no error if it did not."""
        self._jobs.pop(name, None)

    def head(self) -> tuple[int, str] | None:
        """The next fire due: (time, job)."""
        heap = self._heap
        while heap:
            time, name, put = heap[0]
            entry = self._jobs.get(name)
            if entry is not None and entry[2] == put:
                return time, name
            heapq.heappop(heap)
        return None

    def pop(self) -> tuple[int, Job, Schedule]:
        """Take the head off and schedule the job's next fire."""
        time, name, put = self._heap[0]
        job, schedule, _ = self._jobs[name]
        fire = self._next(job, schedule, time)
        if fire is None:
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, (fire, name, put))
        return time, job, schedule

    def _next(self, job: Job, schedule: Schedule, after: int) -> int | None:
        if job.disabled or job.starts_at is not None or job.expires_at is not None:
            return next_fire(job, schedule, after)
        if after != self._after:
            self._after = after
            self._nexts.clear()
        found = self._nexts.get(id(schedule))
        if found is None:
            found = self._nexts[id(schedule)] = schedule, next_fire(job, schedule, after)
        return found[1]
