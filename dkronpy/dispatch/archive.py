"""What the leader writes to the run history: final executions and output, in batches, until the history has them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from dkronpy.catalog.feed import Feed
from dkronpy.history.contract import History, HistoryError
from dkronpy.model.execution import Execution, OutputChunk, State
from dkronpy.model.run import Ended, Key
from dkronpy.scheduling.groups import finished

log = logging.getLogger(__name__)

BATCH = 200
"""Records written at once."""
BATCH_BYTES = 2_000_000
"""Bytes of output written at once."""
RETRY_FIRST, RETRY_MAX = 0.05, 5.0
"""Seconds between tries while the history can't be written."""


class Archive:
    """A queue in front of the history. After the write is durable, `archived` is told of executions that the history
    has as they are, `recorded` of those whose node reported the result, `stored` of output up to an offset."""

    def __init__(
        self,
        history: History,
        feed: Feed,
        *,
        archived: Callable[[list[Execution]], None],
        recorded: Callable[[list[Key]], None],
        stored: Callable[[Key, int], None],
    ) -> None:
        self._history = history
        self._feed = feed
        self._archived = archived
        self._recorded = recorded
        self._stored = stored
        self._queue: deque[tuple[Execution | None, OutputChunk | None, bool]] = deque()
        """What to write, and whether it answers a report."""
        self._strays: deque[Ended] = deque()
        self._wake = asyncio.Event()
        self.failing: str | None = None
        """Why the history can't be written at the moment."""

    def __len__(self) -> int:
        return len(self._queue) + len(self._strays)

    def result(self, execution: Execution, report: Ended | None) -> None:
        """Write a final execution, with the end of its output where the report brought it."""
        self._queue.append((execution, _tail(report), report is not None))
        self._wake.set()

    def output(self, key: Key, offset: int, data: bytes) -> None:
        """Write a part of a run's output."""
        self._queue.append((None, OutputChunk(*key, offset, data), False))
        self._wake.set()

    def stray(self, report: Ended) -> None:
        """A report on an execution that is no longer in flight: its node waits to hear that it is recorded."""
        self._strays.append(report)
        self._wake.set()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        delay = RETRY_FIRST
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue or self._strays:
                try:
                    await self._write()
                    await self._settle_strays()
                except HistoryError as error:
                    if self.failing is None:
                        log.warning("the history can't be written, trying until it can: %s", error)
                    self.failing = str(error)
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, RETRY_MAX)
                    continue
                if self.failing is not None:
                    log.warning("the history can be written again")
                self.failing, delay = None, RETRY_FIRST

    async def _write(self) -> None:
        executions: list[Execution] = []
        reported: list[Key] = []
        chunks: list[OutputChunk] = []
        size = taken = 0
        for execution, chunk, answers in self._queue:
            taken += 1
            if execution is not None:
                executions.append(execution)
                if answers:
                    reported.append(execution.key)
            if chunk is not None:
                chunks.append(chunk)
                size += len(chunk.data)
            if taken == BATCH or size > BATCH_BYTES:
                break
        if not taken:
            return
        await self._history.write(executions, chunks)
        for _ in range(taken):
            self._queue.popleft()
        for chunk in chunks:
            key = (chunk.job, chunk.group, chunk.attempt, chunk.node)
            self._stored(key, chunk.offset + len(chunk.data))
            self._feed.grew(key)
        self._archived(executions)
        # A node that was given up is not told so: its own report is still to come.
        self._recorded(reported)
        for execution in executions:
            self._feed.grew(execution.key)

    async def _settle_strays(self) -> None:
        while self._strays:
            report = self._strays[0]
            held = await self._history.get(*report.key)
            if held is not None and held.state is State.LOST:
                held = finished(held, report)
                await self._history.write([held], [])
            tail = _tail(report)
            if held is not None and tail is not None:
                await self._history.write([], [tail])
            self._strays.popleft()
            # Of a job deleted meanwhile there is no record: its output is wanted by nobody.
            self._stored(report.key, report.size if held is None or tail is not None else 0)
            self._recorded([report.key])
            self._feed.grew(report.key)


def _tail(report: Ended | None) -> OutputChunk | None:
    if report is None or not report.tail:
        return None
    return OutputChunk(*report.key, report.tail_start, report.tail)
