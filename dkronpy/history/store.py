"""The history inside the key-value store that the servers share: it needs nothing else, and keeps less than others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from dkronpy.history.contract import (
    NONE_OWN,
    DayCount,
    History,
    HistoryError,
    HistoryFull,
    Output,
    Query,
    Retention,
    Slice,
)
from dkronpy.history.cursor import decode_cursor
from dkronpy.history.store_figures import decode_figures, delete_figures, read_figures, write_figures
from dkronpy.history.store_keys import HistoryKeys
from dkronpy.history.store_queries import Reader
from dkronpy.history.store_retention import delete, prune
from dkronpy.history.store_writer import Writer
from dkronpy.history.stretches import last_of, read
from dkronpy.history.turns import AT_ONCE, Turns
from dkronpy.store.contract import Conflict, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dkronpy.history.store_keys import Key
    from dkronpy.model.execution import Execution, OutputChunk
    from dkronpy.model.figures import JobFigures
    from dkronpy.store.contract import Store

T = TypeVar("T")

KEPT = 100
"""Groups of each job that ran, and as many that did not: a key-value store has little room."""
OUTPUT_LIMIT = 16_384
"""Bytes kept of each output."""

_TRIES = 5
"""Writes are begun anew so often while other servers write too."""


class StoreHistory(History):
    """A history in `store`, which is open for as long as the history is. Of each job the newest `kept` groups that ran
    are kept at most, and as many that did not; of each output the last `output_limit` bytes.

    Several servers may read and write: see `Writer`. A write that does not fit one commit becomes visible in parts.
    """

    figures_delay = 3600.0
    """Only a new leader reads them here, and the store's room is dear."""

    def __init__(self, store: Store, keyspace: str, *, kept: int = KEPT, output_limit: int = OUTPUT_LIMIT) -> None:
        self._store = store
        self._keys = HistoryKeys(keyspace)
        self._kept = kept
        self._output_limit = output_limit
        self._reader = Reader(store, self._keys)
        self._writer: Writer | None = None
        self._turns = Turns(self._record)

    async def open(self) -> None:
        self._writer = None
        self._turns.start()

    async def close(self) -> None:
        """Finish what was accepted."""
        await self._turns.stop()

    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        await self._turns.write(executions, chunks)

    async def get(self, job: str, group: int, attempt: int, node: str) -> Execution | None:
        with self._reading():
            return await self._reader.get((job, group, attempt, node))

    async def query(self, query: Query, *, limit: int = 100, cursor: str | None = None) -> Slice:
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        after = None if cursor is None else decode_cursor(cursor)
        with self._reading():
            return await self._reader.query(query, limit, after)

    async def count(self, query: Query) -> int:
        with self._reading():
            return await self._reader.count(query)

    async def output(
        self, job: str, group: int, attempt: int, node: str, *, offset: int = 0, limit: int = 1 << 20
    ) -> Output:
        key = (job, group, attempt, node)
        with self._reading():
            held = await self._reader.outputs([key])
        return read(held[key], offset, limit, self._output_limit)

    async def outputs(self, keys: Collection[Key], *, tail: int) -> dict[Key, Output]:
        with self._reading():
            held = await self._reader.outputs(keys)
        return {key: last_of(stretches, tail, self._output_limit) for key, stretches in held.items()}

    async def stats(self, days: int, *, today: str) -> Sequence[DayCount]:
        newest = date.fromisoformat(today)
        dates = [(newest - timedelta(back)).isoformat() for back in reversed(range(days))]
        with self._reading():
            return await self._reader.days(dates) if dates else []

    async def delete(self, job: str, *, until: int) -> int:
        with self._reading():
            await delete_figures(self._store, self._keys.figures, job, until)
        return await self._turns.do(lambda: self._carry_out(lambda writer, _: delete(writer, job=job, until=until)))

    async def prune(
        self, retention: Retention, *, own: Mapping[str, Retention] = NONE_OWN, now: int, batch: int = 1000
    ) -> bool:
        more = True
        while more and batch > 0:
            part = min(batch, AT_ONCE)
            work = partial(
                prune,
                retention=retention,
                own=own,
                kept=self._kept,
                output_limit=self._output_limit,
                now=now,
                batch=part,
            )
            more = await self._turns.do(lambda work=work: self._carry_out(lambda writer, _: work(writer)))
            batch -= part
        return more

    async def write_figures(self, figures: Sequence[JobFigures]) -> None:
        with self._reading():
            await write_figures(self._store, self._keys.figures, figures)

    async def figures_of(self, jobs: Collection[str]) -> dict[str, JobFigures]:
        with self._reading():
            return await read_figures(self._store, self._keys.figures, jobs)

    async def figures(self, *, after: str = "", limit: int = 1000) -> Sequence[JobFigures]:
        prefix = self._keys.figures
        with self._reading():
            page = await self._store.list(prefix, after=prefix + after, limit=limit)
        return [decode_figures(entry.value) for entry in page.entries]

    async def _record(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        await self._carry_out(lambda writer, attempt: writer.write(executions, chunks, sure=attempt > 0))

    async def _carry_out(self, work: Callable[[Writer, int], Awaitable[T]]) -> T:
        with _as_history():
            for attempt in range(_TRIES):
                try:
                    if self._writer is None or self._writer.over:
                        self._writer = await Writer.take_over(self._store, self._keys, self._output_limit)
                    self._writer.drop()
                    return await work(self._writer, attempt)
                except Conflict:
                    continue
        raise HistoryError("other servers write the history all the time; is another leader active?")

    @contextmanager
    def _reading(self) -> Generator[None]:
        """What does not go through the writer: all that is read, and figures, which no two writers spoil."""
        self._turns.check_open()
        with _as_history():
            yield


@contextmanager
def _as_history() -> Generator[None]:
    """Raise a store's errors as a history's."""
    try:
        yield
    except StoreFull as error:
        raise HistoryFull(str(error)) from error
    except StoreError as error:
        raise HistoryError(str(error)) from error
    except msgspec.DecodeError as error:
        raise HistoryError(f"a record is damaged: {error}") from error
