"""The days that the parts of an iCalendar rule mean, as one table for the 21 shapes of a year.

What a rule's days are in a year depends on the weekday that the year begins with, and on whether it and the year before
are leap years.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import date
from typing import Final

import msgspec

from dkronpy.schedule.days import is_leap
from dkronpy.schedule.times import lowest

_EPOCH: Final = date(1970, 1, 1).toordinal()
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
    shapes = tuple(_days(parts, year) for year in _years())
    return YearDays(shapes) if any(shapes) else None


class _Year(msgspec.Struct, frozen=True, gc=False):
    """A year of one shape. Sets of its days are bits, from 0 for 1 January on."""

    first: int
    """The weekday that it begins with."""
    length: int
    before: int
    """How many days the year before has."""
    months: tuple[tuple[int, int], ...]
    """Of each month the first day, and the first of the next."""
    weekdays: tuple[int, ...]
    """The days of each weekday."""


@functools.cache
def _years() -> tuple[_Year, ...]:
    """A year of each shape, in their order."""
    return tuple(_year(first, kind == 1, kind == 2) for first in range(7) for kind in range(3))


def _year(first: int, leap: bool, after_leap: bool) -> _Year:
    length = 365 + leap
    months: list[tuple[int, int]] = []
    start = 0
    for days in (31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31):
        months.append((start, start + days))
        start += days
    weekdays = [sum(1 << day for day in range((weekday - first) % 7, length, 7)) for weekday in range(7)]
    return _Year(first, length, 365 + after_leap, tuple(months), tuple(weekdays))


def _days(parts: DayParts, year: _Year) -> int:
    """The days that the parts mean in a year: those that each part means that is given."""
    found = (1 << year.length) - 1
    if parts.months:
        found &= sum(_range(*year.months[month - 1]) for month in set(parts.months))
    if parts.weeks:
        found &= _weeks(parts, year)
    if parts.days_of_year:
        found &= _union(day - 1 if day > 0 else year.length + day for day in parts.days_of_year)
    if parts.days_of_month:
        found &= _union(
            start + day - 1 if day > 0 else end + day
            for start, end in year.months
            for day in parts.days_of_month
            if abs(day) <= end - start
        )
    if parts.weekdays:
        found &= _weekdays(parts, year)
    return found


def _weekdays(parts: DayParts, year: _Year) -> int:
    """The weekdays of the parts, each or only the nth of a month or year."""
    ranges = [(0, year.length)]
    if parts.by_month or parts.months:
        ranges = [year.months[month - 1] for month in parts.months or range(1, 13)]
    found = _union(
        day
        for start, end in ranges
        for weekday, nth in parts.weekdays
        if nth and start <= (day := _nth(year, start, end, weekday, nth)) < end
    )
    for weekday, nth in parts.weekdays:
        if not nth:
            found |= year.weekdays[weekday]
    return found


def _nth(year: _Year, start: int, end: int, weekday: int, nth: int) -> int:
    """The nth such weekday of the days from `start` on, before `end`, or from the end; it may lie outside."""
    if nth > 0:
        return start + (weekday - year.first - start) % 7 + (nth - 1) * 7
    return end - 1 - (year.first + end - 1 - weekday) % 7 + (nth + 1) * 7


def _weeks(parts: DayParts, year: _Year) -> int:
    """The days of the weeks. Week 1 is the first with four days in the year; days of it, or of the last one of the year
    before, count where they lie. What a week is counted by from the end is that of the year it belongs to, of which
    only the last is known in a year that it does not belong to."""
    begin = (parts.week_start - year.first) % 7
    begin = begin if begin < 4 else begin - 7
    weeks = (year.length - begin + 3) // 7
    numbers = {week if week > 0 else weeks + week + 1 for week in parts.weeks}
    found = _union(
        day
        for week in numbers
        if 0 < week <= weeks
        for day in range(begin + (week - 1) * 7, begin + week * 7)
        if 0 <= day < year.length
    )
    if 1 in parts.weeks:
        found |= _range(min(begin + weeks * 7, year.length), year.length)
    if begin > 0:
        earlier = (parts.week_start - (year.first - year.before)) % 7
        earlier = earlier if earlier < 4 else earlier - 7
        if -1 in parts.weeks or (year.before - earlier + 3) // 7 in parts.weeks:
            found |= _range(0, begin)
    return found


def _range(start: int, end: int) -> int:
    return (1 << end) - (1 << start)


def _union(days: Iterable[int]) -> int:
    found = 0
    for day in days:
        if day >= 0:
            found |= 1 << day
    return found
