"""What befalls ZooKeeper alone: a trimmed log, a tree that others change, a quota, members of an ensemble that fail."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING

import pytest

from dkronpy.store import zookeeper_tree as tree
from dkronpy.store.contract import (
    Compacted,
    Conflict,
    Delete,
    Entry,
    Event,
    Guard,
    OutcomeUnknown,
    Put,
    StoreFull,
    Unavailable,
)
from dkronpy.store.zookeeper import ZooKeeperStore
from dkronpy.store.zookeeper_replica import Replica
from dkronpy.store.zookeeper_session import Lost
from tests.support.machine import measured
from tests.support.proxy import Proxy
from tests.support.servers import CALM, shared
from tests.support.store_faults import WITHIN, Follower, Writers, opened, soon, wait_for
from tests.support.zookeeper import ZooKeeper, running_ensemble

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dkronpy.store.contract import Store


@pytest.fixture
def server() -> ZooKeeper:
    """The server of all such tests, empty."""
    server = shared(ZooKeeper)
    server.clear()
    return server


@pytest.fixture
def short_log(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many batches are kept."""
    monkeypatch.setattr(tree, "LOG_NODES", 30)
    return 30


async def test_a_machine_that_is_slow_as_the_store_is_opened_is_asked_again(
    server: ZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, tries = Replica.open, itertools.count(1)

    async def slow(replica: Replica) -> None:
        if next(tries) < 3:
            raise Lost("ZooKeeper did not answer within 2 s")
        await read(replica)

    monkeypatch.setattr(Replica, "open", slow)
    async with connected(server.address) as store:
        assert await store.get("nothing") is None
    assert next(tries) == 4


def connected(*machines: str, timeout: float = CALM) -> AbstractAsyncContextManager[Store]:
    return opened(ZooKeeperStore(machines, timeout=timeout, patience=WITHIN))


def hasty(members: Sequence[ZooKeeper]) -> AbstractAsyncContextManager[Store]:
    """Goes on with the next of these members as soon as one does not answer."""
    return connected(*(member.address for member in members), timeout=1.0)


class TestLog:
    async def test_it_is_trimmed(self, server: ZooKeeper, short_log: int) -> None:
        """A lease that is renewed for ever leaves nothing behind."""
        async with connected(server.address) as store:
            first = revision = await store.commit([], [Put("lease", b"")])
            for _ in range(3 * short_log):
                revision = await store.commit([Guard("lease", revision)], [Put("lease", b"")])
            assert revision == first + 3 * short_log
            assert await store.get("lease") == Entry("lease", b"", revision)
            with pytest.raises(Compacted):
                await anext(store.watch("", first))
            assert await anext(store.watch("", revision - 5))
        with server.client() as client:
            assert len(client.get_children(tree.LOG)) == short_log

    async def test_it_is_trimmed_by_size(self, server: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tree, "LOG_BYTES", 100_000)
        async with connected(server.address) as store:
            for _ in range(30):
                await store.commit([], [Put("a", bytes(20_000))])
        with server.client() as client:
            assert len(client.get_children(tree.LOG)) == 5

    async def test_trimmed_while_a_watch_is_away(self, server: ZooKeeper, short_log: int) -> None:
        async with (
            Proxy(server.address) as proxy,
            connected(proxy.address) as store,
            connected(server.address) as other,
        ):
            follower = await Follower.of(store)
            await follower.reach(await soon(store))
            kept = await store.commit([], [Put("a", b"0"), Put("gone", b"")])
            proxy.refusing = True
            proxy.cut()
            last = await other.commit([], [Delete("gone")])
            for n in range(2 * short_log):
                last = await other.commit([], [Put("a", b"%d" % n), Put(f"b/{n:02}", b"")])
            proxy.refusing = False
            await follower.compacted()
            # Its image has been read anew.
            with pytest.raises(Conflict):
                await store.commit([Guard("a", kept)], [Put("a", b"")])
            assert len((await store.list("b/")).entries) == 2 * short_log
            newest = await store.commit([Guard("a", last), Guard("gone", 0)], [Put("a", b"new")])
            assert newest == last + 1
            assert await anext(store.watch("", last)) == [Event("a", b"new", newest)]

    async def test_a_watch_goes_on_after_many_changes(self, server: ZooKeeper) -> None:
        async with (
            Proxy(server.address) as proxy,
            connected(proxy.address) as store,
            connected(server.address) as other,
        ):
            follower = await Follower.of(store)
            await follower.reach(await soon(store))
            proxy.refusing = True
            proxy.cut()
            for n in range(300):
                await other.commit([], [Put("a", b"%d" % n)])
            proxy.refusing = False
            await follower.check(other)
            await follower.stop()


class TestGuards:
    async def test_a_key_that_was_made_again(self, server: ZooKeeper) -> None:
        """Its node has the versions that it had before; nobody is deceived."""
        async with connected(server.address) as store, connected(server.address) as other:
            old = await store.commit([], [Put("a", b"1")])
            for value in (b"1", b"2", b"1"):
                await other.commit([], [Delete("a")])
                new = await other.commit([], [Put("a", value)])
                with pytest.raises(Conflict):
                    await store.commit([Guard("a", old)], [Put("a", b"")])
            assert await store.commit([Guard("a", new)], [Put("a", b"3")]) == new + 1

    async def test_of_keys_that_this_connection_never_saw(self, server: ZooKeeper) -> None:
        async with connected(server.address) as store:
            revisions = [await store.commit([], [Put(f"{n}", b"")]) for n in range(5)]
            server_side = [await store.commit([], [Put("last", b"")])]
        async with connected(server.address) as store:
            guards = [Guard(f"{n}", revision) for n, revision in enumerate(revisions)]
            with pytest.raises(Conflict) as caught:
                await store.commit([*guards[:3], Guard("3", 1)], [Put("a", b"")])
            assert caught.value.key == "3"
            assert await store.commit(guards, [Put("a", b"")]) > server_side[0]


class TestOutcomes:
    async def test_a_commit_whose_answer_is_lost_is_looked_up(self, server: ZooKeeper) -> None:
        async with (
            Proxy(server.address) as proxy,
            connected(proxy.address) as store,
            connected(server.address) as other,
        ):
            for n in range(3):
                proxy.hold_answers()
                committing = asyncio.create_task(store.commit([Guard(f"{n}", 0)], [Put(f"{n}", b"")]))

                async def arrived(key: str = f"{n}") -> bool:
                    return await other.get(key) is not None

                await wait_for(arrived)
                proxy.cut()
                assert await committing == (await other.list("")).revision

    async def test_a_commit_that_was_not_answered_in_time(self, server: ZooKeeper) -> None:
        async with Proxy(server.address) as proxy, connected(proxy.address, timeout=1.0) as store:
            proxy.hold_answers()
            with pytest.raises(OutcomeUnknown, match="did not answer a commit"):
                await store.commit([], [Put("a", b"")])
            proxy.release_answers()
            await soon(store)

    async def test_a_quota_is_used_up(self, tmp_path: Path) -> None:
        with ZooKeeper(tmp_path, enforceQuota="true") as server:
            async with connected(server.address) as store:
                await store.commit([], [Put("a", b"1")])
                with server.client() as client:
                    folder = f"/zookeeper/quota{tree.ROOT}"
                    client.ensure_path(folder)
                    client.create(
                        f"{folder}/zookeeper_limits", b"count=-1,bytes=-1=;byteHardLimit=50000;countHardLimit=-1"
                    )
                    client.create(f"{folder}/zookeeper_stats", b"count=0,bytes=0")
                written = 0
                with suppress(StoreFull):
                    while True:
                        await store.commit([], [Put(f"b/{written}", bytes(10_000))])
                        written += 1
                assert 1 <= written < 4
                assert len((await store.list("b/")).entries) == written
                with pytest.raises(StoreFull, match="setquota"):
                    await store.commit([], [Put("b/more", bytes(10_000))])
                with server.client() as client:
                    client.set(f"{folder}/zookeeper_limits", b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=-1")
                await store.commit([], [Put("a", b"2")])

    async def test_somebody_changes_the_tree_by_hand(self, server: ZooKeeper) -> None:
        async with connected(server.address) as store:
            await store.commit([], [Put("a", b"1"), Put("b", b"1")])
            with server.client() as client:
                client.delete(tree.key_path("a"))
                client.create(tree.key_path("c"), b"1\nx")
            with pytest.raises(Unavailable, match="something else has changed /dkronpy"):
                await store.commit([], [Put("a", b"2")])
            await store.commit([Guard("a", 0)], [Put("a", b"3"), Put("c", b"3")])
            assert [entry.value for entry in (await store.list("")).entries] == [b"3", b"1", b"3"]
            with server.client() as client:
                client.delete(tree.key_path("b"))
            with pytest.raises(Unavailable, match="something else has changed /dkronpy"):
                await store.list("")
            assert [entry.key for entry in (await store.list("")).entries] == ["a", "c"]


async def test_many_servers_write_at_once(server: ZooKeeper) -> None:
    """None of them starves: all go on until the last has made its tenth commit."""
    steps: Counter[str] = Counter()

    async def write(store: Store, writer: str) -> None:
        steps[writer] = 0
        while min(steps.values()) < 10:
            key = f"{writer}/{steps[writer]}"
            await store.commit([Guard(key, 0)], [Put(key, b"")])
            steps[writer] += 1

    async with connected(server.address) as a, connected(server.address) as b, connected(server.address) as c:
        follower = await Follower.of(a)
        busy = [write(a, f"a{n}") for n in range(16)] + [write(c, f"c{n}") for n in range(8)]
        async with asyncio.timeout(WITHIN):
            await asyncio.gather(write(b, "b"), *busy)
        await follower.check(b)
        await follower.stop()


class TestEnsemble:
    @pytest.fixture
    def members(self, tmp_path: Path) -> Iterator[Sequence[ZooKeeper]]:
        """Three."""
        with running_ensemble(tmp_path, 3) as members:
            yield members

    async def suffer(self, members: Sequence[ZooKeeper], *, pause: bool) -> None:
        """The member that leads is taken from under a store that uses it, for a while."""
        leader = next(member for member in members if member.leads())
        addresses = [leader.address, *(member.address for member in members if member is not leader)]
        async with connected(*addresses, timeout=1.0) as store, connected(*addresses[1:], timeout=1.0) as other:
            follower, writers = await Follower.of(store), Writers(store)
            await writers.work()
            (leader.pause if pause else leader.kill)()
            began = time.monotonic()
            with measured() as machine:
                await soon(other, "first")
                await soon(store)
                took = time.monotonic() - began
            assert took < machine.allowed(10)
            if pause:
                leader.resume()
            else:
                await asyncio.to_thread(leader.start)
            await writers.work(1)
            await writers.stop()
            await writers.check(other)
            await follower.check(other)
            await follower.stop()
        await asyncio.to_thread(leader.wait_ready)

    async def test_the_leader_is_killed(self, members: Sequence[ZooKeeper]) -> None:
        await self.suffer(members, pause=False)

    async def test_the_leader_hangs(self, tmp_path: Path) -> None:
        with running_ensemble(tmp_path, 3, patience=4) as members:
            await self.suffer(members, pause=True)

    async def test_reads_at_another_member_are_as_new(self, members: Sequence[ZooKeeper]) -> None:
        async with connected(members[0].address) as store, connected(members[1].address) as other:
            for n in range(100):
                revision = await store.commit([], [Put("a", b"%d" % n)])
                assert await other.get("a") == Entry("a", b"%d" % n, revision)
                assert (await other.list("")).revision == revision

    async def test_without_a_majority(self, members: Sequence[ZooKeeper]) -> None:
        async with hasty(members) as store:
            for member in members[1:]:
                member.kill()
            with pytest.raises((Unavailable, OutcomeUnknown)):
                await store.commit([], [Put("a", b"")])
            with pytest.raises(Unavailable):
                await store.get("a")
            for member in members[1:]:
                await asyncio.to_thread(member.start)
            await soon(store)
