"""What befalls etcd or the way to it: no commit that was answered is lost, none happens twice, no watch has a gap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from dkronpy.store.contract import (
    Compacted,
    Conflict,
    Delete,
    Event,
    Guard,
    OutcomeUnknown,
    Put,
    StoreError,
    StoreFull,
    Unavailable,
)
from dkronpy.store.etcd import EtcdStore
from tests.support.etcd import Etcd, running_cluster
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dkronpy.store.contract import Store


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    """A server of this test's own."""
    with Etcd(tmp_path) as server:
        yield server


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Sequence[Etcd]]:
    """Three members."""
    with running_cluster(tmp_path, 3) as members:
        yield members


@asynccontextmanager
async def connected(*machines: str, timeout: float = 1.0, patience: float = 10.0) -> AsyncGenerator[EtcdStore]:
    store = EtcdStore(machines, timeout=timeout, patience=patience)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def wait_for(look: Callable[[], Awaitable[bool]], within: float = 15) -> None:
    async with asyncio.timeout(within):
        while not await look():  # noqa: ASYNC110 -- what is waited for is in another process, or behind one
            await asyncio.sleep(0.01)


async def soon(store: Store, key: str = "works", *, within: float = 15) -> int:
    """The revision of a put, tried until it succeeds."""
    async with asyncio.timeout(within):
        while True:
            try:
                return await store.commit([], [Put(key, b"")])
            except (Unavailable, OutcomeUnknown):
                await asyncio.sleep(0.05)


class Writers:
    """Tasks that put one key after the other, each of which must be absent, and what they were told."""

    def __init__(self, store: Store, count: int = 8) -> None:
        self.answered: dict[str, int] = {}
        self.refused: set[str] = set()
        self.unknown: set[str] = set()
        self._store = store
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(count)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    async def _write(self, number: int) -> None:
        step = 0
        while True:
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
            page = await store.list("w/", after=after)
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
    """A watch from the beginning, and all that it has told."""

    def __init__(self, store: Store, prefix: str = "") -> None:
        self.events: list[Event] = []
        self.task = asyncio.create_task(self._follow(store, prefix))

    async def _follow(self, store: Store, prefix: str) -> None:
        async for batch in store.watch(prefix, 1):
            self.events += batch

    async def reach(self, revision: int) -> None:
        """Wait until it has told of `revision`."""

        async def told() -> bool:
            assert not self.task.done(), self.task
            return bool(self.events) and self.events[-1].revision >= revision

        await wait_for(told)

    async def check(self, other: Store) -> None:
        """It comes to tell exactly what a new watch over another connection tells."""
        end = await soon(other, "end")
        events: list[Event] = []
        watch = other.watch("", 1)
        assert isinstance(watch, AsyncGenerator)
        async with asyncio.timeout(20), aclosing(watch):
            async for batch in watch:
                events += batch
                if events[-1].revision >= end:
                    break
        await self.reach(end)
        assert self.events == events

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.mark.parametrize("down", [0.0, 1.5])
async def test_etcd_is_killed_and_started_again(etcd: Etcd, down: float) -> None:
    async with connected(etcd.address) as store, connected(etcd.address) as other:
        follower, writers = Follower(store), Writers(store)
        before = 0
        for _ in range(2):
            await asyncio.sleep(0.5)
            before = len(writers.answered)
            etcd.kill()
            await asyncio.sleep(down)
            await asyncio.to_thread(etcd.start)
            await soon(store)
        await asyncio.sleep(0.3)
        await writers.stop()
        assert writers.refused
        assert len(writers.answered) > before > 10
        await writers.check(other)
        await follower.check(other)
        await follower.stop()


async def test_etcd_hangs(etcd: Etcd) -> None:
    async with connected(etcd.address) as store:
        follower, writers = Follower(store), Writers(store)
        await asyncio.sleep(0.3)
        etcd.pause()
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await store.commit([], [Put("paused", b"")])
        with pytest.raises(Unavailable):  # nothing was sent: no new connection could be made
            await store.commit([Guard("late", 0)], [Put("late", b"")])
        with pytest.raises(Unavailable):
            await store.get("paused")
        assert time.monotonic() - began < 4
        etcd.resume()
        await soon(store)
        await writers.stop()
        async with connected(etcd.address) as other:
            assert await other.get("late") is None
            await writers.check(other)
            await follower.check(other)
        await follower.stop()


