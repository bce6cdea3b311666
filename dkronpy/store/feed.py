"""Recent changes of a store, and the watches of this process that read them."""

from __future__ import annotations

import asyncio
from collections import deque
from copy import copy
from typing import TYPE_CHECKING

from dkronpy.store.contract import Compacted, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from dkronpy.store.contract import Event, StoreError

RECENT_BYTES = 8 << 20
"""What is kept for watches that start or resume, by estimated memory."""
MAX_BEHIND = 100_000
"""Events kept for the sake of a slow watch; one that falls further behind is given up."""

_EVENT_BYTES = 250
"""An event's own memory, its key and value aside."""


class _Reader:
    """A watch: it has read everything up to `position`."""

    __slots__ = ("position", "wake")

    def __init__(self, position: int) -> None:
        self.position = position
        self.wake = asyncio.Event()


class Feed:
    """The last commits in order, shared by all watches: each only remembers the revision it has read. Publishing never
    waits for a watch. Used from one event loop."""

    def __init__(self, revision: int) -> None:
        """`revision`: the store's newest; what came before it can't be watched."""
        self._newest = revision
        self._forgotten = revision
        self._commits: deque[tuple[Event, ...]] = deque()
        self._events = 0
        self._bytes = 0
        self._readers: dict[_Reader, None] = {}  # not a set: watches wake in the order they began
        self._end: StoreError | None = None

    @property
    def newest(self) -> int:
        """The revision up to which everything was published."""
        return self._newest

    def reaches(self, revision: int) -> bool:
        """Whether everything after `revision` is still kept."""
        return revision >= self._forgotten

    def publish(self, commits: Iterable[tuple[Event, ...]]) -> None:
        """Add commits, each with at least one event, in the order of their revisions."""
        for events in commits:
            self._commits.append(events)
            self._events += len(events)
            self._bytes += _size(events)
            self._newest = events[0].revision
        self._forget()
        self._wake()

    def close(self, error: StoreError | None = None) -> None:
        """End every watch after what was published, with `error`: by default that the store is closed."""
        self._end = self._end or error or Unavailable("the store is closed")
        self._wake()

    async def reach(self, revision: int) -> None:
        """Wait until everything up to `revision` was published, or until the end."""
        reader = _Reader(revision)
        self._readers[reader] = None
        try:
            while self._newest < revision and self._end is None:
                reader.wake.clear()
                await reader.wake.wait()
        finally:
            del self._readers[reader]

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        """As `Store.watch`."""
        reader = _Reader(revision)
        self._readers[reader] = None
        try:
            while True:
                if not self.reaches(reader.position):
                    raise Compacted(f"changes after revision {reader.position} are no longer kept")
                if events := self._read(reader, prefix):
                    yield events
                elif self._end is not None:
                    raise copy(self._end)  # each is raised in its own task
                else:
                    reader.wake.clear()
                    await reader.wake.wait()
        finally:
            del self._readers[reader]

    def _read(self, reader: _Reader, prefix: str) -> list[Event]:
        newer: list[tuple[Event, ...]] = []
        for events in reversed(self._commits):  # so that a watch that keeps up costs what is new, not what is kept
            if events[0].revision <= reader.position:
                break
            newer.append(events)
        reader.position = max(reader.position, self._newest)
        return [event for events in reversed(newer) for event in events if event.key.startswith(prefix)]

    def _forget(self) -> None:
        slowest = min((reader.position for reader in self._readers), default=self._newest)
        while self._events > MAX_BEHIND or (
            self._bytes > RECENT_BYTES and self._commits and self._commits[0][0].revision <= slowest
        ):
            events = self._commits.popleft()
            self._events -= len(events)
            self._bytes -= _size(events)
            self._forgotten = events[0].revision

    def _wake(self) -> None:
        for reader in self._readers:
            reader.wake.set()


def _size(events: Iterable[Event]) -> int:
    return sum(_EVENT_BYTES + len(event.key) + len(event.value or b"") for event in events)
