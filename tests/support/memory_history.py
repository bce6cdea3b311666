"""A history in memory for simulations: no threads, no I/O, the simplest code that keeps the contract."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

from dkronpy.history.contract import NONE_OWN, DayCount, History, HistoryError, Output, Query, Retention, Slice
from dkronpy.history.cursor import decode_cursor, encode_cursor
from dkronpy.history.rules import covers, deleted, excess, joined, outcome, replaces

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dkronpy.model.execution import Execution, OutputChunk, State
    from dkronpy.model.figures import JobFigures

    Key = tuple[str, int, int, str]


class MemoryHistory(History):
    """Keeps everything for as long as the object lives: `close` and `open` again are a restart that lost nothing.

    Set `broken` to an error and every write raises it, having done nothing."""

    def __init__(self, *, output_limit: int = 256_000) -> None:
        self.broken: HistoryError | None = None
        self._output_limit = output_limit
        self._open = False
        self._executions: dict[Key, Execution] = {}
        self._output: dict[Key, dict[int, int]] = {}
        """Offset → byte."""
        self._days: Counter[tuple[str, str]] = Counter()
        self._figures: dict[str, JobFigures] = {}
        self._folded: dict[str, int] = {}
        """The newest group of a job of those that did not run and were already taken as too many."""

    async def open(self) -> None:
        self._open = True

    def state(self, key: Key) -> State | None:
        """Of an execution; None where there is none."""
        held = self._executions.get(key)
        return None if held is None else held.state

    async def close(self) -> None:
        self._open = False

    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        self._check()
        if self.broken:
            raise self.broken
        for execution in executions:
            self._record(execution)
        for chunk in chunks:
            held = self._output.setdefault((chunk.job, chunk.group, chunk.attempt, chunk.node), {})
            for place, byte in enumerate(chunk.data, chunk.offset):
                held.setdefault(place, byte)
            kept_from = max(held, default=-1) + 1 - self._output_limit
            for place in [place for place in held if place < kept_from]:
                del held[place]

    async def get(self, job: str, group: int, attempt: int, node: str) -> Execution | None:
        self._check()
        return self._executions.get((job, group, attempt, node))

    async def query(self, query: Query, *, limit: int = 100, cursor: str | None = None) -> Slice:
        self._check()
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        found = sorted(self._matching(query), key=_order)
        if cursor is not None:
            after = decode_cursor(cursor)
            place = (-after.group, -after.attempt, after.node, after.job)
            found = [execution for execution in found if _order(execution) > place]
        return Slice(tuple(found[:limit]), encode_cursor(found[limit - 1]) if len(found) > limit else None)

    async def count(self, query: Query) -> int:
        self._check()
        return len(list(self._matching(query)))

    async def output(
        self, job: str, group: int, attempt: int, node: str, *, offset: int = 0, limit: int = 1 << 20
    ) -> Output:
        self._check()
        held, size = self._held((job, group, attempt, node))
        begin = min(max(size + offset if offset < 0 else offset, size - self._output_limit, 0), size)
        start = min((place for place in held if place >= begin), default=begin) if limit else begin
        return Output(start, _stretch(held, start, limit), size)

    async def outputs(self, keys: Collection[Key], *, tail: int) -> dict[Key, Output]:
        self._check()
        found: dict[Key, Output] = {}
        for key in keys:
            held, size = self._held(key)
            start = size
            while start - 1 in held and size - start < tail:
                start -= 1
            found[key] = Output(start, _stretch(held, start, tail), size)
        return found

    async def stats(self, days: int, *, today: str) -> Sequence[DayCount]:
        self._check()
        last = date.fromisoformat(today)
        dates = [(last - timedelta(back)).isoformat() for back in reversed(range(days))]
        return [DayCount(day, self._days[day, "success"], self._days[day, "failed"]) for day in dates]

    async def delete(self, job: str, *, until: int) -> int:
        self._check()
        gone = [execution.key for execution in self._of(job) if deleted(execution, until)]
        self._remove(gone)
        if job in self._figures and self._figures[job].figures.origin < until:
            del self._figures[job]
        return len(gone)

    async def prune(
        self, retention: Retention, *, own: Mapping[str, Retention] = NONE_OWN, now: int, batch: int = 1000
    ) -> bool:
        self._check()
        left = batch
        for job in sorted({execution.job for execution in self._executions.values()}):
            policy = own.get(job, retention)
            gone = [e.key for e in excess(self._of(job), policy, now=now, output_limit=self._output_limit)][:left]
            self._remove(gone)
            left -= len(gone)
            folded = self._folded.get(job, -1)
            idle = sorted({e.group for e in self._of(job) if not e.state.ran and e.group > folded})
            for group in idle[: max(min(len(idle) - policy.count, left), 0)]:
                self._folded[job] = group
                self._join(job)
                left -= 1
        return left <= 0

    async def write_figures(self, figures: Sequence[JobFigures]) -> None:
        self._check()
        if self.broken:
            raise self.broken
        for of in figures:
            held = self._figures.get(of.job)
            if held is None or held.figures.age < of.figures.age:
                self._figures[of.job] = of

    async def figures_of(self, jobs: Collection[str]) -> dict[str, JobFigures]:
        self._check()
        return {job: self._figures[job] for job in jobs if job in self._figures}

    async def figures(self, *, after: str = "", limit: int = 1000) -> Sequence[JobFigures]:
        self._check()
        return [self._figures[job] for job in sorted(self._figures) if job > after][:limit]

    def _check(self) -> None:
        if not self._open:
            raise HistoryError("the history is not open")

    def _of(self, job: str) -> list[Execution]:
        """The job's executions, oldest first."""
        return sorted((e for e in self._executions.values() if e.job == job), key=_order, reverse=True)

    def _matching(self, query: Query) -> Iterable[Execution]:
        for execution in self._executions.values():
            if (
                (query.job is None or execution.job == query.job)
                and (query.group is None or execution.group == query.group)
                and (query.states is None or execution.state in query.states)
                and (query.node is None or execution.node == query.node)
                and (query.since is None or execution.group >= query.since)
                and (query.until is None or execution.group <= query.until)
            ):
                yield execution

    def _held(self, key: Key) -> tuple[dict[int, int], int]:
        held = self._output.get(key, {})
        return held, max(held, default=-1) + 1

    def _record(self, new: Execution) -> None:
        old = self._executions.get(new.key)
        if old and (not replaces(new.state, old.state) or covers(old, new)):
            return
        if not old and not new.state.ran and new.group <= self._folded.get(new.job, -1):
            before = [known for known in self._of(new.job) if known.state is new.state and known.group < new.group]
            if before and covers(before[-1], new):
                return
        for execution, sign in ((old, -1), (new, 1)):
            if execution and (added := outcome(execution)):
                self._days[added[0], "success"] += sign * added[1]
                self._days[added[0], "failed"] += sign * added[2]
        self._executions[new.key] = new
        self._join(new.job)

    def _remove(self, keys: Sequence[Key]) -> None:
        for key in keys:
            del self._executions[key]
            self._output.pop(key, None)
        for job in {key[0] for key in keys}:
            self._join(job)
            if not self._of(job):
                self._folded.pop(job, None)

    def _join(self, job: str) -> None:
        """Make one record of neighbours that did not run for the same reason and that were taken as too many."""
        older: Execution | None = None
        for newer in self._of(job):
            folded = newer.group <= self._folded.get(job, -1)
            both = joined(older, newer) if older and folded else None
            if both:
                del self._executions[newer.key]
                self._executions[both.key] = both
            older = both or newer


def _order(execution: Execution) -> tuple[int, int, str, str]:
    return (-execution.group, -execution.attempt, execution.node, execution.job)


def _stretch(held: dict[int, int], start: int, limit: int) -> bytes:
    """The bytes from `start` up to the first gap, at most `limit`."""
    data = bytearray()
    while len(data) < limit and start + len(data) in held:
        data.append(held[start + len(data)])
    return bytes(data)
