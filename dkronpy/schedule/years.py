"""The days that the parts of an iCalendar rule mean, as one table for the 21 shapes of a year.

What a rule's days are in a year depends on the weekday that the year begins with, and on whether it and the year before
are leap years. dateutil works them out for 9972 … 9999, where all shapes come up and its search ends with the calendar
rather than after eight thousand years of a rule that never matches.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

import msgspec
from dateutil.rrule import MONTHLY, YEARLY, rrule, weekday

from dkronpy.schedule.days import is_leap
from dkronpy.schedule.times import lowest

_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST: Final = 9972
_LAST_YEAR: Final = 2263
"""Schedules end in 2262."""


class DayParts(msgspec.Struct, frozen=True, gc=False):
    """The parts of a rule that pick days, as RFC 5545 has them; weekdays are (0 for Monday …, which of them or 0)."""

    months: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    days_of_year: tuple[int, ...] = ()
    days_of_month: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    week_start: int = 0
    by_month: bool = False
    """Whether the third Monday is that of a month rather than of a year."""


class YearDays(msgspec.Struct, frozen=True, gc=False):
    """A set of days, all given as days since the epoch."""

    shapes: tuple[int, ...]
    """By `_shape` of a year: bit d for the day d of it, counted from 0."""

    def next(self, day: int) -> int | None:
        """The first day of the set at or after ``day``; None when there is none before 2263."""
        year = date.fromordinal(day + _EPOCH).year
        start = date(year, 1, 1).toordinal() - _EPOCH
        while year < _LAST_YEAR:
            found = self.shapes[_shape(year, start)] >> (day - start)
            if found:
                return day + lowest(found)
            start += 365 + is_leap(year)
            day, year = start, year + 1
        return None


def _shape(year: int, start: int) -> int:
    """0 … 20; ``start`` is the year's first day."""
    return (start + 3) % 7 * 3 + (1 if is_leap(year) else 2 if is_leap(year - 1) else 0)


@functools.lru_cache(maxsize=1024)
def year_days(parts: DayParts) -> YearDays | None:
    """The days that the parts mean together; None when there are none."""
    shapes = [0] * 21
    for day in _expanded(parts):
        start = day.replace(month=1, day=1).toordinal() - _EPOCH
        shapes[_shape(day.year, start)] |= 1 << (day.toordinal() - _EPOCH - start)
    return YearDays(tuple(shapes)) if any(shapes) else None


def _expanded(parts: DayParts) -> Iterable[datetime]:
    return rrule(
        MONTHLY if parts.by_month else YEARLY,
        dtstart=datetime(_FIRST, 1, 1),  # noqa: DTZ001 - days of no zone
        wkst=parts.week_start,
        bymonth=parts.months or None,
        byweekno=parts.weeks or None,
        byyearday=parts.days_of_year or None,
        bymonthday=parts.days_of_month or None,
        byweekday=tuple(weekday(day, nth or None) for day, nth in parts.weekdays) or None,
    )
