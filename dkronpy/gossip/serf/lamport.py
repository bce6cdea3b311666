"""Lamport's clocks: they order what happens without any time."""

from __future__ import annotations


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
        """An event of that time was seen: the next one here is later."""
        self.time = max(self.time, time + 1)
