"""Writes in turn: one after the other, but all that wait together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dkronpy.history.contract import HistoryError
from dkronpy.model.execution import Execution, OutputChunk

T = TypeVar("T")

AT_ONCE = 200
"""Executions and chunks of waiting writes that are done together."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A write, or other work, and the future of the task that waits for it."""

    future: asyncio.Future[Any]
    executions: Sequence[Execution] = ()
    chunks: Sequence[OutputChunk] = ()
    work: Callable[[], Awaitable[Any]] | None = None


class Turns:
    """`record` writes what waited. What was accepted is done even if the task that waits for it is cancelled."""

    def __init__(self, record: Callable[[Sequence[Execution], Sequence[OutputChunk]], Awaitable[None]]) -> None:
        self._record = record
        self._waiting: deque[_Request] = deque()
        self._wake = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        return self._working is not None

    def check_open(self) -> None:
        """Raises HistoryError."""
        if self._working is None:
            raise HistoryError("the history is not open")

    def start(self) -> None:
        self._working = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Finish what was accepted."""
        working, self._working = self._working, None
        self._wake.set()
        if working is not None:
            await working

    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        """Have them recorded; raises what that raises."""
        await self._submit(executions=executions, chunks=chunks)

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, begun when it is its turn."""
        return await self._submit(work=work)

    async def _submit(self, **what: Any) -> Any:
        self.check_open()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(future, **what))
        self._wake.set()
        return await future

    async def _work(self) -> None:
        """Do what waits, in order, until there is to be no more and nothing is left."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft()]
                size = len(batch[0].executions) + len(batch[0].chunks)
                while batch[0].work is None and self._waiting and self._waiting[0].work is None and size < AT_ONCE:
                    batch.append(self._waiting.popleft())
                    size += len(batch[-1].executions) + len(batch[-1].chunks)
                await self._serve(batch)
            if self._working is None:
                return

    async def _serve(self, batch: Sequence[_Request]) -> None:
        """Answer requests that are done together."""
        result: Any = None
        try:
            if batch[0].work is not None:
                result = await batch[0].work()
            else:
                executions = [execution for request in batch for execution in request.executions]
                await self._record(executions, [chunk for request in batch for chunk in request.chunks])
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
