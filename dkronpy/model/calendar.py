"""Calendars: named, cluster-wide sets of times at which jobs do not run; and the blackouts of single jobs."""

from __future__ import annotations

import msgspec


class Blackout(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A time without runs: once, from `start` until before `end` (ns), or for `duration` ns from every fire of
    `schedule` on, in `timezone` ("": that of the job or calendar)."""

    start: int | None = None
    end: int | None = None
    schedule: str = ""
    duration: int = 0
    timezone: str = ""


class Calendar(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a calendar excludes. Days are days of `timezone`'s clock, or where it is "" of the job's."""

    description: str = ""
    timezone: str = ""
    all_jobs: bool = False
    """Whether it holds for every job, rather than for those that name it."""
    days: tuple[str, ...] = ()
    """`2026-12-24`, `2026-12-24..2027-01-02`, or `12-25` of every year."""
    holidays: tuple[str, ...] = ()
    """Countries with or without a part, as `DE` or `DE-BY`."""
    holiday_days: tuple[str, ...] = ()
    """What `holidays` were when the calendar was written, so that every server excludes the same days."""
    icalendar: str = ""
    """Text of an iCalendar file: all that its events cover."""
    blackouts: tuple[Blackout, ...] = ()


class CalendarRevision(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A calendar from just after `since` (ns) on, until the next revision; None: deleted."""

    since: int
    by: str = ""
    calendar: Calendar | None = None


class CalendarRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A calendar in the store: its revisions, oldest first. The last one holds; earlier ones are kept a while for fires
    that are decided late."""

    revisions: tuple[CalendarRevision, ...]

    @property
    def calendar(self) -> Calendar | None:
        """As it is now."""
        return self.revisions[-1].calendar
