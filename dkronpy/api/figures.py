"""What became of all runs of the last day, minute by minute, and of each job the newest that did not go well.

Each server counts for itself what it sees in the mirror; what was before it started it reads once from the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from dkronpy.catalog.mirror import Change, Mirror
from dkronpy.history.contract import History, Query
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, State, Trigger

MINUTES: Final = 1440
_MINUTE: Final = 60 * SECOND
MAX_PROBLEMS: Final = 200
"""Jobs of which the newest run that did not go well is kept."""
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
        self._problems: dict[str, Execution] = {}
        """By job."""
        self._reading: asyncio.Task[None] | None = None
        mirror.subscribe(self._changed)

    def ready(self) -> asyncio.Task[None]:
        """The task that counts what was before this server started. It raises HistoryError; ask again then."""
        if self._reading is None or (self._reading.done() and self._reading.exception() is not None):
            self._reading = asyncio.create_task(self._read())
        return self._reading

    def minutes(self, count: int) -> list[Minute]:
        """The last `count` minutes up to this one, oldest first."""
        last = self._now() // _MINUTE
        return [self._kept(number) for number in range(last - count + 1, last + 1)]

    def problems(self) -> list[Execution]:
        """Of each job the newest run of the last day that failed or was missed, newest first."""
        oldest = self._now() - MINUTES * _MINUTE
        recent = [execution for execution in self._problems.values() if _end(execution) >= oldest]
        return sorted(recent, key=_end, reverse=True)

    def _kept(self, number: int) -> Minute:
        found = self._ring[number % MINUTES]
        return found if found.number == number else Minute(number)

    async def _read(self) -> None:
        query = Query(since=self._began - MINUTES * _MINUTE)
        found: list[Execution] = []
        cursor: str | None = None
        while len(found) < _MAX_READ:
            page = await self._history.query(query, limit=_PAGE, cursor=cursor)
            found += page.executions
            cursor = page.cursor
            if cursor is None:
                break
        for execution in found:  # only once all is read, so that nothing counts twice after a failure
            if execution.state.final and _end(execution) < self._began:
                self._started(execution)
                self._ended(execution)

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "jobs" and change.new is None:
                self._problems.pop(change.name, None)
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
            known = self._problems.get(execution.job)
            if known is None or _end(known) <= end:
                self._problems[execution.job] = execution
            if len(self._problems) > MAX_PROBLEMS:
                del self._problems[min(self._problems.values(), key=_end).job]

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
