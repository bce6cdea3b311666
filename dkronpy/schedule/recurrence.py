"""One rule of RFC 5545 on a clock without a zone: the next time, found by arithmetic however long ago the rule began.

A rule has periods (every INTERVAL-th year, month, …, second, counted from its start) and a pattern (days and times).
The search leaps from whichever of the two comes later to the other, until they meet.
"""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from typing import Final

import msgspec

from dkronpy.schedule.times import Times
from dkronpy.schedule.years import YearDays
from dkronpy.schedule.zones import DAY, LAST_SECOND

MAX_LEAPS: Final = 10_000
"""Leaps in one search; a rule that needs more is taken to have ended. It bounds a search to some 30 ms."""
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Frequency(IntEnum):
    """How long a rule's periods are."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


_LENGTHS: Final = (0, 0, 7 * DAY, DAY, 3600, 60, 1)


class Recurrence(msgspec.Struct, frozen=True, gc=False):
    """Times are seconds since 1970-01-01T00:00:00 of the clock that the rule goes by."""

    frequency: Frequency
    interval: int
    start: int
    until: int
    """The last second that may match."""
    week_start: int
    """0 for Monday."""
    days: YearDays | None
    """None: every day."""
    times: Times
    positions: tuple[int, ...]
    """Which of a period's times match, counted from 1, or from the end by -1; empty: all."""

    @property
    def step(self) -> int | None:
        """Seconds between any two matches, where that is always the same; None where it may not be."""
        if self.days is not None or self.positions or self.frequency < Frequency.DAILY:
            return None
        free = max(self.frequency - Frequency.DAILY, 0)
        """How many of hour, minute and second the period says itself."""
        masks = ((self.times.hours, 24), (self.times.minutes, 60), (self.times.seconds, 60))
        fits = all(mask.bit_count() == (size if place < free else 1) for place, (mask, size) in enumerate(masks))
        return _LENGTHS[self.frequency] * self.interval if fits else None

    def next(self, time: int) -> int | None:
        """The first match at or after ``time``; None when there is none."""
        time = max(time, self.start)
        for _ in range(MAX_LEAPS):
            if time > self.until or time >= LAST_SECOND + DAY:
                return None
            aligned = self._align(time)
            if self.positions and (found := self._chosen(aligned)) is not None:
                return found if found <= self.until else None
            match = self._match(self._end(aligned) if self.positions else aligned)
            if match is None:
                return None
            if match == aligned and not self.positions:
                return match if match <= self.until else None
            time = match
        return None

    def _index(self, time: int) -> int:
        """The number of the period that holds ``time``."""
        if self.frequency > Frequency.MONTHLY:
            return (time - self._offset) // _LENGTHS[self.frequency]
        day = date.fromordinal(time // DAY + _EPOCH)
        return day.year if self.frequency is Frequency.YEARLY else day.year * 12 + day.month - 1

    def _begin(self, index: int) -> int:
        """The first second of a period."""
        if self.frequency > Frequency.MONTHLY:
            return index * _LENGTHS[self.frequency] + self._offset
        year, month = (index, 0) if self.frequency is Frequency.YEARLY else divmod(index, 12)
        return (date(year, month + 1, 1).toordinal() - _EPOCH) * DAY if year <= date.max.year else LAST_SECOND + DAY

    @property
    def _offset(self) -> int:
        """A second at which a period begins; the epoch is a Thursday."""
        return (self.week_start - 3) * DAY if self.frequency is Frequency.WEEKLY else 0

    def _align(self, time: int) -> int:
        """The first second at or after ``time`` in a period of the rule."""
        index = self._index(time)
        ahead = (self._index(self.start) - index) % self.interval
        return self._begin(index + ahead) if ahead else time

    def _end(self, time: int) -> int:
        """The end of the period that holds ``time``."""
        return self._begin(self._index(time) + 1)

    def _match(self, time: int) -> int | None:
        """The first second at or after ``time`` of the pattern."""
        day, rest = divmod(time, DAY)
        found = self._next_day(day)
        if found == day:
            fits = self.times.next(rest)
            if fits >= 0:
                return day * DAY + fits
            found = self._next_day(day + 1)
        return None if found is None else found * DAY + self.times.next(0)

    def _next_day(self, day: int) -> int | None:
        return day if self.days is None else self.days.next(day)

    def _chosen(self, time: int) -> int | None:
        """The first at or after ``time`` of the times that ``positions`` choose in its period."""
        begin, end = self._begin(self._index(time)), self._end(time)
        first, last = begin // DAY, (end - 1) // DAY
        if self.frequency is Frequency.WEEKLY:
            first = max(first, self.start // DAY)  # as dateutil counts: a rule's first week begins with the rule
        days: list[int] = []
        day = self._next_day(first)
        while day is not None and day <= last:
            days.append(day)
            day = self._next_day(day + 1)
        times = self._times_of(begin)
        if times is None:
            return None
        size = times.count(DAY)
        chosen: list[int] = []
        for position in self.positions:
            index, nth = divmod(position - 1 if position > 0 else position, size)
            if -len(days) <= index < len(days):
                chosen.append(days[index] * DAY + times.nth(nth))
        return min((found for found in chosen if found >= time), default=None)

    def _times_of(self, begin: int) -> Times | None:
        """The pattern's times in the period that begins then, on each of its days."""
        if self.frequency < Frequency.HOURLY:
            return self.times
        hour, rest = divmod(begin % DAY, 3600)
        masks = [self.times.hours & 1 << hour, self.times.minutes, self.times.seconds]
        if self.frequency > Frequency.HOURLY:
            masks[1] &= 1 << rest // 60
        if self.frequency > Frequency.MINUTELY:
            masks[2] &= 1 << rest % 60
        return Times(*masks) if all(masks) else None
