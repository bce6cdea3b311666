"""The history of one server: an SQLite database beside the embedded store."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from dkronpy.history.contract import DayCount, History, Output, Query, Retention, Slice
from dkronpy.history.cursor import decode_cursor
from dkronpy.history.sql import counting, pages
from dkronpy.history.sqlite_database import Database
from dkronpy.history.sqlite_output import Key, read_output, read_tail, store_chunks
from dkronpy.history.sqlite_records import delete_executions, read_record, read_slice, write_executions
from dkronpy.history.sqlite_retention import Pruner

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from dkronpy.model.execution import Execution, OutputChunk

_AT_ONCE = 200
"""Executions that one transaction deletes: other writes get in between."""


class SqliteHistory(History):
    """A history in the file `path`, made when missing. The last `output_limit` bytes of each output are kept."""

    def __init__(self, path: Path, *, output_limit: int = 256_000) -> None:
        self._pruner = Pruner()
        self._database = Database(path, rolled_back=self._pruner.forget)
        self._output_limit = output_limit

    async def open(self) -> None:
        await self._database.open()

    async def close(self) -> None:
        """Finish what was accepted, then close the file."""
        await self._database.close()

    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            self._pruner.grown(write_executions(connection, executions))
            store_chunks(connection, chunks, self._output_limit)

        await self._database.write(work)

    async def get(self, job: str, group: int, attempt: int, node: str) -> Execution | None:
        return await self._database.read(partial(read_record, key=(job, group, attempt, node)))

    async def query(self, query: Query, *, limit: int = 100, cursor: str | None = None) -> Slice:
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        statements = pages(query, None if cursor is None else decode_cursor(cursor))
        return await self._database.read(partial(read_slice, statements=statements, limit=limit))

    async def count(self, query: Query) -> int:
        statement, parameters = counting(query)
        return await self._database.read(lambda connection: connection.execute(statement, parameters).fetchone()[0])

    async def output(
        self, job: str, group: int, attempt: int, node: str, *, offset: int = 0, limit: int = 1 << 20
    ) -> Output:
        key = (job, group, attempt, node)
        return await self._database.read(
            partial(read_output, key=key, offset=offset, length=limit, limit=self._output_limit)
        )

    async def outputs(self, keys: Collection[Key], *, tail: int) -> dict[Key, Output]:
        def work(connection: sqlite3.Connection) -> dict[Key, Output]:
            return {key: read_tail(connection, key, tail, self._output_limit) for key in keys}

        return await self._database.read(work)

    async def stats(self, days: int, *, today: str) -> Sequence[DayCount]:
        last = date.fromisoformat(today)
        dates = [(last - timedelta(back)).isoformat() for back in reversed(range(days))]

        def work(connection: sqlite3.Connection) -> Sequence[DayCount]:
            statement = "SELECT date, success, failed FROM day WHERE date BETWEEN ? AND ?"
            counted = {row[0]: DayCount(*row) for row in connection.execute(statement, (dates[0], dates[-1]))}
            return [counted.get(day) or DayCount(day, 0, 0) for day in dates]

        return await self._database.read(work) if dates else []

    async def delete(self, job: str, *, until: int) -> int:
        deleted = 0
        while True:
            batch = await self._database.write(partial(delete_executions, job=job, until=until, batch=_AT_ONCE))
            deleted += batch
            if batch < _AT_ONCE:
                return deleted

    async def prune(self, retention: Retention, *, now: int, batch: int = 1000) -> bool:
        more = True
        while more and batch > 0:
            part = min(batch, _AT_ONCE)
            more = await self._database.write(partial(self._pruner.prune, retention=retention, now=now, batch=part))
            batch -= part
        return more
