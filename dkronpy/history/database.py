"""A history in a database: the contract on the ground of `Table`."""

from __future__ import annotations

from abc import abstractmethod
from datetime import date, timedelta
from typing import TYPE_CHECKING

from dkronpy.history.contract import NONE_OWN, DayCount, History, Output, Query, Retention, Slice
from dkronpy.history.cursor import decode_cursor, encode_cursor, encode_position
from dkronpy.history.figures import delete_figures, write_figures
from dkronpy.history.output import read_output, read_tails, store_chunks
from dkronpy.history.recording import remove, write
from dkronpy.history.retention import Pruner
from dkronpy.model.execution import State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dkronpy.history.table import Key, Table
    from dkronpy.history.work import Make, T, Work
    from dkronpy.model.execution import Execution, OutputChunk
    from dkronpy.model.figures import JobFigures

_AT_ONCE = 200
"""Executions that one transaction deletes: other writes get in between."""


class DatabaseHistory(History):
    """The last `output_limit` bytes of each output are kept."""

    def __init__(self, table: Table, output_limit: int) -> None:
        self._table = table
        self._output_limit = output_limit
        self._pruner = Pruner(table, self._read, self._write, output_limit)

    @abstractmethod
    async def _read(self, make: Make[T]) -> T:
        """The result of work that writes nothing."""

    @abstractmethod
    async def _write(self, make: Make[T]) -> T:
        """The result of work, once it is durable; in one step, and as if nobody else wrote meanwhile."""

    @abstractmethod
    async def _store(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        """Have `_recorded` done."""

    def _recorded(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> Work[None]:
        yield from store_chunks(self._table, chunks, self._output_limit)
        yield from write(self._table, executions)

    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        await self._store(executions, chunks)
        self._pruner.grown(execution.job for execution in executions)

    async def get(self, job: str, group: int, attempt: int, node: str) -> Execution | None:
        key = (job, group, attempt, node)
        return (await self._read(lambda: self._table.records([key]))).get(key)

    async def query(self, query: Query, *, limit: int = 100, cursor: str | None = None) -> Slice:
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        after = None if cursor is None else decode_cursor(cursor)
        # One more than asked for tells whether there is a next page.
        found = await self._read(lambda: self._table.page(query, after, limit + 1))
        more = len(found) > limit
        return Slice(tuple(found[:limit]), encode_cursor(found[limit - 1]) if more else None)

    async def suspects(self, query: Query, text: bytes, *, cursor: str | None = None) -> Slice:
        place = None if cursor is None else decode_cursor(cursor)
        found, last = await self._read(lambda: self._table.suspects(query, text, place))
        return Slice(tuple(found), None if last is None else encode_position(last))

    async def count(self, query: Query) -> int:
        return await self._read(lambda: self._table.count(query))

    async def output(
        self, job: str, group: int, attempt: int, node: str, *, offset: int = 0, limit: int = 1 << 20
    ) -> Output:
        key = (job, group, attempt, node)
        return await self._read(lambda: read_output(self._table, key, offset, limit, self._output_limit))

    async def outputs(self, keys: Collection[Key], *, tail: int) -> dict[Key, Output]:
        return await self._read(lambda: read_tails(self._table, keys, tail, self._output_limit))

    async def stats(self, days: int, *, today: str) -> Sequence[DayCount]:
        last = date.fromisoformat(today)
        dates = [(last - timedelta(back)).isoformat() for back in reversed(range(days))]
        if not dates:
            return []
        counted = {count.date: count for count in await self._read(lambda: self._table.days(dates[0], dates[-1]))}
        return [counted.get(day) or DayCount(day, 0, 0) for day in dates]

    async def delete(self, job: str, *, until: int) -> int:
        def work() -> Work[int]:
            keys = yield from self._table.oldest(job, None, until, _AT_ONCE)
            if not keys:
                keys = yield from self._table.aged(job, {State.SKIPPED}, until, _AT_ONCE)
            yield from remove(self._table, keys)
            return len(keys)

        await self._write(lambda: delete_figures(self._table, job, until))
        deleted = 0
        while True:
            batch = await self._write(work)
            deleted += batch
            if not batch:
                return deleted

    async def prune(
        self, retention: Retention, *, own: Mapping[str, Retention] = NONE_OWN, now: int, batch: int = 1000
    ) -> bool:
        more = True
        while more and batch > 0:
            part = min(batch, _AT_ONCE)
            more = await self._pruner.prune(retention, own, now, part)
            batch -= part
        return more

    async def write_figures(self, figures: Sequence[JobFigures]) -> None:
        if figures:
            await self._write(lambda: write_figures(self._table, figures))

    async def figures_of(self, jobs: Collection[str]) -> dict[str, JobFigures]:
        found = await self._read(lambda: self._table.figures_of(jobs)) if jobs else []
        return {of.job: of for of in found}

    async def figures(self, *, after: str = "", limit: int = 1000) -> Sequence[JobFigures]:
        return await self._read(lambda: self._table.figures_after(after, limit))
