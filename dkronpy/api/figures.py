"""What became of all runs of the last day, minute by minute, and the newest that did not go well.

Each server counts for itself what it sees in the mirror; what was before it started it reads once from the history.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from dkronpy.catalog.mirror import Change, Mirror
from dkronpy.history.contract import History, Query
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, State, Trigger

MINUTES: Final = 1440
_MINUTE: Final = 60 * SECOND
MAX_PROBLEMS: Final = 50
_MAX_READ: Final = 10_000
"""Executions that are read from the history at most: more of them say little more."""
_PAGE: Final = 1000
BAD: Final = frozenset({State.FAILED, State.TIMED_OUT, State.KILLED, State.LOST, State.MISSED})
"""Ends that somebody should look at."""


class Minute(msgspec.Struct, gc=False):
    """One minute's ends, and the largest lateness of the starts on schedule in it (ns; -1: there was none)."""

    number: int
    success: int = 0
    failed: int = 0
    skipped: int = 0
    missed: int = 0
    late: int = -1


class Figures:
    """Counts of the last day. `now` gives ns since the epoch."""

    def __init__(self, mirror: Mirror, history: History, now: Callable[[], int]) -> None:
        self._history = history
        self._now = now
        self._began = now()
        self._ring = [Minute(-1) for _ in range(MINUTES)]
        self._problems: list[tuple[int, str, Execution]] = []
        """Oldest first, with their ends."""
        self._reading: asyncio.Task[None] | None = None
        mirror.subscribe(self._changed)

    async def ready(self) -> None:
        """Wait until what was before this server started is counted too. Raises HistoryError; ask again then."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        try:
            await asyncio.shield(self._reading)
        except BaseException:
            if self._reading.done():
                self._reading = None
            raise

    def minutes(self, count: int) -> list[Minute]:
        """The last `count` minutes up to this one, oldest first."""
        last = self._now() // _MINUTE
        return [self._kept(number) for number in range(last - count + 1, last + 1)]

    def problems(self) -> list[Execution]:
        """The newest runs of the last day that failed or were missed, newest first."""
        oldest = self._now() - MINUTES * _MINUTE
        return [execution for end, _, execution in reversed(self._problems) if end >= oldest]

    def _kept(self, number: int) -> Minute:
        found = self._ring[number % MINUTES]
        return found if found.number == number else Minute(number)

    async def _read(self) -> None:
        query = Query(since=self._began - MINUTES * _MINUTE)
        cursor: str | None = None
        for _ in range(_MAX_READ // _PAGE):
            found = await self._history.query(query, limit=_PAGE, cursor=cursor)
            for execution in found.executions:
                if execution.state.final and _end(execution) < self._began:
                    self._started(execution)
                    self._ended(execution)
            cursor = found.cursor
            if cursor is None:
                return

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind != "runs" or change.new is None:
                continue
            old: Execution | None = change.old
            new: Execution = change.new
            if (old is None or old.started is None) and new.started is not None and new.started >= self._began:
                self._started(new)
            if new.state.final and (old is None or not old.state.final) and _end(new) >= self._began:
                self._ended(new)

    def _started(self, execution: Execution) -> None:
        if execution.started is not None and execution.trigger is Trigger.SCHEDULE and execution.attempt == 1:
            minute = self._at(execution.started)
            if minute is not None:
                minute.late = max(minute.late, execution.started - execution.fire)

    def _ended(self, execution: Execution) -> None:
        end = _end(execution)
        minute = self._at(end)
        if minute is None:
            return
        match execution.state:
            case State.SUCCESS:
                minute.success += 1
            case State.SKIPPED:
                minute.skipped += execution.count
            case State.MISSED:
                minute.missed += execution.count
            case _:
                minute.failed += 1
        if execution.state in BAD:
            insort(self._problems, (end, str(execution.key), execution), key=lambda problem: problem[:2])
            del self._problems[:-MAX_PROBLEMS]

    def _at(self, time: int) -> Minute | None:
        """The minute of that time to count in; None where it is too old, or of another clock."""
        number, last = time // _MINUTE, self._now() // _MINUTE
        if not last - MINUTES < number <= last + 1:
            return None
        if self._ring[number % MINUTES].number != number:
            self._ring[number % MINUTES] = Minute(number)
        return self._ring[number % MINUTES]


def _end(execution: Execution) -> int:
    """When it was over: a fire that did not run, when that was decided."""
    return execution.finished or execution.decided or execution.group
