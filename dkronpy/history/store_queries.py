"""Reads from a history in a key-value store. They see what is committed, whoever writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from dkronpy.history.contract import DayCount, Slice
from dkronpy.history.cursor import encode_cursor
from dkronpy.history.rules import bounds
from dkronpy.history.store_keys import (
    decode_day,
    decode_output,
    decode_record,
    decode_totals,
    parse_place,
    place,
    within_all,
    within_job,
)
from dkronpy.model.execution import Execution, State

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dkronpy.history.contract import Query
    from dkronpy.history.cursor import Position
    from dkronpy.history.store_keys import HistoryKeys, Key
    from dkronpy.history.stretches import Stretches
    from dkronpy.store.contract import Store

_LEAST, _MOST = 50, 1000
"""Entries of a page."""
_FETCHED = 100
"""Records fetched at once."""


class Reader:
    """Methods raise StoreError."""

    def __init__(self, store: Store, keys: HistoryKeys) -> None:
        self._store = store
        self._keys = keys

    async def get(self, key: Key) -> Execution | None:
        entry = await self._store.get(self._keys.record(key))
        return decode_record(entry.value) if entry else None

    async def query(self, query: Query, limit: int, after: Position | None) -> Slice:
        """The first `limit` executions that match and come after a place."""
        found: list[Execution] = []
        async for execution in self._matching(query, limit, after):
            found.append(execution)
            if len(found) > limit:
                break
        return Slice(tuple(found[:limit]), encode_cursor(found[limit - 1]) if len(found) > limit else None)

    async def count(self, query: Query) -> int:
        """How many match."""
        if query.job is not None:
            return len([execution async for execution in self._matching(query, _MOST, None)])
        states = State if query.states is None else query.states
        if query.node is None and query.group is None and query.since is None and query.until is None:
            entry = await self._store.get(self._keys.totals)
            totals = decode_totals(entry.value) if entry else {}
            return sum(totals.get(state, 0) for state in states)
        since, until = bounds(query)
        streams = [
            _Places(self._store, self._keys.in_state(state, query.node), since, until, _MOST) for state in states
        ]
        return sum(await asyncio.gather(*(stream.count() for stream in streams)))

    async def outputs(self, keys: Collection[Key]) -> dict[Key, Stretches]:
        """What is stored of each execution's output."""
        held = await asyncio.gather(*(self._store.get(self._keys.output(key)) for key in keys))
        return {key: decode_output(entry.value) if entry else () for key, entry in zip(keys, held, strict=True)}

    async def days(self, dates: Sequence[str]) -> list[DayCount]:
        """The counters of consecutive days."""
        before = self._keys.days + dates[0][:-1] + chr(ord(dates[0][-1]) - 1)  # sorts right before the first date
        page = await self._store.list(self._keys.days, after=before, limit=len(dates))
        held = {entry.key[len(self._keys.days) :]: decode_day(entry.value) for entry in page.entries}
        return [
            DayCount(date, held[date].success, held[date].failed) if date in held else DayCount(date, 0, 0)
            for date in dates
        ]

    def _matching(self, query: Query, limit: int, after: Position | None) -> AsyncIterator[Execution]:
        return self._of_all(query, limit, after) if query.job is None else self._of_job(query, query.job, limit, after)

    async def _of_job(self, query: Query, job: str, limit: int, after: Position | None) -> AsyncIterator[Execution]:
        """A job's executions that match, in order. Of one job few enough are kept to look at each."""
        since, until = bounds(query)
        if since > until:
            return
        prefix = self._keys.of_job(job)
        last = prefix + place(until)
        if after is not None:
            last = max(last, prefix + within_job(after.group, after.attempt, after.node))
        more = True
        while more:
            page = await self._store.list(prefix, after=last, limit=min(max(limit + 1, _LEAST), _MOST))
            for entry in page.entries:
                execution = decode_record(entry.value)
                if execution.group < since:
                    return
                if _matches(execution, query):
                    yield execution
            more = page.more
            last = page.entries[-1].key if page.entries else last

    async def _of_all(self, query: Query, limit: int, after: Position | None) -> AsyncIterator[Execution]:
        """All jobs' executions that match, in order: the places in each state, merged, lead to the records."""
        since, until = bounds(query)
        if since > until:
            return
        states = State if query.states is None else query.states
        beyond = None if after is None else within_all(after.group, after.attempt, after.node, after.job)
        streams = [
            _Places(self._store, self._keys.in_state(state, query.node), since, until, limit + 1, beyond=beyond)
            for state in states
        ]
        await asyncio.gather(*(stream.fill() for stream in streams))
        while True:
            places: list[str] = []
            while len(places) < min(limit + 1, _FETCHED) and (
                live := [stream for stream in streams if stream.head is not None]
            ):
                first = min(live, key=lambda stream: stream.head or "")
                if not places or places[-1] != first.head:  # it may just change its state
                    places.append(first.head or "")
                await first.advance()
            if not places:
                return
            found = await asyncio.gather(*(self.get(parse_place(text)) for text in places))
            for execution in found:
                if execution is not None and _matches(execution, query):
                    yield execution


class _Places:
    """The places under one prefix within bounds, in order, read in pages."""

    def __init__(
        self, store: Store, prefix: str, since: int, until: int, size: int, *, beyond: str | None = None
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._size = min(size, _MOST)
        self._last = max(place(until), beyond or "")
        self._end = place(since) + "0"  # "0" follows "/"
        self._page: list[str] = []
        self._more = since <= until

    @property
    def head(self) -> str | None:
        """The next place; None at the end."""
        return self._page[-1] if self._page else None

    async def advance(self) -> None:
        """Go to the next place."""
        self._page.pop()
        if not self._page:
            await self.fill()

    async def fill(self) -> None:
        """Read the next page."""
        if not self._more:
            return
        page = await self._store.list(self._prefix, after=self._prefix + self._last, limit=self._size)
        places = [entry.key[len(self._prefix) :] for entry in page.entries]
        within = [text for text in places if text < self._end]
        self._more = page.more and len(within) == len(places)
        self._last = places[-1] if places else self._last
        self._page = within[::-1]

    async def count(self) -> int:
        """How many are left."""
        total = 0
        while self._more:
            await self.fill()
            total += len(self._page)
        return total


def _matches(execution: Execution, query: Query) -> bool:
    since, until = bounds(query)
    return (
        since <= execution.group <= until
        and (query.states is None or execution.state in query.states)
        and (query.node is None or execution.node == query.node)
    )
