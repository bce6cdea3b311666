"""Cron expressions: the next fire and the number of fires, by bit masks on the local clock.

Where the minute or the hour field starts with a star, a schedule goes by real time, otherwise it names fixed times.
"""

from __future__ import annotations

from dkronpy.schedule.days import Days
from dkronpy.schedule.wall import Wall
from dkronpy.schedule.zones import DAY


class Cron(Wall, frozen=True, gc=False):
    """A cron expression in a time zone. In the masks, bit n stands for n."""

    seconds: int
    minutes: int
    hours: int
    days: Days

    def next_local(self, local: int) -> int:
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

    def count_local(self, first: int, end: int) -> int:
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
