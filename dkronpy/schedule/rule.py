"""Schedules of iCalendar rules and dates, on a local clock."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from dkronpy.schedule.recurrence import Recurrence
from dkronpy.schedule.wall import Wall
from dkronpy.schedule.zones import DAY, LAST_SECOND

_NEVER: Final = LAST_SECOND + 10 * DAY


class Rule(Wall, frozen=True, gc=False):
    """All times of the rules and dates, but for those removed; seconds of the local clock."""

    rules: tuple[Recurrence, ...]
    dates: tuple[int, ...] = ()
    """Ascending."""
    removed: frozenset[int] = frozenset()
    removed_days: frozenset[int] = frozenset()

    @property
    def arithmetic(self) -> bool:
        return False

    def next_local(self, local: int) -> int:
        while True:
            found = min((time for rule in self.rules if (time := rule.next(local)) is not None), default=_NEVER)
            index = bisect_left(self.dates, local)
            if index < len(self.dates):
                found = min(found, self.dates[index])
            if found // DAY in self.removed_days:
                local = (found // DAY + 1) * DAY
            elif found in self.removed:
                local = found + 1
            else:
                return found

    def count_local(self, first: int, end: int) -> int:
        total = 0
        while (first := self.next_local(first) + 1) <= end:
            total += 1
        return total