async def test_a_commit_whose_answer_is_lost(etcd: Etcd) -> None:
    async with Proxy(etcd.address) as proxy, connected(proxy.address) as store, connected(etcd.address) as other:
        proxy.hold_answers()
        committing = asyncio.create_task(store.commit([Guard("a", 0)], [Put("a", b"1")]))

        async def arrived() -> bool:
            return await other.get("a") is not None

        await wait_for(arrived)
        proxy.cut()
        with pytest.raises(OutcomeUnknown):
            await committing
        with pytest.raises(Conflict):
            await store.commit([Guard("a", 0)], [Put("a", b"2")])


async def test_a_commit_that_can_not_be_sent(etcd: Etcd) -> None:
    async with Proxy(etcd.address) as proxy, connected(proxy.address) as store, connected(etcd.address) as other:
        revision = etcd.revision()
        proxy.refusing = True
        proxy.cut()
        await asyncio.sleep(0.1)  # until the cut is noticed; before, the outcome would be unknown
        for _ in range(3):
            with pytest.raises(Unavailable, match=f"etcd can't be reached: {proxy.address}: "):
                await store.commit([], [Put("a", b"1")])
        assert (await other.list("")).revision == revision
        proxy.refusing = False
        assert await store.commit([], [Put("a", b"1")]) == revision + 1


async def test_cut_connections_under_load(etcd: Etcd) -> None:
    async with Proxy(etcd.address) as proxy, connected(proxy.address) as store, connected(etcd.address) as other:
        follower, writers = Follower(store), Writers(store)
        for _ in range(8):
            await asyncio.sleep(0.2)
            proxy.cut()
        await asyncio.sleep(0.2)
        await writers.stop()
        assert len(writers.answered) > 50
        await writers.check(other)
        await follower.check(other)
        await follower.stop()


async def test_a_watch_that_can_not_go_on_ends(etcd: Etcd) -> None:
    async with Proxy(etcd.address) as proxy, connected(proxy.address, patience=1.0) as store:
        follower = Follower(store)
        await soon(store)
        proxy.refusing = True
        proxy.cut()
        began = time.monotonic()
        with pytest.raises(Unavailable, match="could not go on for 1 s: etcd can't be reached"):
            await asyncio.wait_for(follower.task, 10)
        assert 0.9 < time.monotonic() - began < 4


class TestCompaction:
    async def test_a_revision_that_is_no_longer_kept(self, etcd: Etcd) -> None:
        async with connected(etcd.address) as store:
            revisions = [await store.commit([], [Put("a", b"%d" % n)]) for n in range(5)]
            etcd.compact(revisions[3])
            with pytest.raises(Compacted):
                await anext(store.watch("", revisions[2]))
            assert await anext(store.watch("", revisions[3])) == [Event("a", b"4", revisions[4])]

    async def test_a_deletion_that_is_compacted_is_not_passed_over(self, etcd: Etcd) -> None:
        async with connected(etcd.address) as store:
            old = await store.commit([], [Put("a", b"")])
            gone = await store.commit([], [Delete("a")])
            await store.commit([], [Put("b", b"")])
            etcd.compact(gone)
            await asyncio.sleep(0.2)  # it is carried out in the background
            with pytest.raises(Compacted):
                await anext(store.watch("", old))

    async def test_while_a_watch_is_away(self, etcd: Etcd) -> None:
        async with Proxy(etcd.address) as proxy, connected(proxy.address) as store, connected(etcd.address) as other:
            follower = Follower(store)
            await follower.reach(await soon(store))
            proxy.refusing = True
            proxy.cut()
            revisions = [await other.commit([], [Put("a", b"")]) for _ in range(3)]
            etcd.compact(revisions[-1])
            proxy.refusing = False
            with pytest.raises(Compacted):
                await asyncio.wait_for(follower.task, 10)

    async def test_a_watch_that_keeps_up_does_not_mind(self, etcd: Etcd) -> None:
        async with connected(etcd.address) as store:
            follower = Follower(store)
            for n in range(50):
                revision = await store.commit([], [Put("a", b"%d" % n)])
                if n % 10 == 9:
                    await follower.reach(revision)
                    etcd.compact(revision)
            assert [event.value for event in follower.events] == [b"%d" % n for n in range(50)]
            await follower.stop()


