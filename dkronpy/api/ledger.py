"""Every execution that is known: in flight in the store, finished in the history, merged by key.

An execution is written to the history before it leaves the store, so whoever looks into the store first misses none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from dkronpy.api.errors import invalid
from dkronpy.catalog.feed import Feed
from dkronpy.catalog.mirror import Mirror
from dkronpy.history.contract import History, Output, Query
from dkronpy.history.cursor import decode_cursor, encode_cursor
from dkronpy.history.search import EVERYTHING, Criteria, filtered, search
from dkronpy.model.execution import Execution, State
from dkronpy.model.run import Key

FULL_OUTPUT: Final = 1 << 30
"""As a tail: everything that is stored."""
_PATIENCE: Final = 1.0
"""Seconds that a reader waits at most for output that is being stored."""
_LOOK_AGAIN: Final = 0.05
_MAX_LOOKUPS: Final = 100
"""Finished executions still in the store that are looked up in the history, so that they count once."""


class Ledger:
    """Reads of executions. Errors of the history pass through."""

    def __init__(self, mirror: Mirror, history: History, feed: Feed) -> None:
        self._mirror = mirror
        self._history = history
        self._feed = feed

    async def get(self, key: Key) -> Execution | None:
        held = self._mirror.runs.get(key[0], {}).get(key)
        stored = await self._history.get(*key)
        if held is None or stored is None:
            return stored if held is None else held.value
        return _newer(held.value, stored)

    async def page(
        self, query: Query, *, limit: int, cursor: str | None = None, criteria: Criteria = EVERYTHING
    ) -> tuple[list[Execution], str | None]:
        """Up to `limit` executions, newest first, and the cursor of the next page (None: no more). With criteria there
        may be fewer before the end.

        Raises Problem 400 for a cursor that is not ours."""
        flying = list(self._flying(query))
        try:
            if cursor is not None:
                place = decode_cursor(cursor)
                seen = (-place.group, -place.attempt, place.node, place.job)
                flying = [execution for execution in flying if _order(execution) > seen]
            if criteria:
                flying = await filtered(self._history, flying, criteria)
                stored = await search(self._history, query, criteria, limit=limit, cursor=cursor)
            else:
                stored = await self._history.query(query, limit=limit, cursor=cursor)
        except ValueError as error:
            raise invalid(("cursor", str(error))) from None
        if stored.cursor is not None:  # what comes after this slice is for later pages
            place = decode_cursor(stored.cursor)
            end = (-place.group, -place.attempt, place.node, place.job)
            flying = [execution for execution in flying if _order(execution) <= end]
        found = _merge(flying, stored.executions)
        page = found[:limit]
        return page, encode_cursor(page[-1]) if len(found) > limit else stored.cursor

    async def count(self, query: Query) -> int:
        """How many executions match."""
        flying = list(self._flying(query))
        over = [execution for execution in flying if execution.state.final][:_MAX_LOOKUPS]
        twice = sum([await self._history.get(*execution.key) is not None for execution in over])
        return await self._history.count(query) + len(flying) - twice

    def flying(self) -> Iterator[Execution]:
        """Every execution that is not over."""
        for runs in self._mirror.runs.values():
            for held in runs.values():
                if not held.value.state.final:
                    yield held.value

    async def outputs(self, executions: Sequence[Execution], tail: int) -> dict[Key, Output]:
        """The last `tail` bytes of each one's stored output."""
        await self.settled(executions)
        keys = [execution.key for execution in executions if execution.state.ran]
        return await self._history.outputs(keys, tail=tail) if keys else {}

    async def settled(self, executions: Sequence[Execution]) -> None:
        """Wait a moment for the output of runs that have only just ended: it is stored right after the end is known,
        and whoever sees that a run is over expects to see all of its output."""
        fresh = [e for e in executions if e.state.final and e.output_size and e.key in self._mirror.runs.get(e.job, {})]
        if not fresh:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                for execution in fresh:
                    await self._settled(execution)
        except TimeoutError:
            return  # the history is away, or the node could not keep it all: what is there is shown

    async def _settled(self, execution: Execution) -> None:
        with self._feed.follow(execution.key) as grown:
            while (await self._history.output(*execution.key, offset=-1, limit=1)).size < execution.output_size:
                grown.clear()
                try:
                    # On a server that does not lead nobody tells; then it is looked at again.
                    await asyncio.wait_for(grown.wait(), _LOOK_AGAIN)
                except TimeoutError:
                    continue

    def _flying(self, query: Query) -> Iterator[Execution]:
        tables = self._mirror.runs.values() if query.job is None else [self._mirror.runs.get(query.job, {})]
        for runs in tables:
            for held in runs.values():
                if _matches(held.value, query):
                    yield held.value


def _merge(flying: Sequence[Execution], stored: Sequence[Execution]) -> list[Execution]:
    found = {execution.key: execution for execution in stored}
    for execution in flying:
        known = found.get(execution.key)
        found[execution.key] = execution if known is None else _newer(execution, known)
    return sorted(found.values(), key=_order)


def _newer(flying: Execution, stored: Execution) -> Execution:
    """Of one execution's two records: the one that is over; of two such, not the one that only says it was lost."""
    if stored.state.final and (not flying.state.final or flying.state is State.LOST):
        return stored
    return flying


def _order(execution: Execution) -> tuple[int, int, str, str]:
    """Sorts as the history does: newest group first, then newest attempt, then node, then job."""
    return (-execution.group, -execution.attempt, execution.node, execution.job)


def _matches(execution: Execution, query: Query) -> bool:
    return (
        (query.job is None or execution.job == query.job)
        and (query.group is None or execution.group == query.group)
        and (query.states is None or execution.state in query.states)
        and (query.node is None or execution.node == query.node)
        and (query.since is None or execution.group >= query.since)
        and (query.until is None or execution.group <= query.until)
    )
