"""What the contract promises, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dkronpy.store.contract import (
    MAX_BYTES,
    MAX_PARTS,
    Compacted,
    Conflict,
    Delete,
    Entry,
    Event,
    Guard,
    Put,
    TooLarge,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkronpy.store.contract import Store

LARGEST = "\U0010ffff"
ODD_KEYS = [
    *("a", "a\x00", "a\x00b", "a ", "aa", "ab", "a\ud7ff", "a\ue000", "a\U00010000", "a" + LARGEST, "a" + LARGEST * 2),
    *("b", "ä", "a%", "a_", "A", "'", '"', LARGEST, LARGEST * 2, LARGEST + "a", "\ud7ff", "\ud7ffx", "\ue000", "日本"),
]


async def listed(store: Store, prefix: str, **options) -> list[str]:
    return [entry.key for entry in (await store.list(prefix, **options)).entries]


@asynccontextmanager
async def watching(store: Store, prefix: str, revision: int) -> AsyncGenerator[AsyncGenerator[Sequence[Event]]]:
    """A watch that is closed in the end, which must be within a minute."""
    watch = store.watch(prefix, revision)
    assert isinstance(watch, AsyncGenerator)
    async with asyncio.timeout(60), aclosing(watch):
        yield watch


async def watched(store: Store, prefix: str, revision: int, count: int) -> list[Event]:
    """The first `count` events."""
    events: list[Event] = []
    async with watching(store, prefix, revision) as watch:
        async for batch in watch:
            events += batch
            if len(events) >= count:
                break
    return events


class TestCommit:
    async def test_puts_and_gets(self, store: Store) -> None:
        revision = await store.commit([], [Put("a", b"1"), Put("b", b"")])
        assert await store.get("a") == Entry("a", b"1", revision)
        assert await store.get("b") == Entry("b", b"", revision)
        assert await store.get("c") is None

    async def test_every_commit_has_a_greater_revision(self, store: Store) -> None:
        revisions = [await store.commit([], [Put("a", b"same")]) for _ in range(3)]
        assert revisions == sorted(set(revisions))
        entry = await store.get("a")
        assert entry is not None
        assert entry.revision == revisions[-1]

    async def test_keeps_the_revision_of_keys_it_does_not_name(self, store: Store) -> None:
        first = await store.commit([], [Put("a", b"1")])
        await store.commit([], [Put("b", b"1")])
        assert await store.get("a") == Entry("a", b"1", first)

    async def test_guard_holds(self, store: Store) -> None:
        first = await store.commit([Guard("a", 0)], [Put("a", b"1")])
        second = await store.commit([Guard("a", first)], [Put("a", b"2")])
        assert await store.get("a") == Entry("a", b"2", second)

    async def test_guard_on_another_key(self, store: Store) -> None:
        epoch = await store.commit([], [Put("epoch", b"")])
        await store.commit([Guard("epoch", epoch), Guard("other", 0)], [Put("a", b"1")])
        await store.commit([], [Put("epoch", b"")])
        with pytest.raises(Conflict):
            await store.commit([Guard("epoch", epoch)], [Put("a", b"2")])

    @pytest.mark.parametrize("wrong", [0, 1, -1])
    async def test_broken_guard_writes_nothing_and_is_named(self, store: Store, wrong: int) -> None:
        other = await store.commit([], [Put("other", b"")])
        right = await store.commit([], [Put("a", b"1"), Put("b", b"1")])
        revision = 0 if wrong == 0 else right + wrong
        with pytest.raises(Conflict, match="b has changed") as caught:
            await store.commit(
                [Guard("a", right), Guard("b", revision), Guard("c", 7)], [Put("a", b"2"), Put("c", b"2"), Delete("b")]
            )
        assert caught.value.key == "b"
        assert [(e.key, e.value, e.revision) for e in (await store.list("")).entries] == [
            ("a", b"1", right),
            ("b", b"1", right),
            ("other", b"", other),
        ]

    async def test_guards_alone(self, store: Store) -> None:
        revision = await store.commit([], [Put("a", b"1")])
        assert await store.commit([Guard("a", revision), Guard("b", 0)], []) >= revision
        with pytest.raises(Conflict):
            await store.commit([Guard("a", 0)], [])

    async def test_delete(self, store: Store) -> None:
        await store.commit([], [Put("a", b"1"), Put("b", b"1")])
        await store.commit([], [Delete("a"), Delete("absent")])
        assert await store.get("a") is None
        assert await listed(store, "") == ["b"]

    async def test_delete_of_an_absent_key_changes_nothing(self, store: Store) -> None:
        revision = await store.commit([], [Put("a", b"1")])
        await store.commit([], [Delete("absent")])
        await store.commit([Guard("absent", 0), Guard("a", revision)], [Put("b", b"1")])
        assert [event.key for event in await watched(store, "", revision, 1)] == ["b"]

    async def test_revision_never_repeats_after_a_delete(self, connect: Callable[[], Store]) -> None:
        """Nor after the store was closed while nothing was left in it."""
        seen: list[int] = []
        for _ in range(3):
            store = connect()
            await store.open()
            seen.append(await store.commit([Guard("a", 0)], [Put("a", b"1")]))
            seen.append(await store.commit([Guard("a", seen[-1])], [Delete("a")]))
            await store.close()
        assert seen == sorted(set(seen))

    async def test_contents_outlive_the_connection(self, connect: Callable[[], Store]) -> None:
        first, second = connect(), connect()
        await first.open()
        revision = await first.commit([], [Put("a", b"1")])
        await first.close()
        await second.open()
        assert await second.get("a") == Entry("a", b"1", revision)
        await second.close()

    @pytest.mark.parametrize("key", ODD_KEYS)
    async def test_any_text_is_a_key(self, store: Store, key: str) -> None:
        revision = await store.commit([Guard(key, 0)], [Put(key, key.encode())])
        assert await store.get(key) == Entry(key, key.encode(), revision)
        assert await listed(store, key) == [key]
        await store.commit([Guard(key, revision)], [Delete(key)])
        assert await store.get(key) is None

    async def test_text_without_utf8_is_refused(self, store: Store) -> None:
        for guards, operations in [([], [Put("\ud800", b"")]), ([], [Delete("\udfff")]), ([Guard("\ud800", 0)], [])]:
            with pytest.raises(ValueError, match="surrogate"):
                await store.commit(guards, operations)

    async def test_any_bytes_are_a_value(self, store: Store) -> None:
        value = bytes(range(256)) * 100
        await store.commit([], [Put("a", value)])
        entry = await store.get("a")
        assert entry is not None
        assert entry.value == value

    async def test_the_largest_commit(self, store: Store) -> None:
        keys = [f"key{n:03}" for n in range(MAX_PARTS - 1)]
        size = MAX_BYTES // len(keys) - 6
        revision = await store.commit([Guard("absent", 0)], [Put(key, b"x" * size) for key in keys])
        page = await store.list("key")
        assert [(e.key, len(e.value), e.revision) for e in page.entries] == [(key, size, revision) for key in keys]

    async def test_too_large(self, store: Store) -> None:
        with pytest.raises(TooLarge, match="at most 60"):
            await store.commit([Guard("a", 0)], [Put(f"{n}", b"") for n in range(MAX_PARTS)])
        with pytest.raises(TooLarge, match="at most 300000 bytes"):
            await store.commit([], [Put("a", b"x" * MAX_BYTES)])
        assert await listed(store, "") == []

    async def test_a_key_named_twice_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="twice"):
            await store.commit([], [Put("a", b""), Delete("a")])


class TestConcurrency:
    async def test_exactly_one_of_many_wins(self, store: Store) -> None:
        results = await asyncio.gather(
            *(store.commit([Guard("a", 0)], [Put("a", b"%d" % n), Put(f"won/{n}", b"")]) for n in range(50)),
            return_exceptions=True,
        )
        won = [n for n, result in enumerate(results) if isinstance(result, int)]
        assert len(won) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 49
        assert await listed(store, "won/") == [f"won/{won[0]}"]

    async def test_conflicts_leave_their_neighbours_alone(self, store: Store) -> None:
        """Commits sent at once, every third with a broken guard."""
        await store.commit([], [Put("taken", b"")])
        results = await asyncio.gather(
            *(store.commit([Guard("taken", 0)] if n % 3 == 1 else [], [Put(f"k{n:02}", b"")]) for n in range(60)),
            return_exceptions=True,
        )
        assert [isinstance(result, Conflict) for result in results] == [n % 3 == 1 for n in range(60)]
        assert await listed(store, "k") == [f"k{n:02}" for n in range(60) if n % 3 != 1]
        assert len({result for result in results if isinstance(result, int)}) == 40

    async def test_counters_lose_nothing(self, store: Store) -> None:
        async def add() -> None:
            for _ in range(10):
                while True:
                    entry = await store.get("counter")
                    guard = Guard("counter", entry.revision if entry else 0)
                    try:
                        await store.commit([guard], [Put("counter", b"%d" % (int(entry.value if entry else 0) + 1))])
                    except Conflict:
                        continue
                    break

        await asyncio.gather(*(add() for _ in range(8)))
        entry = await store.get("counter")
        assert entry is not None
        assert entry.value == b"80"

    async def test_a_cancelled_commit_happens_once_or_not_at_all(self, store: Store) -> None:
        start = (await store.list("")).revision
        tasks: list[asyncio.Task[int]] = []
        for n in range(40):
            tasks.append(asyncio.create_task(store.commit([Guard(f"k{n}", 0)], [Put(f"k{n}", b""), Put(f"l{n}", b"")])))
            await asyncio.sleep(0)
            if n % 2:
                tasks[-1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        end = await store.commit([], [Put("end", b"")])
        events = [event.key for event in await watched(store, "", start, 1 + len((await store.list("k")).entries) * 2)]
        assert len(events) == len(set(events))
        kept = set(await listed(store, "k"))
        assert {key.replace("k", "l") for key in kept} == set(await listed(store, "l"))
        assert {f"k{n}" for n, result in enumerate(results) if isinstance(result, int)} <= kept
        assert end == max(entry.revision for entry in (await store.list("")).entries)


class TestList:
    async def test_only_the_prefix_in_order_of_code_points(self, store: Store) -> None:
        await store.commit([], [Put(key, b"") for key in ODD_KEYS])
        for prefix in ["", *ODD_KEYS, "a\U0010fffe", "zz"]:
            assert await listed(store, prefix) == sorted(key for key in ODD_KEYS if key.startswith(prefix)), prefix

    async def test_pages(self, store: Store) -> None:
        keys = sorted(ODD_KEYS)
        await store.commit([], [Put(key, b"") for key in keys])
        for limit in range(1, len(keys) + 2):
            found: list[str] = []
            more = True
            while more:
                page = await store.list("", after=found[-1] if found else "", limit=limit)
                found += [entry.key for entry in page.entries]
                more = page.more
                assert len(page.entries) == limit or not more
            assert found == keys

    async def test_after_need_not_exist_nor_have_the_prefix(self, store: Store) -> None:
        await store.commit([], [Put(key, b"") for key in ("a/1", "a/2", "b/1")])
        assert await listed(store, "a/", after="a/1x") == ["a/2"]
        assert await listed(store, "b/", after="a/1") == ["b/1"]
        assert await listed(store, "a/", after="b") == []

    async def test_more_tells_the_truth_at_the_edge_of_the_prefix(self, store: Store) -> None:
        await store.commit([], [Put(key, b"") for key in ("a/1", "a/2", "b/1")])
        assert not (await store.list("a/", limit=2)).more
        assert (await store.list("a/", limit=1)).more

    async def test_names_the_revision_it_was_read_at(self, store: Store) -> None:
        assert (await store.list("")).revision >= 0
        revision = await store.commit([], [Put("a", b"")])
        assert (await store.list("")).revision == revision
        assert (await store.list("nothing")).revision == revision

    async def test_many_at_once(self, store: Store) -> None:
        keys = [f"key{n:03}" for n in range(500)]
        await asyncio.gather(*(store.commit([], [Put(key, key.encode())]) for key in keys))
        for found in await asyncio.gather(*(listed(store, "key") for _ in range(5))):
            assert found == keys

    async def test_thousands_of_keys(self, store: Store) -> None:
        """In few large commits, some at once; read back in pages, beside keys of another prefix."""
        count = 10_000
        keys = [f"many/{n:05}/é" for n in range(count)]
        batches = [keys[first : first + MAX_PARTS] for first in range(0, count, MAX_PARTS)]
        await store.commit([], [Put("mana", b""), Put("many0", b"")])
        for first in range(0, len(batches), 4):
            await asyncio.gather(
                *(store.commit([], [Put(key, key.encode()) for key in batch]) for batch in batches[first : first + 4])
            )
        found: list[str] = []
        more = True
        while more:
            page = await store.list("many/", after=found[-1] if found else "", limit=999)
            assert all(entry.value == entry.key.encode() for entry in page.entries)
            found += [entry.key for entry in page.entries]
            more = page.more
        assert found == keys

    async def test_a_page_shows_all_of_a_commit_or_nothing(self, store: Store) -> None:
        async def write() -> None:
            for n in range(100):
                await store.commit([], [Put("a", b"%d" % n), Put("z", b"%d" % n)])

        writing = asyncio.create_task(write())
        while not writing.done():
            page = await store.list("")
            assert len({entry.value for entry in page.entries}) <= 1
            assert all(entry.revision <= page.revision for entry in page.entries)
            await asyncio.sleep(0)
        await writing

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        keys=st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4), max_size=30),
        prefix=st.text(st.sampled_from(["a", "\x00", "\ud7ff", "\ue000", "\U0010fffe", LARGEST]), max_size=3),
    )
    async def test_any_prefix(self, connect: Callable[[], Store], keys: set[str], prefix: str) -> None:
        store = connect()
        await store.open()
        try:
            old = await listed(store, "")
            for batch in (old[start : start + MAX_PARTS] for start in range(0, len(old), MAX_PARTS)):
                await store.commit([], [Delete(key) for key in batch])
            keys |= {prefix + key for key in list(keys)[:10]}
            await store.commit([], [Put(key, b"") for key in keys])
            assert await listed(store, prefix) == sorted(key for key in keys if key.startswith(prefix))
        finally:
            await store.close()


class TestWatch:
    async def test_tells_puts_and_deletes_in_order(self, store: Store) -> None:
        start = (await store.list("")).revision
        first = await store.commit([], [Put("a", b"1"), Put("b", b"1")])
        second = await store.commit([], [Delete("a"), Put("b", b"2"), Delete("absent")])
        assert await watched(store, "", start, 4) == [
            Event("a", b"1", first),
            Event("b", b"1", first),
            Event("a", None, second),
            Event("b", b"2", second),
        ]

    async def test_begins_after_the_revision(self, store: Store) -> None:
        revisions = [await store.commit([], [Put("a", b"%d" % n)]) for n in range(4)]
        events = await watched(store, "", revisions[1], 2)
        assert [event.revision for event in events] == revisions[2:]

    async def test_waits_for_what_comes(self, store: Store) -> None:
        following = asyncio.create_task(watched(store, "a/", (await store.list("")).revision, 1))
        await asyncio.sleep(0.02)
        await store.commit([], [Put("b", b"")])
        await asyncio.sleep(0.02)
        assert not following.done()
        revision = await store.commit([], [Put("a/1", b"x")])
        assert await following == [Event("a/1", b"x", revision)]

    async def test_tells_only_the_prefix(self, store: Store) -> None:
        start = (await store.list("")).revision
        await store.commit([], [Put(key, b"") for key in ODD_KEYS])
        for prefix in ("", "a", "a" + LARGEST, LARGEST, "\ud7ff"):
            expected = {key for key in ODD_KEYS if key.startswith(prefix)}
            assert {event.key for event in await watched(store, prefix, start, len(expected))} == expected

    async def test_commits_are_not_torn(self, store: Store) -> None:
        start = (await store.list("")).revision
        writing = asyncio.gather(*(store.commit([], [Put(f"{n}/{i}", b"") for i in range(5)]) for n in range(50)))
        count = 0
        async with watching(store, "", start) as watch:
            async for batch in watch:
                assert len(batch) % 5 == 0
                for first in range(0, len(batch), 5):
                    assert len({event.revision for event in batch[first : first + 5]}) == 1
                count += len(batch)
                if count == 250:
                    break
        await writing

    async def test_list_then_watch_misses_nothing(self, store: Store) -> None:
        """Listings and watches begun while others write: what was listed, with the watch applied, is what is there."""

        async def write(worker: int) -> None:
            for n in range(60):
                key = f"k{(worker * 7 + n) % 20:02}"
                await store.commit([], [Delete(key) if n % 4 == 3 else Put(key, b"%d-%d" % (worker, n))])

        async def follow() -> dict[str, bytes]:
            image: dict[str, bytes] = {}
            after = ""
            first: int | None = None
            while True:
                page = await store.list("k", after=after, limit=5)
                first = page.revision if first is None else first
                image |= {entry.key: entry.value for entry in page.entries}
                if not page.more:
                    break
                after = page.entries[-1].key
            last = 0
            async with watching(store, "", first) as watch:
                async for batch in watch:
                    for event in batch:
                        assert event.revision > first
                        assert event.revision >= last
                        last = event.revision
                        if event.value is None:
                            image.pop(event.key, None)
                        else:
                            image[event.key] = event.value
                    if "k-end" in image:
                        return image
            raise AssertionError("the watch ended")

        async def later(delay: float) -> dict[str, bytes]:
            await asyncio.sleep(delay)
            return await follow()

        following = [asyncio.create_task(later(delay * 0.004)) for delay in range(6)]
        await asyncio.gather(*(write(worker) for worker in range(4)))
        await asyncio.sleep(0.05)
        await store.commit([], [Put("k-end", b"")])
        present = {entry.key: entry.value for entry in (await store.list("k")).entries}
        for image in await asyncio.gather(*following):
            assert image == present

    async def test_a_watch_that_keeps_up_hears_of_each_commit(self, store: Store) -> None:
        newest = 0
        told = asyncio.Event()

        async def follow(revision: int) -> None:
            nonlocal newest
            async for batch in store.watch("", revision):
                newest = batch[-1].revision
                told.set()

        following = asyncio.create_task(follow((await store.list("")).revision))
        await asyncio.sleep(0)
        revision = await store.commit([], [Put("a", b"")])
        await asyncio.wait_for(told.wait(), 60)
        assert newest == revision
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    async def test_resumes_where_another_watch_stopped(self, store: Store) -> None:
        start = (await store.list("")).revision
        for n in range(20):
            await store.commit([], [Put("a", b"%d" % n)])
        values: list[bytes | None] = []
        while len(values) < 20:
            events = await watched(store, "", start, 1)
            values.append(events[0].value)
            start = events[0].revision
        assert values == [b"%d" % n for n in range(20)]

    async def test_a_revision_from_before_the_store_was_opened_is_compacted(self, connect: Callable[[], Store]) -> None:
        """Stores that keep their past may go on from it instead."""
        store = connect()
        await store.open()
        old = await store.commit([], [Put("a", b"1")])
        new = await store.commit([], [Put("a", b"2")])
        await store.close()
        store = connect()
        await store.open()
        try:
            events = await watched(store, "", old, 1)
        except Compacted:
            pass
        else:
            assert events == [Event("a", b"2", new)]
        newest = await store.commit([], [Put("a", b"3")])
        assert await watched(store, "", new, 1) == [Event("a", b"3", newest)]
        await store.close()


class TestClose:
    async def test_finishes_what_was_accepted(self, connect: Callable[[], Store]) -> None:
        store = connect()
        await store.open()
        tasks = [asyncio.create_task(store.commit([], [Put(f"k{n:03}", b"")])) for n in range(500)]
        await asyncio.sleep(0)  # each has begun
        await store.close()
        assert len({await task for task in tasks}) == 500
        store = connect()
        await store.open()
        assert await listed(store, "k") == [f"k{n:03}" for n in range(500)]
        await store.close()

    async def test_ends_watches_after_the_last_event(self, connect: Callable[[], Store]) -> None:
        store = connect()
        await store.open()
        start = (await store.list("")).revision
        seen: list[str] = []

        async def follow() -> None:
            async for batch in store.watch("", start):
                seen.extend(event.key for event in batch)

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        committing = asyncio.create_task(store.commit([], [Put("last", b"")]))
        await asyncio.sleep(0)
        await store.close()
        await committing
        with pytest.raises(Unavailable):
            await asyncio.wait_for(following, 60)
        assert seen == ["last"]

    async def test_nothing_works_before_and_after(self, connect: Callable[[], Store]) -> None:
        store = connect()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await store.get("a")
            with pytest.raises(Unavailable):
                await store.list("")
            with pytest.raises(Unavailable):
                await store.commit([], [Put("a", b"")])
            with pytest.raises(Unavailable):
                await anext(store.watch("", 0))
            await store.open()
            await store.close()

    async def test_twice(self, connect: Callable[[], Store]) -> None:
        store = connect()
        await store.open()
        await store.close()
        await store.close()
