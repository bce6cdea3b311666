"""When a server claims the lead: pure rules over what it has seen, on its own monotonic clock.

A server that Raft elected claims once per election. Whatever Raft says, any server may claim once a whole lease has
passed in which it saw neither the lease renewed nor another claim: that covers two servers of which one is dead, and
a Raft leader cut off from the store.
"""

from __future__ import annotations

import random
from typing import Final

LEASE: Final = 5.0
"""Seconds after which a lease that was not seen to be renewed is over."""
RENEWAL: Final = 1.0
"""Seconds between renewals."""
STEP_DOWN: Final = 3.0
"""Seconds without a renewal after which a leader stops leading, well before its lease is over."""
SPREAD: Final = 1.0
"""Up to so many seconds more, drawn at random, are waited by each server, so that they do not all claim at once."""


class Claims:
    """One server's memory of elections and of the lease. Times in seconds of a clock that never jumps."""

    def __init__(self, now: float, rng: random.Random) -> None:
        self._rng = rng
        self._claimed: int | None = None
        self._patience = 0.0
        self._seen = 0.0
        self.saw(now)

    def saw(self, now: float) -> None:
        """The lease or the epoch changed in the store."""
        self._seen = now
        self._patience = LEASE + self._rng.random() * SPREAD

    def fresh(self, now: float, span: float) -> bool:
        """Whether the lease was seen to change within a span of seconds."""
        return now - self._seen <= span

    def released(self) -> None:
        """The leader gave the lead away: the first to find out may claim, the others a little later."""
        self._seen, self._patience = float("-inf"), 0.0

    def due(self, now: float, election: int | None) -> bool:
        """Whether to claim now. `election` numbers the election that this server has won, None when it holds none."""
        return self.permits(election) or now - self._seen > self._patience

    def permits(self, election: int | None) -> bool:
        """Whether the election permits a claim; else it must be the lease that is over."""
        return election is not None and election != self._claimed

    def claimed(self, now: float, election: int | None) -> None:
        """A claim is tried."""
        self._claimed = election
        self.saw(now)

    def failed(self) -> None:
        """The claim did not reach the store, or nobody knows: the election still permits one. Who holds no election
        waits for another lease, so that not all claim at once when the store is back."""
        self._claimed = None
