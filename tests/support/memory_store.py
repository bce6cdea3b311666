"""A store in memory, for simulations and tests: no threads, no time of its own, failures on demand."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

from dkronpy.store.contract import (
    Conflict,
    Entry,
    Event,
    OutcomeUnknown,
    Page,
    Put,
    Store,
    StoreFull,
    Unavailable,
    check_size,
)
from dkronpy.store.feed import Feed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from dkronpy.store.contract import Guard, Operation


class Fault(Enum):
    """What may befall a commit."""

    UNAVAILABLE = "unavailable"
    """Refused; nothing is written."""
    FULL = "full"
    """No room; nothing is written."""
    LOST = "lost"
    """Not written, and the caller does not learn that."""
    UNANSWERED = "unanswered"
    """Written if its guards hold, but the caller does not learn that."""


class MemoryData:
    """What the stores of one simulated cluster share. It outlives them, as a disk does."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.revision = 0
        self.feeds: list[Feed] = []
        """Of the stores that are connected."""

    def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """As `Store.commit`, at once."""
        for guard in guards:
            held = self.entries.get(guard.key)
            if guard.revision != (held.revision if held else 0):
                raise Conflict(guard.key)
        changes = [op for op in operations if isinstance(op, Put) or op.key in self.entries]
        if not changes:
            return self.revision
        self.revision += 1
        for op in changes:
            if isinstance(op, Put):
                self.entries[op.key] = Entry(op.key, op.value, self.revision)
            else:
                del self.entries[op.key]
        events = tuple(Event(op.key, op.value if isinstance(op, Put) else None, self.revision) for op in changes)
        for feed in self.feeds:
            feed.publish([events])
        return self.revision


class MemoryStore(Store):
    """A connection to `data`, to its own if none is given.

    A read takes `latency()` seconds of the loop's time before it takes effect; a commit as much again before it is
    answered. `fault` decides what befalls a commit."""

    def __init__(
        self,
        data: MemoryData | None = None,
        *,
        latency: Callable[[], float] = lambda: 0.0,
        fault: Callable[[Sequence[Guard], Sequence[Operation]], Fault | None] = lambda guards, operations: None,
    ) -> None:
        self.data = data or MemoryData()
        self.latency = latency
        self.fault = fault
        self._feed: Feed | None = None
        self._accepted: set[asyncio.Task[int]] = set()

    async def open(self) -> None:
        self.connect()

    async def close(self) -> None:
        await asyncio.gather(*self._accepted, return_exceptions=True)
        self.cut()

    def connect(self) -> None:
        """Make the data reachable (again). Changes made meanwhile can't be watched: older watches are `Compacted`."""
        self._feed = Feed(self.data.revision)
        self.data.feeds.append(self._feed)

    def cut(self) -> None:
        """Lose the data at once: watches end, everything raises `Unavailable`, commits under way are left unknown."""
        if self._feed is not None:
            self.data.feeds.remove(self._feed)
            self._feed.close()
            self._feed = None

    async def get(self, key: str) -> Entry | None:
        await self._pass()
        return self.data.entries.get(key)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        await self._pass()
        keys = sorted(key for key in self.data.entries if key.startswith(prefix) and key > after)
        return Page(tuple(self.data.entries[key] for key in keys[:limit]), self.data.revision, len(keys) > limit)

    def watch(self, prefix: str, revision: int) -> AsyncIterator[Sequence[Event]]:
        return self._connected().watch(prefix, revision)

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        check_size(guards, operations)
        for part in (*guards, *operations):
            part.key.encode()
        self._connected()
        task = asyncio.create_task(self._carry_out(guards, operations))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        return await asyncio.shield(task)

    async def _carry_out(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        await self._pass()
        fault = self.fault(guards, operations)
        match fault:
            case Fault.UNAVAILABLE:
                raise Unavailable("the store was made to refuse")
            case Fault.FULL:
                raise StoreFull("the store was made to be full")
            case Fault.LOST:
                raise OutcomeUnknown("the store was made to lose the commit")
            case _:
                revision = self.data.commit(guards, operations)
        await asyncio.sleep(self.latency())
        if fault is Fault.UNANSWERED or self._feed is None:
            raise OutcomeUnknown("the store did not answer")
        return revision

    async def _pass(self) -> None:
        self._connected()
        await asyncio.sleep(self.latency())
        self._connected()

    def _connected(self) -> Feed:
        if self._feed is None:
            raise Unavailable("the store can't be reached")
        return self._feed
