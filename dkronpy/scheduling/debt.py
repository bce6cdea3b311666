"""Fires that a job owes from the past: from a sweep after an outage, or around edits that the leader had not seen.

A debt is a list of spans, each with the definition that held then. It is decided oldest first, in portions that fit a
commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dkronpy.model.execution import Reason
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.records import Cursor, Pause
from dkronpy.schedule import Schedule, env_at
from dkronpy.scheduling.exclusions import Exclusions
from dkronpy.scheduling.fires import count_fires, next_fire

SINGLE = 1000
"""So many of a job's newest missed fires get a record each; those before them share one."""

MAX_WALK = 3000
"""So many fires are looked at for one such record, where they can't be counted by arithmetic."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided before an edit was seen: the fires that `schedule`, of the adopted definition `job`, has in
    (after, until], and `earlier` ones of the definitions before that. A fire of a newer definition at the same time is
    the same fire."""

    job: Job | None
    schedule: Schedule | None
    after: int
    until: int
    owed: tuple[tuple[int, int], ...]
    """Ranges (after, until] within, that a sweep has not decided yet."""
    earlier: frozenset[int]

    def has(self, fire: int) -> bool:
        """Whether a fire at this time is decided."""
        return fire in self.earlier or self._next(fire - 1) == fire

    def since(self, time: int) -> tuple[int, ...]:
        """The fires decided after a time, oldest first."""
        found = {fire for fire in self.earlier if fire > time}
        fire = self._next(time)
        while fire is not None:
            found.add(fire)
            fire = self._next(fire)
        return tuple(sorted(found))

    def _next(self, after: int) -> int | None:
        """The first fire after a time that the adopted definition had and that is decided."""
        if self.job is None or self.schedule is None:
            return None
        fire = next_fire(self.job, self.schedule, max(after, self.after))
        while fire is not None and fire <= self.until:
            if not any(low < fire <= high for low, high in self.owed):
                return fire
            fire = next_fire(self.job, self.schedule, fire)
        return None


@dataclass(frozen=True, slots=True)
class Span:
    """The fires of `job` in (after, until] are owed, but for those that are `settled`."""

    job: Job
    schedule: Schedule
    after: int
    until: int
    settled: Settled | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A fire owed; with `reason` it is too late to run. `count` fires up to `last` share the record."""

    job: Job
    fire: int
    reason: Reason | None
    last: int = 0
    count: int = 1
    detail: str = ""
    env: dict[str, str] = field(default_factory=dict[str, str])
    """What its schedule gives to the environment of its runs."""


def definitions(adopted: Job | None, edits: Sequence[Edit]) -> list[tuple[int, Job | None]]:
    """From when (ns) which definition held, oldest first: the adopted one, then each edit."""
    since = 0 if adopted is None else adopted.since
    return [(since, adopted), *((edit.since, edit.job) for edit in edits)]


def owed_ranges(name: str, cursor: Cursor, state: JobState, unadopted: Sequence[Edit]) -> list[tuple[int, int]]:
    """The time ranges (after, until] whose fires the job still owes behind the cursor or up to its newest edit."""
    sweeps = ((sweep.start if name <= sweep.job else sweep.start - 1, sweep.to) for sweep in cursor.sweeps)
    ranges = [(max(start, state.decided), to) for start, to in sweeps]
    if unadopted:
        behind = cursor.after(name)
        ranges.append((min(unadopted[0].since, behind), max(unadopted[-1].since, behind)))
    merged: list[tuple[int, int]] = []
    floor = 0 if state.adopting is None else state.adopting.decided
    for after, until in sorted(ranges):
        floor = max(floor, after)
        if floor < until:
            merged.append((floor, until))
            floor = until
    return merged


def cut(ranges: Sequence[tuple[int, int]], held: Sequence[tuple[int, Job | None]]) -> list[tuple[Job, int, int]]:
    """The ranges, cut where the definition changes; parts without a definition are dropped."""
    parts: list[tuple[Job, int, int]] = []
    for after, until in ranges:
        for index, (start, job) in enumerate(held):
            end = held[index + 1][0] if index + 1 < len(held) else until
            low, high = max(after, start), min(until, end)
            if job is not None and low < high:
                parts.append((job, low, high))
    return parts


def decide(span: Span, now: int, pause: Pause | None, exclusions: Exclusions, limit: int) -> tuple[list[Due], int]:
    """Up to `limit` decisions of the span, oldest first, and the time up to which the span is then decided."""
    found: list[Due] = []
    position = span.after
    while len(found) < limit:
        fire = next_fire(span.job, span.schedule, position)
        if fire is None or fire > span.until:
            return found, span.until
        if span.settled is not None and span.settled.has(fire):
            position = fire
            continue
        due = _judge(span, fire, now, pause, exclusions)
        if due.reason is not None and span.settled is None:
            due = _aggregate(span, due, now, pause, exclusions)
        found.append(due)
        position = due.last or fire
    return found, position


def _judge(span: Span, fire: int, now: int, pause: Pause | None, exclusions: Exclusions) -> Due:
    reason, detail = exclusions.verdict(span.job, span.schedule, fire, now, pause)
    return Due(span.job, fire, reason, detail=detail, env=env_at(span.schedule, fire) if reason is None else {})


def _aggregate(span: Span, due: Due, now: int, pause: Pause | None, exclusions: Exclusions) -> Due:
    """Join to a fire that can't run those after it of the same reason, if the newest `SINGLE` of them remain."""
    end = _end_of_reason(span, due, now, pause, exclusions)
    if not span.schedule.arithmetic:
        return _walked(span, due, end)
    total = count_fires(span.job, span.schedule, due.fire - 1, end)
    if total <= SINGLE + 1:
        return due
    count = total - SINGLE
    last = _bisect(lambda time: count_fires(span.job, span.schedule, due.fire - 1, time) >= count, due.fire, end)
    return replace(due, last=last, count=count)


def _walked(span: Span, due: Due, end: int) -> Due:
    """As `_aggregate`, for a schedule whose fires can't be counted but one by one: at most `MAX_WALK` of them."""
    fires = [due.fire]
    while len(fires) < MAX_WALK:
        fire = next_fire(span.job, span.schedule, fires[-1])
        if fire is None or fire > end:
            break
        fires.append(fire)
    count = len(fires) - SINGLE
    return due if count <= 1 else replace(due, last=fires[count - 1], count=count)


def _bisect(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest time in [low, high] for which `holds`, which holds for `high` and, once it does, for ever."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _end_of_reason(span: Span, due: Due, now: int, pause: Pause | None, exclusions: Exclusions) -> int:
    """Up to when (at least) the reason of this fire holds for all the following."""
    end = span.until
    if due.reason is Reason.PAUSED:
        return min(end, pause.until) if pause is not None and pause.until else end
    if pause is not None and pause.since >= due.fire:
        end = min(end, pause.since)
    if due.reason is Reason.EXCLUDED:
        excluded = exclusions.at(due.job, due.fire)
        return due.fire if excluded is None else min(end, excluded.until - 1)
    change = exclusions.change(due.job, due.fire)
    if change is not None:
        end = min(end, change - 1)
    if due.reason is Reason.OUTSIDE_WINDOW:
        return min(end, now - span.job.catchup.window - 1)
    return due.fire
