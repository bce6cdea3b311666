"""What the feed keeps, and for whom."""

from __future__ import annotations

import asyncio

import pytest

from dkronpy.store.contract import Compacted, Event, Unavailable
from dkronpy.store.feed import MAX_BEHIND, RECENT_BYTES, Feed


def commit(revision: int, count: int = 1, size: int = 0) -> tuple[Event, ...]:
    return tuple(Event(f"key{n}", b"x" * size, revision) for n in range(count))


async def test_many_commits_waiting_are_one_batch() -> None:
    feed = Feed(0)
    watch = feed.watch("", 0)
    feed.publish([commit(1), commit(2)])
    feed.publish([commit(3)])
    assert [event.revision for event in await anext(watch)] == [1, 2, 3]


async def test_a_watch_from_the_future_waits_for_it() -> None:
    """A page may be read at a revision that is durable but not yet published."""
    feed = Feed(0)
    watch = feed.watch("", 2)
    reading = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    feed.publish([commit(1)])
    feed.publish([commit(2)])
    await asyncio.sleep(0)
    feed.publish([commit(3)])
    assert [event.revision for event in await reading] == [3]


async def test_without_watches_only_recent_events_are_kept() -> None:
    feed = Feed(0)
    count = RECENT_BYTES // 10_000
    for revision in range(1, 2 * count):
        feed.publish([commit(revision, size=10_000)])
    with pytest.raises(Compacted):
        await anext(feed.watch("", 0))
    with pytest.raises(Compacted):
        await anext(feed.watch("", count // 2))
    assert len(await anext(feed.watch("", count + count // 2))) == count // 2 - 1


async def test_events_are_kept_for_a_slow_watch() -> None:
    feed = Feed(0)
    slow = feed.watch("", 0)
    feed.publish([commit(1)])
    await anext(slow)
    for revision in range(2, 2002):
        feed.publish([commit(revision, size=10_000)])  # 20 MB
    assert len(await anext(slow)) == 2000
    feed.publish([commit(3000)])
    with pytest.raises(Compacted):
        await anext(feed.watch("", 1))


async def test_a_watch_that_ended_keeps_nothing() -> None:
    feed = Feed(0)
    slow = feed.watch("", 0)
    feed.publish([commit(1)])
    await anext(slow)
    await slow.aclose()
    for revision in range(2, 2002):
        feed.publish([commit(revision, size=10_000)])
    with pytest.raises(Compacted):
        await anext(feed.watch("", 1))


async def test_a_watch_too_far_behind_is_given_up() -> None:
    feed = Feed(0)
    slow, lagging = feed.watch("", 0), feed.watch("", 0)
    feed.publish([commit(1)])
    await anext(slow)
    feed.publish([commit(2, count=10)])
    await anext(lagging)
    for revision in range(3, 3 + MAX_BEHIND // 50):
        feed.publish([commit(revision, count=50)])
    assert len(await anext(lagging)) == MAX_BEHIND
    with pytest.raises(Compacted):
        await anext(slow)


async def test_closing_ends_watches_after_what_was_published() -> None:
    feed = Feed(0)
    watch = feed.watch("", 0)
    feed.publish([commit(1)])
    feed.close()
    assert len(await anext(watch)) == 1
    with pytest.raises(Unavailable):
        await anext(watch)


async def test_the_end_has_a_reason() -> None:
    """Each watch hears of it once it has read what there is."""
    feed = Feed(0)
    watches = [feed.watch("", 0) for _ in range(2)]
    feed.publish([commit(1)])
    feed.close(Compacted("lost"))
    feed.close()
    for watch in watches:
        assert [event.revision for event in await anext(watch)] == [1]
        with pytest.raises(Compacted, match="lost"):
            await anext(watch)
