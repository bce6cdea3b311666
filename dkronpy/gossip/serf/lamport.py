"""Lamport's clocks: they order what happens without any time."""

from __future__ import annotations

from typing import Final

_FARTHEST: Final = 1 << 62


class LamportClock:
    """`time` is the clock's next event."""

    def __init__(self, time: int = 1) -> None:
        self.time = time

    def increment(self) -> int:
        """The time of an event of this node; the next one is later."""
        time = self.time
        self.time += 1
        return time

    def witness(self, time: int) -> None:
        """An event of that time was seen: the next one here is later. A time that no clock reaches is passed over, or
        one wrong message would set all clocks to their end."""
        if time < _FARTHEST:
            self.time = max(self.time, time + 1)
