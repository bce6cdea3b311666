"""Times at which jobs do not run, as spans of time: days of a local clock, single spans, and recurring ones."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import date
from typing import Final, Protocol

import msgspec

from dkronpy.model.duration import SECOND
from dkronpy.schedule.base import Schedule, ScheduleError
from dkronpy.schedule.icalendar import globalized, localized
from dkronpy.schedule.zones import DAY, Zone

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:\.\.(\d{4})-(\d\d)-(\d\d))?", re.ASCII)
_YEARLY: Final = re.compile(r"(\d\d)-(\d\d)", re.ASCII)
_MARGIN: Final = 7200 * SECOND
"""By so much, at most, a day is longer than 24 hours."""


class Spans(Protocol):
    """A set of times (ns)."""

    def until(self, time: int) -> int | None:
        """Up to when, at least, the set goes on from ``time``; None when that is not in it."""
        ...

    def change(self, after: int) -> int | None:
        """A time after ``after`` before which the set does not begin anew; None: it never does."""
        ...


class Days(msgspec.Struct, frozen=True):
    """Whole days of a zone's clock."""

    zone: Zone
    ranges: tuple[tuple[int, int], ...]
    """First and last day since the epoch; ascending, apart."""
    yearly: frozenset[tuple[int, int]] = frozenset()
    """(month, day)."""

    def until(self, time: int) -> int | None:
        day = localized(time // SECOND, self.zone) // DAY
        index = bisect_right(self.ranges, day, key=lambda pair: pair[0])
        if index and day <= self.ranges[index - 1][1]:
            return self._begin(self.ranges[index - 1][1] + 1)
        number = date.fromordinal(day + _EPOCH)
        return self._begin(day + 1) if (number.month, number.day) in self.yearly else None

    def change(self, after: int) -> int | None:
        day = localized(after // SECOND, self.zone) // DAY
        return max(self._begin(day + 1), after + 1)

    def _begin(self, day: int) -> int:
        return globalized(day * DAY, self.zone) * SECOND


class Once(msgspec.Struct, frozen=True):
    """One span, without its ``end``."""

    start: int
    end: int

    def until(self, time: int) -> int | None:
        return self.end if self.start <= time < self.end else None

    def change(self, after: int) -> int | None:
        return self.start if after < self.start else None


class Recurring(msgspec.Struct, frozen=True):
    """From every fire of a schedule on for ``duration`` ns; with ``whole_days`` on the local clock, where a day may
    have 23 or 25 hours."""

    schedule: Schedule
    duration: int
    whole_days: bool = False

    def until(self, time: int) -> int | None:
        start = self.schedule.next(time - self.duration - (_MARGIN if self.whole_days else 0))
        while start is not None and start <= time:
            if (end := self._end(start)) > time:
                return end
            start = self.schedule.next(start)
        return None

    def change(self, after: int) -> int | None:
        return self.schedule.next(after)

    def _end(self, start: int) -> int:
        if not self.whole_days:
            return start + self.duration
        zone = self.schedule.zone
        return globalized(localized(start // SECOND, zone) + self.duration // SECOND, zone) * SECOND


def days(texts: Iterable[str], zone: Zone) -> Days:
    """The days of texts such as ``2026-12-24``, ``2026-12-24..2027-01-02`` or ``12-25`` (every year).

    Raises: ScheduleError.
    """
    ranges: list[tuple[int, int]] = []
    yearly: set[tuple[int, int]] = set()
    for text in texts:
        if match := _YEARLY.fullmatch(text):
            _day(text, 2000, int(match[1]), int(match[2]))
            yearly.add((int(match[1]), int(match[2])))
            continue
        match = _DAY.fullmatch(text)
        if match is None:
            raise ScheduleError(
                f"{text[:40]!r} is not a day: write 2026-12-24, 2026-12-24..2027-01-02, or 12-25 for every year", "days"
            )
        numbers = [int(number) for number in match.groups() if number]
        first = _day(text, *numbers[:3])
        last = _day(text, *numbers[3:]) if numbers[3:] else first
        if last < first:
            raise ScheduleError(f"{text} runs backwards: write the earlier day first", "days")
        ranges.append((first, last))
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return Days(zone, tuple(merged), frozenset(yearly))


def _day(text: str, year: int, month: int, day: int) -> int:
    try:
        found = date(year, month, day)
    except ValueError as error:
        raise ScheduleError(f"{text} is not a day that exists ({error})", "days") from error
    if not 1970 <= year <= 2261:
        raise ScheduleError(f"{text} lies outside the years 1970 … 2261", "days")
    return found.toordinal() - _EPOCH
