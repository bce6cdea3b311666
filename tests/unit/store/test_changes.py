"""Watches that share one reader of a store's log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence

import pytest

from dkronpy.store.changes import Changes, Commit
from dkronpy.store.contract import Compacted, Event, Unavailable


class Log:
    """Commits of one event each, with revisions 1, 2, ..."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.readers = 0
        self.error: Exception | None = None
        """What everyone who reads is told."""
        self._news = asyncio.Event()

    def add(self, count: int = 1) -> None:
        for _ in range(count):
            revision = len(self.commits) + 1
            self.commits.append((Event(f"key{revision}", b"", revision),))
        self._wake()

    def fail(self, error: Exception | None) -> None:
        self.error = error
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def after(self, revision: int) -> Sequence[Commit]:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.commits[revision : revision + 3]

    async def follow(self, revision: int) -> AsyncGenerator[Sequence[Commit]]:
        self.readers += 1
        while True:
            news = self._news
            if self.error is not None:
                raise self.error
            if commits := self.commits[revision : revision + 3]:
                revision = commits[-1][0].revision
                yield commits
            else:
                await news.wait()


async def told(watch: AsyncGenerator[Sequence[Event]], revision: int) -> list[int]:
    """The revisions that it tells of, up to this one."""
    revisions: list[int] = []
    async with asyncio.timeout(30):
        while not revisions or revisions[-1] < revision:
            revisions += [event.revision for event in await anext(watch)]
    return revisions


async def joined(log: Log) -> None:
    """Wait until the watches that are being read follow the log."""
    async with asyncio.timeout(30):
        while not log.readers:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_one_reader_for_all() -> None:
    log = Log()
    changes = Changes(log, 60)
    log.add(10)
    watches = [changes.watch("", start) for start in (0, 4, 10)]
    assert await told(watches[0], 10) == [*range(1, 11)]
    assert await told(watches[1], 10) == [*range(5, 11)]
    reading = [asyncio.create_task(told(watch, 12)) for watch in watches]
    await joined(log)
    log.add(2)
    assert await asyncio.gather(*reading) == [[11, 12]] * 3
    assert log.readers == 1
    await changes.close(12, 1)


async def test_it_goes_on_where_it_stopped() -> None:
    log = Log()
    changes = Changes(log, 60)
    watch = changes.watch("", 0)
    log.add(2)
    assert await told(watch, 2) == [1, 2]
    reading = asyncio.create_task(told(watch, 4))
    await asyncio.sleep(0)
    log.fail(Unavailable("gone"))
    await asyncio.sleep(0.1)
    log.add(2)
    log.fail(None)
    assert await reading == [3, 4]
    await changes.close(4, 1)


@pytest.mark.parametrize("joined", [True, False])
async def test_it_gives_up(joined: bool) -> None:
    log = Log()
    changes = Changes(log, 0.2)
    watch = changes.watch("", 0)
    if joined:
        log.add()
        await told(watch, 1)
    reading = asyncio.create_task(told(watch, 2))
    await asyncio.sleep(0)
    log.fail(Unavailable("gone"))
    with pytest.raises(Unavailable, match=r"could not go on for 0\.2 s: gone"):
        await reading
    log.fail(None)
    log.add(2)
    assert (await told(changes.watch("", 0), 2))[:2] == [1, 2]
    await changes.close(0, 1)


async def test_what_is_forgotten_ends_all_watches_but_not_later_ones() -> None:
    log = Log()
    changes = Changes(log, 60)
    watches = [changes.watch("", 0) for _ in range(2)]
    reading = [asyncio.create_task(told(watch, 1)) for watch in watches]
    await joined(log)
    log.fail(Compacted("forgotten"))
    for each in await asyncio.gather(*reading, return_exceptions=True):
        assert isinstance(each, Compacted)
    log.fail(None)
    log.add()
    assert await told(changes.watch("", 0), 1) == [1]
    await changes.close(1, 1)


async def test_a_defect_does_not_pass_unnoticed(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    changes = Changes(log, 60)
    reading = asyncio.create_task(told(changes.watch("", 0), 1))
    await joined(log)
    log.fail(RuntimeError("a defect"))
    with pytest.raises(Unavailable, match="can't be read: a defect"):
        await reading
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    await changes.close(0, 1)


async def test_closing_waits_for_what_was_committed() -> None:
    log = Log()
    changes = Changes(log, 60)
    watch = changes.watch("", 0)
    reading = asyncio.create_task(told(watch, 2))
    await asyncio.sleep(0)
    closing = asyncio.create_task(changes.close(2, 60))
    log.add()
    await asyncio.sleep(0.02)
    assert not closing.done()
    log.add()
    assert await reading == [1, 2]
    await closing
    with pytest.raises(Unavailable, match="closed"):
        await anext(watch)
    with pytest.raises(Unavailable, match="closed"):
        await anext(changes.watch("", 2))
