"""Cron expressions: the next fire and the number of fires, by bit masks on the local clock.

Where the minute or the hour field starts with a star, a schedule goes by real time, otherwise it names fixed times.
"""

from __future__ import annotations

from dkronpy.schedule.days import Days
from dkronpy.schedule.times import Times
from dkronpy.schedule.wall import Wall
from dkronpy.schedule.zones import DAY


class Cron(Wall, frozen=True, gc=False):
    """A cron expression in a time zone."""

    days: Days
    times: Times

    @property
    def arithmetic(self) -> bool:
        return True

    def next_local(self, local: int) -> int:
        day, time = divmod(local, DAY)
        found = self.days.next(day)
        if found == day:
            fits = self.times.next(time)
            if fits >= 0:
                return day * DAY + fits
            found = self.days.next(day + 1)
        return found * DAY + self.times.next(0)

    def count_local(self, first: int, end: int) -> int:
        if first >= end:
            return 0
        first_day, first_time = divmod(first, DAY)
        end_day, end_time = divmod(end, DAY)
        total = self.days.count(first_day, end_day) * self.times.count(DAY)
        if first_time and self.days.next(first_day) == first_day:
            total -= self.times.count(first_time)
        if end_time and self.days.next(end_day) == end_day:
            total += self.times.count(end_time)
        return total
