"""Fires that wait for their turn, and the places that runs hold in concurrency groups: what the board keeps of them.

All of it is derived from the groups in the store, so that nothing leaks when a leader dies: a fire waits while its
group has only a placeholder, and a place is taken while the group whose executions name it is in flight.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping

from dkronpy.model.duration import SECOND
from dkronpy.model.job import Job
from dkronpy.model.records import ConcurrencyGroup

UNDEFINED = ConcurrencyGroup().max
"""Places in a concurrency group that jobs name and nobody has defined."""
AGING = 600 * SECOND
"""ns of waiting that count as one step of priority, so that nothing waits for ever behind what is more important."""


class Waiting:
    """`by_job` has the group numbers that wait, oldest first."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = dict(limits)
        """Places by concurrency group."""
        self.by_job: dict[str, list[int]] = {}
        self.changed = True
        """Whether somebody's turn may have come since turns were last given."""
        self.deadlines: list[tuple[int, str, int]] = []
        """Until when (ns) fires wait for a node: a heap of (time, job, group), also of those that wait no more."""
        self._taken = Counter[str]()
        self._turns = 0
        self._last_turn: dict[str, int] = {}

    def add(self, job: str, group: int, deadline: int = 0) -> None:
        """A fire waits, with a deadline (ns) only for a node."""
        insort(self.by_job.setdefault(job, []), group)
        if deadline:
            self.expect(job, group, deadline)
        self.changed = True

    def expect(self, job: str, group: int, deadline: int) -> None:
        """A fire that waits does so for a node, until then (ns)."""
        heapq.heappush(self.deadlines, (deadline, job, group))

    def remove(self, job: str, group: int) -> None:
        """A fire waits no more."""
        left = self.by_job[job]
        left.remove(group)
        if not left:
            del self.by_job[job]
            self._last_turn.pop(job, None)
        self.changed = True

    def take(self, name: str) -> None:
        """A run holds a place in a concurrency group; "" is none."""
        if name:
            self._taken[name] += 1

    def release(self, name: str) -> None:
        """A run is over, and so may be somebody's waiting."""
        if name:
            self._taken[name] -= 1
        self.changed = self.changed or bool(self.by_job)

    def free(self, names: Iterable[str]) -> str | None:
        """The first of these concurrency groups with a free place."""
        for name in names:
            if self._taken[name] < self.limits.get(name, UNDEFINED):
                return name
        return None

    def limit(self, name: str, places: int | None) -> None:
        """The places in a concurrency group have changed; None: nobody defines it any more."""
        if places is None:
            self.limits.pop(name, None)
        else:
            self.limits[name] = places
        self.changed = True

    def turn(self, job: str) -> None:
        """One of the job's fires has its turn: others of the same priority are before its next."""
        self._turns += 1
        self._last_turn[job] = self._turns

    def rank(self, job: Job, now: int) -> tuple[int, int, int, str]:
        """Whose turn comes first has the smallest: by priority, then the job whose last turn is longest ago, then
        whoever waits longest."""
        first = self.by_job[job.name][0]
        return (-job.priority - max(now - first, 0) // AGING, self._last_turn.get(job.name, 0), first, job.name)
