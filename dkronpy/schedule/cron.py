"""Cron expressions: the next fire and the number of fires, by bit masks on the local clock.

Day-light saving follows Debian's cron. Where the minute or the hour field starts with a star, a schedule goes by real
time: it fires whenever the local clock shows a matching time, so not in an hour that is skipped and twice in one that
is repeated. Otherwise it names fixed times: each happens once, one that is skipped right after the gap, one that is
repeated at its first showing; several that fall into one gap are one fire.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dkronpy.model.duration import SECOND
from dkronpy.schedule.days import Days
from dkronpy.schedule.zones import DAY, FIRST_SECOND, LAST_SECOND, Span, Zone

_MARGIN: Final = 2 * DAY
"""More than any change of offset."""
_HORIZON: Final = 50 * 366 * DAY
"""29 February takes at most 40 years to fall on a given weekday; what takes longer, the clock skips every time."""


class Cron(msgspec.Struct, frozen=True, gc=False):
    """A cron expression in a time zone. In the masks, bit n stands for n."""

    seconds: int
    minutes: int
    hours: int
    days: Days
    real_time: bool
    """Whether it goes by real time rather than by fixed times of the local clock."""
    zone: Zone

    @property
    def grace(self) -> None:
        return None

    def next(self, after: int) -> int | None:
        second = max(after // SECOND + 1, FIRST_SECOND)
        if second >= LAST_SECOND:
            return None
        found = self._next_real(second) if self.real_time else self._next_fixed(second)
        return found * SECOND if found < LAST_SECOND else None

    def count(self, after: int, until: int) -> int:
        second = max(after // SECOND + 1, FIRST_SECOND)
        end = min(until // SECOND + 1, LAST_SECOND)
        total = 0
        while second < end:
            span = self.zone.span(second)
            stop = min(end, span.end)
            if self.real_time:
                total += self._count_local(second + span.offset, stop + span.offset)
            else:
                fixed = max(second + span.offset, span.resume)
                total += self._count_local(fixed, stop + span.offset) + (second == span.start and self._lands(span))
            second = stop
        return total

    def moved(self, second: int) -> bool:
        """Whether a fire at ``second`` (since the epoch) was named for a time in the gap that ends then."""
        span = self.zone.span(second)
        return not self.real_time and second == span.start and self._lands(span)

    def _lands(self, span: Span) -> bool:
        """Whether the start of the span is a fire only because a time in the gap before it was named."""
        start = span.start + span.offset
        return span.resume < start and self._next_local(span.resume) < start and self._next_local(start) > start

    def _next_real(self, second: int) -> int:
        limit = min(second + _HORIZON, LAST_SECOND)
        while True:
            span = self.zone.span(second)
            local = self._next_local(second + span.offset)
            found = local - span.offset
            if found < span.end:
                return found
            if found >= limit:
                return LAST_SECOND
            # Leaping is safe once no repeated hour can show again what was searched from.
            second = max(span.end, found - _MARGIN) if span.end - second > _MARGIN else span.end

    def _next_fixed(self, second: int) -> int:
        span = self.zone.span(second)
        earliest = max(second + span.offset, span.resume) if second > span.start else span.resume
        local = self._next_local(earliest)
        if local >= span.end + span.offset:
            if local - span.offset >= LAST_SECOND:
                return LAST_SECOND
            span = self.zone.span(max(span.end, local - span.offset - _MARGIN))
            while local >= span.end + span.offset:
                span = self.zone.span(span.end)
        return max(local - span.offset, span.start)

    def _next_local(self, local: int) -> int:
        """The first matching second of the local clock (since its 1970-01-01) at or after ``local``."""
        day, time = divmod(local, DAY)
        found = self.days.next(day)
        if found == day:
            fits = self._next_time(time)
            if fits >= 0:
                return day * DAY + fits
            found = self.days.next(day + 1)
        return found * DAY + self._next_time(0)

    def _next_time(self, time: int) -> int:
        """The first matching second of a day at or after ``time``; -1: none."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                seconds = self.seconds >> second
                if seconds:
                    return time + _lowest(seconds)
            minutes = self.minutes >> (minute + 1)
            if minutes:
                return hour * 3600 + (minute + 1 + _lowest(minutes)) * 60 + _lowest(self.seconds)
        hours = self.hours >> (hour + 1)
        if hours:
            return (hour + 1 + _lowest(hours)) * 3600 + _lowest(self.minutes) * 60 + _lowest(self.seconds)
        return -1

    def _count_local(self, first: int, end: int) -> int:
        """How many seconds of the local clock in [first, end) match."""
        if first >= end:
            return 0
        first_day, first_time = divmod(first, DAY)
        end_day, end_time = divmod(end, DAY)
        total = self.days.count(first_day, end_day) * self._count_times(DAY)
        if first_time and self.days.next(first_day) == first_day:
            total -= self._count_times(first_time)
        if end_time and self.days.next(end_day) == end_day:
            total += self._count_times(end_time)
        return total

    def _count_times(self, end: int) -> int:
        """How many matching seconds a day has before ``end``."""
        hour, rest = divmod(end, 3600)
        minute, second = divmod(rest, 60)
        seconds = self.seconds.bit_count()
        total = _below(self.hours, hour) * self.minutes.bit_count() * seconds
        if self.hours >> hour & 1:
            total += _below(self.minutes, minute) * seconds
            if self.minutes >> minute & 1:
                total += _below(self.seconds, second)
        return total


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _below(mask: int, limit: int) -> int:
    return (mask & ((1 << limit) - 1)).bit_count()
