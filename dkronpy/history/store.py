"""The history inside the key-value store that the servers share: it needs nothing else, and keeps less than others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

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

_AT_ONCE = 200
"""Executions and chunks of waiting writes that are done together; executions pruned before others get their turn."""
_TRIES = 5
"""Writes are begun anew so often while other servers write too."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A write, or other work for the writer, and the future of the task that waits for it."""

    future: asyncio.Future[Any]
    executions: Sequence[Execution] = ()
    chunks: Sequence[OutputChunk] = ()
    work: Callable[[Writer], Awaitable[Any]] | None = None


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
        self._waiting: deque[_Request] = deque()
        self._wake = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._writer = None
        self._working = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Finish what was accepted."""
        working, self._working = self._working, None
        self._wake.set()
        if working is not None:
            await working

    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        await self._submit(executions=executions, chunks=chunks)

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
        return await self._submit(work=partial(delete, job=job, until=until))

    async def prune(
        self, retention: Retention, *, own: Mapping[str, Retention] = NONE_OWN, now: int, batch: int = 1000
    ) -> bool:
        more = True
        while more and batch > 0:
            part = min(batch, _AT_ONCE)
            more = await self._submit(
                work=partial(
                    prune,
                    retention=retention,
                    own=own,
                    kept=self._kept,
                    output_limit=self._output_limit,
                    now=now,
                    batch=part,
                )
            )
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

    async def _submit(self, **what: Any) -> Any:
        """Have something done by the writer, also if the task that waits for it is cancelled."""
        if self._working is None:
            raise HistoryError("the history is not open")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(future, **what))
        self._wake.set()
        return await future

    async def _work(self) -> None:
        """Do what waits, in order, until the history is closed and nothing is left."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft()]
                size = len(batch[0].executions) + len(batch[0].chunks)
                while batch[0].work is None and self._waiting and self._waiting[0].work is None and size < _AT_ONCE:
                    batch.append(self._waiting.popleft())
                    size += len(batch[-1].executions) + len(batch[-1].chunks)
                await self._serve(batch)
            if self._working is None:
                return

    async def _serve(self, batch: Sequence[_Request]) -> None:
        """Answer requests that are done together."""
        result: Any = None
        try:
            with _as_history():
                result = await self._carry_out(batch)
        except Exception as error:  # noqa: BLE001 -- those who wait hear of it
            if len(batch) > 1 and not isinstance(error, HistoryError):
                for request in batch:  # what is wrong with one of them must not stop the others
                    await self._serve([request])
                return
            for request in batch:
                if not request.future.done():
                    request.future.set_exception(error)
        else:
            for request in batch:
                if not request.future.done():
                    request.future.set_result(result)

    async def _carry_out(self, batch: Sequence[_Request]) -> Any:
        for attempt in range(_TRIES):
            try:
                if self._writer is None or self._writer.over:
                    self._writer = await Writer.take_over(self._store, self._keys, self._output_limit)
                self._writer.drop()
                if batch[0].work is not None:
                    return await batch[0].work(self._writer)
                executions = [execution for request in batch for execution in request.executions]
                chunks = [chunk for request in batch for chunk in request.chunks]
                return await self._writer.write(executions, chunks, sure=attempt > 0)
            except Conflict:
                continue
        raise HistoryError("other servers write the history all the time; is another leader active?")

    @contextmanager
    def _reading(self) -> Generator[None]:
        """What does not go through the writer: all that is read, and figures, which no two writers spoil."""
        if self._working is None:
            raise HistoryError("the history is not open")
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
