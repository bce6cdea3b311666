"""What was seen lately, by Lamport time, so that nothing is taken in twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

KEPT: Final = 512
"""Lamport times that are remembered; what is older is not taken in."""
MAX_ITEMS: Final = 64
"""Of one Lamport time; there is more than one only where nodes act at once."""

T = TypeVar("T", bound=Hashable)


class Recent(Generic[T]):
    """The last KEPT Lamport times. What is older than `least` isn't taken in either."""

    def __init__(self, least: int) -> None:
        self.least = least
        self._times: dict[int, tuple[int, dict[T, None]]] = {}

    def add(self, ltime: int, item: T, clock: int) -> bool:
        """Whether it is new, at the clock's time `clock`."""
        if ltime < self.least or ltime + KEPT < clock:
            return False
        place = ltime % KEPT
        seen, items = self._times.get(place, (-1, {}))
        if seen != ltime:
            if seen > ltime:
                return False
            items = dict[T, None]()
            self._times[place] = ltime, items
        if item in items or len(items) >= MAX_ITEMS:
            return False
        items[item] = None
        return True

    def __iter__(self) -> Iterator[tuple[int, tuple[T, ...]]]:
        return ((ltime, tuple(items)) for ltime, items in self._times.values())
