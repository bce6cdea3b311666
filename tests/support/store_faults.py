"""Those who use a store while something befalls it, and what they must find afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

import pytest

from dkronpy.store.contract import Compacted, Guard, OutcomeUnknown, Put, Unavailable

if TYPE_CHECKING:
    from dkronpy.store.contract import Event, Store

WITHIN: Final = 60.0
"""Seconds within which anything happens that must, also on a machine that stands still now and then."""

T = TypeVar("T")


@asynccontextmanager
async def opened(store: Store) -> AsyncGenerator[Store]:
    """For a store whose server is well."""
    await answered(store.open)
    try:
        yield store
    finally:
        await store.close()


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """What a store whose server is well says to what may be asked twice. It is asked again while it finds no server or
    gets no answer: that befalls it when the machine stands still for longer than its limit, which is short where tests
    wait for failures."""
    deadline = asyncio.get_running_loop().time() + WITHIN
    while True:
        try:
            return await ask()
        except (Unavailable, OutcomeUnknown):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)


async def wait_for(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN):
        while not await look():  # noqa: ASYNC110 -- what is waited for is in another process, or behind one
            await asyncio.sleep(0.01)


async def soon(store: Store, key: str = "works") -> int:
    """The revision of a put, tried until it succeeds."""
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                return await store.commit([], [Put(key, b"")])
            except (Unavailable, OutcomeUnknown):
                await asyncio.sleep(0.05)


class Writers:
    """Tasks that put one key after the other, each of which must be absent, and what they were told. They rest when
    `AHEAD` more were answered than was waited for: what a store keeps of its log has to last until the check, however
    long a server takes to start."""

    AHEAD: Final = 200

    def __init__(self, store: Store, count: int = 8) -> None:
        self.answered: dict[str, int] = {}
        self.refused: set[str] = set()
        self.unknown: set[str] = set()
        self._store = store
        self._goal = 0
        self._wanted = asyncio.Condition()
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(count)]

    async def work(self, count: int = 11) -> None:
        """Wait until so many more of their puts were answered."""
        async with self._wanted:
            goal = self._goal = len(self.answered) + count
            self._wanted.notify_all()

        async def answered() -> bool:
            assert not any(task.done() for task in self._tasks), self._tasks
            return len(self.answered) >= goal

        await wait_for(answered)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    async def _write(self, number: int) -> None:
        step = 0
        while True:
            async with self._wanted:
                await self._wanted.wait_for(lambda: len(self.answered) < self._goal + self.AHEAD)
            step += 1
            key = f"w/{number}/{step:06}"
            try:
                self.answered[key] = await self._store.commit([Guard(key, 0)], [Put(key, b"1"), Put(f"{key}+", b"2")])
            except Unavailable:
                self.refused.add(key)
                await asyncio.sleep(0.02)
            except OutcomeUnknown:
                self.unknown.add(key)
            except asyncio.CancelledError:
                self.unknown.add(key)
                raise

    async def check(self, store: Store) -> None:
        """What they were told is true, and what was written is whole."""
        revisions: dict[str, int] = {}
        after, more = "", True
        while more:
            page = await answered(partial(store.list, "w/", after=after))
            revisions |= {entry.key: entry.revision for entry in page.entries}
            after, more = page.entries[-1].key, page.more
        for key, revision in self.answered.items():
            assert revisions[key] == revisions[f"{key}+"] == revision
        for key in self.refused:
            assert key not in revisions
        written = {key.rstrip("+") for key in revisions}
        assert written - set(self.answered) <= self.unknown
        assert all(revisions[key] == revisions[f"{key}+"] for key in written)


class Follower:
    """A watch of everything from `start` on, and all that it has told."""

    def __init__(self, store: Store, start: int) -> None:
        self.events: list[Event] = []
        self.start = start
        self.task = asyncio.create_task(self._follow(store))

    @classmethod
    async def of(cls, store: Store) -> Self:
        """A watch from now on."""
        return cls(store, (await answered(lambda: store.list(""))).revision)

    async def _follow(self, store: Store) -> None:
        async for batch in store.watch("", self.start):
            self.events += batch

    async def reach(self, revision: int) -> None:
        """Wait until it has told of `revision`."""

        async def told() -> bool:
            assert not self.task.done(), self.task
            return bool(self.events) and self.events[-1].revision >= revision

        await wait_for(told)

    async def compacted(self) -> None:
        """Wait until it ends since it can't tell all that was."""
        with pytest.raises(Compacted):
            await asyncio.wait_for(self.task, WITHIN)

    async def check(self, other: Store) -> None:
        """It comes to tell exactly what a new watch over another connection tells."""
        end = await soon(other, "end")
        events: list[Event] = []
        watch = other.watch("", self.start)
        assert isinstance(watch, AsyncGenerator)
        async with asyncio.timeout(WITHIN), aclosing(watch):
            async for batch in watch:
                events += batch
                if events[-1].revision >= end:
                    break
        await self.reach(end)
        told, expected = ([event for event in each if event.revision <= end] for each in (self.events, events))
        assert told == expected  # a commit whose outcome nobody knows may still come later

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
