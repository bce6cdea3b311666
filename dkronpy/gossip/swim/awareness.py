"""A node's health as it sees it (Lifeguard): one that misses answers and is suspected doubts itself before others."""

from __future__ import annotations


class Awareness:
    """0 is healthy; `limit` is how many times longer a node waits at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.score = 0

    def change(self, delta: int) -> None:
        """Worse if positive."""
        self.score = min(max(self.score + delta, 0), self._limit - 1)

    def scaled(self, time: int) -> int:
        """The time, longer the worse the health is."""
        return time * (self.score + 1)
