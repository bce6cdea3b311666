"""What befalls etcd alone: compaction, a used up quota, members of a cluster that fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

from dkronpy.store.contract import (
    Compacted,
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
from tests.support.machine import measured
from tests.support.proxy import Proxy
from tests.support.servers import CALM
from tests.support.store_faults import WITHIN, Follower, Writers, opened, soon

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


def connected(*machines: str, timeout: float = CALM) -> AbstractAsyncContextManager[Store]:
    return opened(EtcdStore(machines, timeout=timeout, patience=WITHIN))


def hasty(members: Sequence[Etcd]) -> AbstractAsyncContextManager[Store]:
    """Goes on with the next of these members as soon as one does not answer."""
    return connected(*(member.address for member in members), timeout=2.0)


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
            with pytest.raises(Compacted):
                await anext(store.watch("", old))

    async def test_while_a_watch_is_away(self, etcd: Etcd) -> None:
        async with Proxy(etcd.address) as proxy, connected(proxy.address) as store, connected(etcd.address) as other:
            follower = await Follower.of(store)
            await follower.reach(await soon(store))
            proxy.refusing = True
            proxy.cut()
            revisions = [await other.commit([], [Put("a", b"")]) for _ in range(3)]
            etcd.compact(revisions[-1])
            proxy.refusing = False
            await follower.compacted()

    async def test_a_watch_that_keeps_up_does_not_mind(self, etcd: Etcd) -> None:
        async with connected(etcd.address) as store:
            follower = await Follower.of(store)
            for n in range(50):
                revision = await store.commit([], [Put("a", b"%d" % n)])
                if n % 10 == 9:
                    await follower.reach(revision)
                    etcd.compact(revision)
            assert [event.value for event in follower.events] == [b"%d" % n for n in range(50)]
            await follower.stop()


async def test_space_is_used_up(tmp_path: Path) -> None:
    with Etcd(tmp_path, "--quota-backend-bytes", str(4 << 20)) as etcd:
        async with connected(etcd.address) as store:
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
        async with hasty(cluster) as store:
            follower, writers = await Follower.of(store), Writers(store)
            await writers.work()
            cluster[0].kill()
            began = time.monotonic()
            with measured() as machine:
                await soon(store)
                took = time.monotonic() - began
            assert took < machine.allowed(12)
            await writers.work(1)
            await writers.stop()
            async with connected(cluster[1].address) as other:
                await writers.check(other)
                await follower.check(other)
            await follower.stop()

    async def test_the_member_in_use_hangs(self, cluster: Sequence[Etcd]) -> None:
        async with hasty(cluster) as store:
            follower, writers = await Follower.of(store), Writers(store)
            await writers.work()
            cluster[0].pause()
            began = time.monotonic()
            with measured() as machine:
                await soon(store)
                took = time.monotonic() - began
            assert took < machine.allowed(12)
            await writers.work(1)
            await writers.stop()
            cluster[0].resume()
            await asyncio.to_thread(cluster[0].wait_ready)
            async with connected(cluster[0].address) as other:
                await writers.check(other)
                await follower.check(other)
            await follower.stop()

    async def test_the_member_of_a_watch_hangs(self, cluster: Sequence[Etcd]) -> None:
        """Nothing else is asked of it that would show that it does."""
        async with hasty(cluster) as store, connected(cluster[1].address) as other:
            follower = await Follower.of(store)
            await follower.reach(await soon(other))
            cluster[0].pause()
            await follower.reach(await soon(other, "again"))
            await follower.stop()

    async def test_a_member_without_a_majority_is_no_use(self, cluster: Sequence[Etcd]) -> None:
        async with hasty(cluster) as store:
            for member in cluster[1:]:
                member.kill()
            async with asyncio.timeout(WITHIN):
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
