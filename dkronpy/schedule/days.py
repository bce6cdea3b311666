"""The days that a cron expression means: which months of the calendar have any, and which those are in a month of each
of the 28 shapes: its length and first weekday.

The Gregorian calendar repeats after 400 years. So a table of the months of 400 years tells where any rule goes on, be
it 40 years ahead as 29 February on a given weekday can be; and a rule that has days in none of them never fires.
"""

from __future__ import annotations

import functools
import itertools
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from dkronpy.schedule.times import bits, lowest

if TYPE_CHECKING:
    from dkronpy.schedule.fields import Values

_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST_YEAR: Final = 1969
"""What a clock west of Greenwich shows at the epoch. Months are counted from its January, which is 0, for 400 years."""
_FIRST_DAYS: Final = tuple(
    date(_FIRST_YEAR + month // 12, month % 12 + 1, 1).toordinal() - _EPOCH for month in range(400 * 12 + 1)
)
"""By month, as days since the epoch."""
_SHAPES: Final = bytes((first + 4) % 7 * 4 + after - first - 28 for first, after in itertools.pairwise(_FIRST_DAYS))
"""By month: 4 · first weekday + length - 28; Sunday is 0."""


class Days(msgspec.Struct, frozen=True, gc=False):
    """A set of days, all given as days since the epoch."""

    months: bytes
    """By month: 1 where it has such days, otherwise 0."""
    shapes: tuple[int, ...]
    """By shape: bit d for the day d of such a month."""
    every: bool
    """Whether no day is left out."""

    def next(self, day: int) -> int:
        """The first day of the set at or after ``day``; the first after the 400 years where there is none."""
        if self.every:
            return day
        start = date.fromordinal(day + _EPOCH)
        month = _month(start)
        if self.months[month]:
            found = self.shapes[_SHAPES[month]] >> start.day
            if found:
                return day + lowest(found)
        month = self.months.find(1, month + 1)
        if month < 0:
            return _FIRST_DAYS[-1]
        return _FIRST_DAYS[month] + lowest(self.shapes[_SHAPES[month]]) - 1

    def count(self, first: int, end: int) -> int:
        """How many days of the set are in [first, end)."""
        if self.every:
            return end - first
        month, total = _month(date.fromordinal(first + _EPOCH)), 0
        while first < end:
            after = _FIRST_DAYS[month + 1]
            if self.months[month]:
                found = self.shapes[_SHAPES[month]] >> (first - _FIRST_DAYS[month] + 1)
                total += (found & ((1 << min(after, end) - first) - 1)).bit_count()
            first, month = after, month + 1
        return total


def _month(day: date) -> int:
    return (day.year - _FIRST_YEAR) * 12 + day.month - 1


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
    months = _months(month.mask, bytes(map(bool, shapes)))
    if 1 not in months:
        return None
    whole = all(shape == (2 << (index % 4 + 28)) - 2 for index, shape in enumerate(shapes))
    return Days(months, tuple(shapes), every=whole and 0 not in months)


@functools.lru_cache(maxsize=4096)
def _months(named: int, shapes: bytes) -> bytes:
    """The table of the months whose number is in ``named``, as bits, and whose shape has 1 in ``shapes``. One for all
    rules that it holds for."""
    table = bytearray(len(_SHAPES))
    for number in bits(named):
        table[number - 1 :: 12] = _SHAPES[number - 1 :: 12].translate(shapes.ljust(256))
    return bytes(table)


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
