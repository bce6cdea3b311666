"""The times of a day that a rule means, as bit masks of hours, minutes and seconds."""

from __future__ import annotations

import msgspec


class Times(msgspec.Struct, frozen=True, gc=False):
    """Every second of a day whose hour, minute and second are in the masks, of which none is empty; bit n stands for
    n. Times are seconds since midnight."""

    hours: int
    minutes: int
    seconds: int

    def next(self, time: int) -> int:
        """The first time at or after ``time``; -1: none."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                seconds = self.seconds >> second
                if seconds:
                    return time + lowest(seconds)
            minutes = self.minutes >> (minute + 1)
            if minutes:
                return hour * 3600 + (minute + 1 + lowest(minutes)) * 60 + lowest(self.seconds)
        hours = self.hours >> (hour + 1)
        if hours:
            return (hour + 1 + lowest(hours)) * 3600 + lowest(self.minutes) * 60 + lowest(self.seconds)
        return -1

    def count(self, end: int) -> int:
        """How many times there are before ``end``."""
        hour, rest = divmod(end, 3600)
        minute, second = divmod(rest, 60)
        seconds = self.seconds.bit_count()
        total = _below(self.hours, hour) * self.minutes.bit_count() * seconds
        if self.hours >> hour & 1:
            total += _below(self.minutes, minute) * seconds
            if self.minutes >> minute & 1:
                total += _below(self.seconds, second)
        return total

    def nth(self, index: int) -> int:
        """The time that has ``index`` others before it, which must exist."""
        rest, second = divmod(index, self.seconds.bit_count())
        hour, minute = divmod(rest, self.minutes.bit_count())
        return bits(self.hours)[hour] * 3600 + bits(self.minutes)[minute] * 60 + bits(self.seconds)[second]


def lowest(mask: int) -> int:
    """The number of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1


def bits(mask: int) -> list[int]:
    """The numbers of the bits that are set, ascending."""
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _below(mask: int, limit: int) -> int:
    return (mask & ((1 << limit) - 1)).bit_count()
