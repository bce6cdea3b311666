"""What the state machines have instead of a clock, dice and a network: all of it is given to them."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from dkronpy.gossip.effects import Effect


class Timer:
    """Something to be done at a time, unless it is cancelled before."""

    __slots__ = ("_order", "action", "when")

    def __init__(self, when: int, order: int, action: Callable[[], None]) -> None:
        self.when = when
        self._order = order
        self.action: Callable[[], None] | None = action

    def __lt__(self, other: Timer) -> bool:
        return (self.when, self._order) < (other.when, other._order)

    def cancel(self) -> None:
        self.action = None


class Context:
    """The time (ns on any clock that never goes back), timers, a source of randomness, and what is to be done."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0
        self._timers: list[Timer] = []
        self._made = 0
        self._effects: list[Effect] = []

    def after(self, delay: int, action: Callable[[], None]) -> Timer:
        """Call `action` in `delay` ns."""
        self._made += 1
        timer = Timer(self.now + delay, self._made, action)
        heapq.heappush(self._timers, timer)
        return timer

    def emit(self, effect: Effect) -> None:
        """Have it done."""
        self._effects.append(effect)

    def look(self, now: int) -> None:
        """Move on to `now`, but leave what is due for `advance`: what has come is heard first, or a node that was
        stopped for a while would take those for silent whose answers wait for it."""
        self.now = max(self.now, now)

    def advance(self, now: int) -> None:
        """Move on to `now`; what was due on the way is done in order, each at `now`."""
        self.look(now)
        while self._timers and self._timers[0].when <= self.now:
            action = heapq.heappop(self._timers).action
            if action is not None:
                action()

    def deadline(self) -> int | None:
        """When `advance` is needed next."""
        while self._timers and self._timers[0].action is None:
            heapq.heappop(self._timers)
        return self._timers[0].when if self._timers else None

    def take(self) -> list[Effect]:
        """What is to be done, in order; a change of members is told once."""
        effects, self._effects = self._effects, []
        return effects
