"""Schedules that go by a local clock: what day-light saving does to them, whatever their rule.

It is the rule of Debian's cron. A schedule either goes by real time: it fires whenever the local clock shows a matching
time, so not in an hour that is skipped and twice in one that is repeated. Or it names fixed times: each happens once,
one that is skipped right after the gap, one that is repeated at its first showing; several that fall into one gap are
one fire.
"""

from __future__ import annotations

from typing import Final

from dkronpy.model.duration import SECOND
from dkronpy.schedule.base import Atom
from dkronpy.schedule.zones import DAY, FIRST_SECOND, LAST_SECOND, Span, Zone

_MARGIN: Final = 2 * DAY
"""More than any change of offset."""
_HORIZON: Final = 50 * 366 * DAY
"""29 February takes at most 40 years to fall on a given weekday; what takes longer, the clock skips every time."""


class Wall(Atom, frozen=True, gc=False):
    """Times of a local clock in a time zone; the times themselves are for subclasses to say."""

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
                total += self.count_local(second + span.offset, stop + span.offset)
            else:
                fixed = max(second + span.offset, span.resume)
                total += self.count_local(fixed, stop + span.offset) + (second == span.start and self._lands(span))
            second = stop
        return total

    def moved(self, second: int) -> bool:
        """Whether a fire at ``second`` (since the epoch) was named for a time in the gap that ends then."""
        span = self.zone.span(second)
        return not self.real_time and second == span.start and self._lands(span)

    def _lands(self, span: Span) -> bool:
        """Whether the start of the span is a fire only because a time in the gap before it was named."""
        start = span.start + span.offset
        return span.resume < start and self.next_local(span.resume) < start and self.next_local(start) > start

    def _next_real(self, second: int) -> int:
        limit = min(second + _HORIZON, LAST_SECOND)
        while True:
            span = self.zone.span(second)
            local = self.next_local(second + span.offset)
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
        local = self.next_local(earliest)
        if local >= span.end + span.offset:
            if local - span.offset >= LAST_SECOND:
                return LAST_SECOND
            span = self.zone.span(max(span.end, local - span.offset - _MARGIN))
            while local >= span.end + span.offset:
                span = self.zone.span(span.end)
        return max(local - span.offset, span.start)

    def next_local(self, local: int) -> int:
        """The first matching second of the local clock (since its 1970-01-01) at or after ``local``; one beyond
        2262 where there is none."""
        raise NotImplementedError

    def count_local(self, first: int, end: int) -> int:
        """How many seconds of the local clock in [first, end) match."""
        raise NotImplementedError
