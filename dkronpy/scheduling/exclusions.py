"""Which fires are excluded by calendars and blackouts. A fire that is excluded exists, and is recorded as skipped."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dkronpy.model.calendar import Blackout, Calendar, CalendarRecord
from dkronpy.model.execution import Reason
from dkronpy.model.job import Job
from dkronpy.model.records import Pause
from dkronpy.schedule import Schedule, ScheduleError, local_zone, parse
from dkronpy.schedule.events import events
from dkronpy.schedule.exclusion import Once, Recurring, Spans, days
from dkronpy.schedule.zones import zone
from dkronpy.scheduling.fires import lateness, next_fire

log = logging.getLogger(__name__)

MAX_STEPS: Final = 1000
"""So many spans are passed over in a search for a fire that is not excluded."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """Why a fire is excluded, and until when (ns), at least, fires are."""

    by: str
    until: int


@dataclass(frozen=True)
class Exclusions:
    """The calendars as they are and were, and what they exclude. Immutable."""

    records: Mapping[str, CalendarRecord] = field(default_factory=dict[str, CalendarRecord])

    @functools.cached_property
    def _everywhere(self) -> tuple[str, ...]:
        """Calendars that hold, or once held, for every job."""
        return tuple(
            sorted(
                name
                for name, record in self.records.items()
                if any(revision.calendar is not None and revision.calendar.all_jobs for revision in record.revisions)
            )
        )

    def at(self, job: Job, fire: int) -> Excluded | None:
        """Why a fire of the job at this time (ns) is excluded; None if it is not."""
        if not (job.calendars or job.blackouts or self._everywhere):
            return None
        for by, spans, end in self._sets(job, fire):
            for span in spans:
                until = span.until(fire)
                if until is not None:
                    return Excluded(by, until if end is None else min(until, end))
        return None

    def change(self, job: Job, after: int) -> int | None:
        """A time after ``after`` before which no exclusion of the job begins anew; None: there is none to come."""
        if not (job.calendars or job.blackouts or self._everywhere):
            return None
        times = [end for _, _, end in self._sets(job, after) if end is not None and end > after]
        times += [
            change
            for _, spans, _ in self._sets(job, after)
            for span in spans
            if (change := span.change(after)) is not None
        ]
        return min(times, default=None)

    def next_fire(self, job: Job, schedule: Schedule, after: int) -> int | None:
        """The job's first fire after ``after`` that is not excluded; None when there is none, or none is found."""
        for _ in range(MAX_STEPS):
            fire = next_fire(job, schedule, after)
            if fire is None or (excluded := self.at(job, fire)) is None:
                return fire
            after = max(excluded.until - 1, fire)
        return None

    def verdict(
        self, job: Job, schedule: Schedule, fire: int, now: int, pause: Pause | None
    ) -> tuple[Reason | None, str]:
        """Why a fire that is decided at `now` does not run, with details; (None, "") if it may."""
        if pause is not None and pause.covers(fire):
            return Reason.PAUSED, ""
        if (excluded := self.at(job, fire)) is not None:
            return Reason.EXCLUDED, f"{excluded.by} excludes it"
        return lateness(job, schedule, fire, now, lambda: self.next_fire(job, schedule, fire)), ""

    def _sets(self, job: Job, time: int) -> Iterable[tuple[str, tuple[Spans, ...], int | None]]:
        """(what excludes, its times, until when it holds), for all that may exclude fires of the job."""
        if job.blackouts:
            yield "a blackout of the job", _readable(Calendar(blackouts=job.blackouts), job.timezone), None
        for name in (*job.calendars, *(name for name in self._everywhere if name not in job.calendars)):
            record = self.records.get(name)
            if record is None:
                continue
            end: int | None = None
            for revision in reversed(record.revisions):
                if revision.since < time:
                    calendar = revision.calendar
                    held = calendar is not None and (calendar.all_jobs or name in job.calendars)
                    where = "" if calendar is None or calendar.timezone else job.timezone
                    spans = _readable(calendar, where) if calendar is not None and held else ()
                    # Up to and with the moment of the next revision this one holds.
                    yield f"calendar {name}", spans, None if end is None else end + 1
                    break
                end = revision.since
            else:
                yield f"calendar {name}", (), None if end is None else end + 1


def calendar_spans(calendar: Calendar, timezone: str) -> tuple[Spans, ...]:
    """The times that a calendar excludes; ``timezone`` is the job's. Raises: ScheduleError with the field."""
    try:
        where = zone(calendar.timezone or timezone or local_zone())
    except ScheduleError as error:
        raise ScheduleError(str(error), "timezone") from error
    found: list[Spans] = [days((*calendar.days, *calendar.holiday_days), where)]
    if calendar.icalendar:
        found.extend(events(calendar.icalendar, where))
    return (*found, *blackout_spans(calendar.blackouts, where.name))


def blackout_spans(blackouts: tuple[Blackout, ...], timezone: str) -> tuple[Spans, ...]:
    """The times of blackouts. Raises: ScheduleError with the field."""
    found: list[Spans] = []
    for index, blackout in enumerate(blackouts):
        if blackout.start is not None and blackout.end is not None:
            found.append(Once(blackout.start, blackout.end))
            continue
        try:
            schedule = parse(blackout.schedule, blackout.timezone or timezone)
        except ScheduleError as error:
            raise ScheduleError(str(error), f"blackouts.{index}.{error.field}") from error
        found.append(Recurring(schedule, blackout.duration))
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def _readable(calendar: Calendar, timezone: str) -> tuple[Spans, ...]:
    """The calendar's times; none, and logged, of one that this version can't read."""
    try:
        return calendar_spans(calendar, timezone)
    except ScheduleError as error:
        log.error("a stored calendar can't be read, it excludes nothing: %s", error)
        return ()
