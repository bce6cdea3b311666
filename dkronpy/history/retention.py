"""What a database no longer keeps: found without looking at every job, taken away in small batches."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from dkronpy.history.contract import Retention
from dkronpy.history.recording import join_neighbours, remove
from dkronpy.history.rules import FAILED, IDLE, RAN
from dkronpy.history.table import Key, Table
from dkronpy.history.work import Make, T, Work

_UNFAILED = tuple(state for state in RAN if state not in FAILED)


class Perform(Protocol):
    """Drives work on the database, within a transaction if it writes."""

    def __call__(self, make: Make[T], /) -> Awaitable[T]: ...


class Pruner:
    """Looks at each job once, and then at those that have grown and those of which something gets too old. For one task
    at a time; what fails is looked at again."""

    def __init__(self, table: Table, read: Perform, write: Perform, output_limit: int) -> None:
        self._table = table
        self._read = read
        self._write = write
        self._output_limit = output_limit
        self._grown: dict[str, None] = {}
        self._due: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        """Heap of (when, job); what `_due` does not say any more is void."""
        self._policy: tuple[Retention, Mapping[str, Retention]] | None = None
        self._swept: str | None = ""
        """The last job that was looked at since the policy was new; None: all were."""

    def grown(self, jobs: Iterable[str]) -> None:
        """Note that `jobs` have new executions."""
        self._grown.update(dict.fromkeys(jobs))

    async def prune(self, retention: Retention, own: Mapping[str, Retention], now: int, batch: int) -> bool:
        """One batch of `History.prune`: together at most `batch` executions that go and jobs that are looked at."""
        if self._policy != (retention, own):
            self._policy = (retention, dict(own))
            self._swept = ""
        while self._queue and self._queue[0][0] < now:
            when, job = heapq.heappop(self._queue)
            if self._due.get(job) == when:
                del self._due[job]
                self._grown[job] = None
        left = batch
        while left > 0:
            job = next(iter(self._grown), None) or await self._next()
            if job is None:
                return False
            self._grown.pop(job, None)
            taken = left
            try:
                taken = await self._thin(job, own.get(job, retention), now, left)
            finally:
                if taken >= left:  # there may be more, or it failed
                    self._grown[job] = None
            left -= max(taken, 1)
        return True

    async def _next(self) -> str | None:
        """The next job that was not looked at yet."""
        if self._swept is not None:
            after = self._swept
            self._swept = await self._read(lambda: self._table.next_job(after))
        return self._swept

    async def _thin(self, job: str, policy: Retention, now: int, batch: int) -> int:
        """Take what `policy` does not keep from `job`, at most `batch` executions; return how many."""
        table, left = self._table, batch
        ages = [
            (policy.age, (*_UNFAILED, *IDLE)),
            (policy.age if policy.failed_age is None else policy.failed_age, FAILED),
        ]
        for age, states in ages:
            if age is not None:
                left -= await self._take(lambda n, s=states, a=age: table.aged(job, s, now - a, n), left)
        counts = [(policy.count, RAN, RAN if policy.failed_count is None else _UNFAILED)]
        if policy.failed_count is not None:
            counts.append((policy.failed_count, FAILED, FAILED))
        for count, counted, going in counts:
            group = await self._read(lambda c=counted, n=count: table.nth_group(job, c, n))
            left -= await self._take_until(job, group, going, left)
        if policy.size is not None:
            size = policy.size
            group = await self._read(lambda: table.over_size(job, size, self._output_limit))
            left -= await self._take_until(job, group, RAN, left)
        if left > 0:
            left -= await self._fold(job, policy.count, left)
        if left > 0:
            await self._wait(job, ages)
        return batch - left

    async def _take_until(self, job: str, group: int | None, states: Iterable[Any], limit: int) -> int:
        if group is None:
            return 0
        return await self._take(lambda n: self._table.oldest(job, tuple(states), group, n), limit)

    async def _take(self, find: Callable[[int], Work[list[Key]]], limit: int) -> int:
        """Delete what `find` finds; how many."""
        if limit <= 0:
            return 0
        keys = await self._read(lambda: find(limit))
        if keys:
            await self._write(lambda: remove(self._table, keys))
        return len(keys)

    async def _fold(self, job: str, count: int, limit: int) -> int:
        """Let fires that did not run and are more than `count` be joined with their neighbours; how many."""

        def find() -> Work[list[int]]:
            above = (yield from self._table.folded([job])).get(job, -1)
            return (yield from self._table.idle_groups(job, above))

        groups = await self._read(find)
        folding = groups[: max(len(groups) - count, 0)][:limit]

        def fold() -> Work[None]:
            for group in folding:
                yield from self._table.fold(job, group)
                yield from join_neighbours(self._table, job, group, group)

        if folding:
            await self._write(fold)
        return len(folding)

    async def _wait(self, job: str, ages: Iterable[tuple[int | None, tuple[Any, ...]]]) -> None:
        """Note when something of the job gets too old."""
        due: list[int] = []
        for age, states in ages:
            if age is not None:
                first = await self._read(lambda s=states: self._table.first_end(job, s))
                if first is not None:
                    due.append(first + age)
        self._due.pop(job, None)
        if due:
            self._due[job] = min(due)
            heapq.heappush(self._queue, (min(due), job))
