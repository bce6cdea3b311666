"""The days that a cron expression means, as one table for the 28 shapes of a month: its length and first weekday.

The Gregorian calendar repeats after 400 years, and every shape of every month comes up within them. So a rule whose
table is empty for all its months never fires, and any other fires within the 40 years that 29 February can take to fall
on a given weekday.
"""

from __future__ import annotations

import functools
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from dkronpy.schedule.fields import Values

_EPOCH: Final = date(1970, 1, 1).toordinal()
_LENGTHS: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ALL_MONTHS: Final = (2 << 12) - 2


class Days(msgspec.Struct, frozen=True, gc=False):
    """A set of days, all given as days since the epoch."""

    months: int
    """Bit m: the month m."""
    shapes: tuple[int, ...]
    """At 4 · first weekday + length - 28: bit d for the day d of such a month."""
    every: bool
    """Whether no day is left out."""

    def next(self, day: int) -> int:
        """The first day of the set at or after ``day``; the first after the year 9999 where there is none."""
        if self.every:
            return day
        ordinal = day + _EPOCH
        start = date.fromordinal(ordinal)
        year, month, number = start.year, start.month, start.day
        while True:
            if self.months >> month & 1:
                length = _LENGTHS[month] + (month == 2 and is_leap(year))
                found = self.shapes[(ordinal - number + 1) % 7 * 4 + length - 28] >> number
                if found:
                    return ordinal - _EPOCH + (found & -found).bit_length() - 1
            later = self.months >> (month + 1)
            if later:
                month += (later & -later).bit_length()
            else:
                year, month = year + 1, (self.months & -self.months).bit_length() - 1
                if year > date.max.year:
                    return date.max.toordinal() - _EPOCH + 1
            number = 1
            ordinal = date(year, month, 1).toordinal()

    def count(self, first: int, end: int) -> int:
        """How many days of the set are in [first, end)."""
        if self.every:
            return end - first
        start, total = date.fromordinal(first + _EPOCH), 0
        year, month, number, left = start.year, start.month, start.day, end - first
        ordinal = first + _EPOCH - number + 1
        while left > 0:
            length = _LENGTHS[month] + (month == 2 and is_leap(year))
            inside = min(left, length - number + 1)
            if self.months >> month & 1:
                found = self.shapes[ordinal % 7 * 4 + length - 28] >> number
                total += (found & ((1 << inside) - 1)).bit_count()
            left -= inside
            ordinal += length
            number = 1
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return total


@functools.lru_cache(maxsize=4096)
def days(day: Values, month: Values, weekday: Values) -> Days | None:
    """The days that the three fields mean together; None when there is no such day.

    Where both day fields are restricted either may match; where one starts with a star, as in ``*/2``, both must: the
    rule of Debian's cron.
    """
    shapes: list[int] = []
    for first in range(7):
        for length in range(28, 32):
            in_month = day.mask & ((2 << length) - 1) | (day.last << length)
            in_week = _weekdays(weekday, first, length)
            shapes.append(in_month & in_week if day.star or weekday.star else in_month | in_week)
    lengths = {length for number, length in enumerate(_LENGTHS) if month.mask >> number & 1}
    if lengths & {28}:
        lengths.add(29)
    if not any(shape for index, shape in enumerate(shapes) if index % 4 + 28 in lengths):
        return None
    whole = all(shape == (2 << (index % 4 + 28)) - 2 for index, shape in enumerate(shapes))
    return Days(month.mask, tuple(shapes), every=whole and month.mask == _ALL_MONTHS)


def _weekdays(weekday: Values, first: int, length: int) -> int:
    """The days of a month of ``length`` days, the first of which is the weekday ``first``, as bits."""
    wanted = 0
    for number in range(7):
        of_month = range((number - first) % 7 + 1, length + 1, 7)
        if weekday.mask >> number & 1:
            wanted |= sum(1 << day for day in of_month)
        for nth in (nth for which, nth in weekday.nth if which == number):
            if nth <= len(of_month):
                wanted |= 1 << of_month[nth - 1]  # LAST is 0, and so the last one
    return wanted


def is_leap(year: int) -> bool:
    """Whether the year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