async def test_two_clients_race_for_one_guard(etcd: Etcd) -> None:
    async with connected(etcd.address) as one, connected(etcd.address) as other:
        revision = 0
        for n in range(50):
            results = await asyncio.gather(
                *(store.commit([Guard("epoch", revision)], [Put("epoch", b"%d" % n)]) for store in (one, other)),
                return_exceptions=True,
            )
            won = [result for result in results if isinstance(result, int)]
            assert len(won) == 1
            assert sum(isinstance(result, Conflict) for result in results) == 1
            revision = won[0]


async def test_space_is_used_up(tmp_path: Path) -> None:
    with Etcd(tmp_path, "--quota-backend-bytes", str(4 << 20)) as etcd:
        async with connected(etcd.address, timeout=5) as store:
            told: dict[str, int | StoreError] = {}

            async def write(number: int) -> None:
                for step in range(200):
                    key = f"{number}/{step}"
                    try:
                        told[key] = await store.commit([Guard(key, 0)], [Put(key, bytes(20_000))])
                    except StoreError as error:
                        told[key] = error
                        if isinstance(error, StoreFull):
                            return

            await asyncio.gather(*(write(number) for number in range(8)))
            full = [key for key, outcome in told.items() if isinstance(outcome, StoreFull)]
            assert len(full) == 8
            assert all(isinstance(outcome, (int, StoreFull, OutcomeUnknown)) for outcome in told.values())
            for key, outcome in told.items():
                entry = await store.get(key)
                if isinstance(outcome, StoreFull):
                    assert entry is None
                elif isinstance(outcome, int):
                    assert entry is not None
                    assert entry.revision == outcome
            with pytest.raises(StoreFull, match="defragment"):
                await store.commit([], [Put("more", b"x")])

            etcd.clear()
            etcd.compact(etcd.revision())
            etcd.call("maintenance/defragment")
            for alarm in etcd.call("maintenance/alarm", action="GET")["alarms"]:
                etcd.call("maintenance/alarm", action="DEACTIVATE", **alarm)
            await store.commit([], [Put("more", b"x")])


class TestCluster:
    async def test_the_member_in_use_is_killed(self, cluster: Sequence[Etcd]) -> None:
        async with connected(*(member.address for member in cluster)) as store:
            follower, writers = Follower(store), Writers(store)
            await asyncio.sleep(0.5)
            cluster[0].kill()
            began = time.monotonic()
            await soon(store)
            assert time.monotonic() - began < 6
            await asyncio.sleep(0.3)
            await writers.stop()
            async with connected(cluster[1].address) as other:
                await writers.check(other)
                await follower.check(other)
            await follower.stop()

    async def test_the_member_in_use_hangs(self, cluster: Sequence[Etcd]) -> None:
        async with connected(*(member.address for member in cluster)) as store:
            follower, writers = Follower(store), Writers(store)
            await asyncio.sleep(0.5)
            cluster[0].pause()
            began = time.monotonic()
            await soon(store)
            assert time.monotonic() - began < 6
            await asyncio.sleep(0.3)
            await writers.stop()
            cluster[0].resume()
            await asyncio.to_thread(cluster[0].wait_ready)
            async with connected(cluster[0].address) as other:
                await writers.check(other)
                await follower.check(other)
            await follower.stop()

    async def test_the_member_of_a_watch_hangs(self, cluster: Sequence[Etcd]) -> None:
        """Nothing else is asked of it that would show that it does."""
        async with connected(*(member.address for member in cluster)) as store, connected(cluster[1].address) as other:
            follower = Follower(store)
            await follower.reach(await soon(other))
            cluster[0].pause()
            await follower.reach(await soon(other, "again"))
            await follower.stop()

    async def test_a_member_without_a_majority_is_no_use(self, cluster: Sequence[Etcd]) -> None:
        async with connected(*(member.address for member in cluster)) as store:
            for member in cluster[1:]:
                member.kill()
            async with asyncio.timeout(15):
                while True:
                    try:
                        await store.commit([], [Put("a", b"")])
                    except OutcomeUnknown:
                        continue
                    except Unavailable as error:
                        if "no leader" in str(error):
                            break
            with pytest.raises(Unavailable):
                await store.get("a")
            cluster[1].start()
            await soon(store)
