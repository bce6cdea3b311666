"""What befalls Consul alone: a trimmed log of changes, large commits, a full disk, members of a cluster that fail."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import TYPE_CHECKING

import pytest

from dkronpy.store import consul_log
from dkronpy.store.consul import ConsulStore
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
from tests.support.consul import Consul, running_cluster
from tests.support.machine import measured
from tests.support.proxy import Proxy
from tests.support.servers import CALM, shared
from tests.support.store_faults import WITHIN, Follower, Writers, opened, soon

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dkronpy.store.contract import Store


def connected(*machines: str, timeout: float = CALM) -> AbstractAsyncContextManager[Store]:
    return opened(ConsulStore(machines, timeout=timeout, patience=WITHIN))


def hasty(members: Sequence[Consul]) -> AbstractAsyncContextManager[Store]:
    """Goes on with the next of these members as soon as one does not answer."""
    return connected(*(member.address for member in members), timeout=2.0)


@pytest.fixture
def consul() -> Consul:
    """Empty."""
    server = shared(Consul)
    server.clear()
    return server


def kept(consul: Consul, folder: str) -> list[str]:
    """The keys of the log."""
    try:
        return consul.call("GET", f"kv/{consul_log.ROOT}{folder}/?keys")
    except OSError:  # there is none
        return []


class TestLog:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consul_log, "FULL_ENTRIES", 5)
        monkeypatch.setattr(consul_log, "KEPT", 3)

    async def test_it_is_trimmed(self, consul: Consul) -> None:
        async with connected(consul.address) as store:
            follower = await Follower.of(store)
            revisions = [await store.commit([], [Put("a", b"%d" % n)]) for n in range(60)]
            assert len(kept(consul, "log")) <= 3 * 7
            with pytest.raises(Compacted):
                await anext(store.watch("", revisions[30]))
            assert (await anext(store.watch("", revisions[50])))[0] == Event("a", b"51", revisions[51])
            await follower.reach(revisions[-1])
            assert [event.revision for event in follower.events] == revisions
            await follower.stop()

    async def test_everything_is_told_until_something_is_trimmed(self, consul: Consul) -> None:
        async with connected(consul.address) as store:
            revisions = [await store.commit([], [Put("a", b"%d" % n)]) for n in range(12)]
        async with connected(consul.address) as store:
            assert [event.revision for event in await anext(store.watch("", 0))] == revisions

    async def test_by_those_who_come_and_go(self, consul: Consul) -> None:
        """None of them commits enough to fill a part of it."""
        for n in range(30):
            async with connected(consul.address) as store:
                await store.commit([], [Put("a", b"%d" % n)])
        assert len(kept(consul, "log")) <= 3 * 7

    async def test_while_several_write(self, consul: Consul) -> None:
        async with (
            connected(consul.address) as one,
            connected(consul.address) as two,
            connected(consul.address) as other,
        ):
            follower = await Follower.of(other)
            commits = [store.commit([], [Put(f"{n}", b"")]) for store in (one, two) for n in range(60)]
            revisions = sorted(await asyncio.gather(*commits))
            await follower.reach(revisions[-1])
            assert [event.revision for event in follower.events] == revisions
            await follower.stop()

    async def test_while_a_watch_is_away(self, consul: Consul) -> None:
        async with (
            Proxy(consul.address) as proxy,
            connected(proxy.address) as store,
            connected(consul.address) as other,
        ):
            follower = await Follower.of(store)
            await follower.reach(await soon(store))
            proxy.refusing = True
            proxy.cut()
            for _ in range(40):
                await other.commit([], [Put("a", b"")])
            proxy.refusing = False
            await follower.compacted()

    async def test_large_commits(self, consul: Consul) -> None:
        """Their changes are kept aside, until the part of the log that tells of them is trimmed."""
        async with connected(consul.address) as store:
            start = (await store.list("")).revision
            revisions = [await store.commit([], [Put("a", b"%d" % n * 250_000)]) for n in range(2)]
            assert len(kept(consul, "large")) == 2
            events: list[Event] = []
            watch = store.watch("", start)
            assert isinstance(watch, AsyncGenerator)
            async with asyncio.timeout(WITHIN), aclosing(watch):
                while len(events) < 2:
                    events += await anext(watch)
            assert events == [Event("a", b"%d" % n * 250_000, revisions[n]) for n in range(2)]
            for _ in range(30):
                await store.commit([], [Put("b", b"")])
            assert kept(consul, "large") == []
            with pytest.raises(Compacted):
                await anext(store.watch("", start))


async def test_a_key_that_two_delete_is_deleted_once(consul: Consul) -> None:
    async with connected(consul.address) as one, connected(consul.address) as two:
        follower = await Follower.of(one)
        gone = 0
        for n in range(40):
            start = await one.commit([], [Put("a", b""), Put("b", b"")])
            deletions = [store.commit([], [Delete("a"), Put(f"{n}", b"")]) for store in (one, two)]
            gone = max(await asyncio.gather(*deletions))
            late = Follower(two, start)
            await late.reach(gone)
            assert [event.key for event in late.events].count("a") == 1
            await late.stop()
        await follower.reach(gone)
        assert sum(event.value is None for event in follower.events) == 40
        await follower.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 32 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "none", disk], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"NOT TESTED what happens on a full disk: a tmpfs can't be mounted ({mount.stderr.strip()})")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


async def test_the_disk_is_full(small_disk: Path) -> None:
    with Consul(small_disk) as consul:
        async with connected(consul.address) as store:
            told: dict[str, int | StoreError] = {}
            filler = small_disk / "filler"
            with filler.open("ab", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(4096))
            async with asyncio.timeout(WITHIN):
                while not any(isinstance(outcome, StoreFull) for outcome in told.values()):
                    key = f"k{len(told)}"
                    try:
                        told[key] = await store.commit([Guard(key, 0)], [Put(key, bytes(100_000))])
                    except StoreError as error:
                        told[key] = error
            filler.unlink()
            await soon(store)
            for key, outcome in told.items():
                entry = await store.get(key)
                if isinstance(outcome, int):
                    assert entry is not None
                    assert entry.revision == outcome
                elif not isinstance(outcome, OutcomeUnknown):
                    assert entry is None


class TestCluster:
    @pytest.fixture
    def cluster(self, tmp_path: Path) -> Iterator[Sequence[Consul]]:
        """Three servers."""
        with running_cluster(tmp_path, 3) as members:
            yield members

    @pytest.mark.parametrize("how", ["killed", "hangs"])
    async def test_the_leader_in_use_fails(self, cluster: Sequence[Consul], how: str) -> None:
        leader = cluster[0].call("GET", "status/leader")
        members = sorted(cluster, key=lambda member: member.server != leader)
        async with hasty(members) as store:
            follower, writers = await Follower.of(store), Writers(store)
            await writers.work()
            if how == "killed":
                members[0].kill()
            else:
                members[0].pause()
            began = time.monotonic()
            with measured() as machine:
                await soon(store)
                took = time.monotonic() - began
            assert took < machine.allowed(12)
            await writers.work(1)
            await writers.stop()
            if how == "hangs":
                members[0].resume()
            async with connected(members[1].address) as other:
                await writers.check(other)
                await follower.check(other)
            await follower.stop()

    async def test_a_member_without_a_majority_is_no_use(self, cluster: Sequence[Consul]) -> None:
        async with hasty(cluster) as store:
            for member in cluster[1:]:
                member.kill()
            async with asyncio.timeout(WITHIN):
                while True:
                    try:
                        await store.commit([], [Put("a", b"")])
                    except OutcomeUnknown:
                        continue
                    except Unavailable:
                        break
            with pytest.raises(Unavailable):
                await store.get("a")
            cluster[1].start()
            await soon(store)
