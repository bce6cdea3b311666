"""What befalls Redis alone: a trimmed stream, used up memory, a failover, commits that it lost."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from dkronpy.store import redis_data
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
from dkronpy.store.redis import RedisStore
from tests.support.processes import until
from tests.support.proxy import Proxy
from tests.support.redis import Redis, Sentinel, running_pair
from tests.support.servers import CALM
from tests.support.store_faults import Follower, Writers, opened, soon, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A server of this test's own."""
    with Redis(tmp_path) as server:
        yield server


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Redis, Redis]]:
    """A master and its replica."""
    with running_pair(tmp_path) as servers:
        yield servers


class TestTrimming:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(redis_data, "MARK_BYTES", 1000)
        monkeypatch.setattr(redis_data, "MARKS_KEPT", 3)

    async def test_a_revision_that_is_no_longer_kept(self, redis: Redis) -> None:
        async with opened(redis.store()) as store:
            revisions = [await store.commit([], [Put("a", b"%d" % n)]) for n in range(200)]
            assert 20 < redis.count("XLEN", redis_data.CHANGES) < 50
            assert redis.count("LLEN", redis_data.MARKS) == 3
            with pytest.raises(Compacted):
                await anext(store.watch("", revisions[100]))
            assert (await anext(store.watch("", revisions[180])))[0] == Event("a", b"181", revisions[181])

    async def test_values_count(self, redis: Redis) -> None:
        async with opened(redis.store()) as store:
            for n in range(50):
                await store.commit([], [Put(f"{n}", bytes(5000))])
            assert redis.count("XLEN", redis_data.CHANGES) < 6

    async def test_while_a_watch_is_away(self, redis: Redis) -> None:
        async with Proxy(redis.address) as proxy, opened(redis.store(proxy.address)) as store:
            follower = await Follower.of(store)
            await follower.reach(await soon(store))
            proxy.refusing = True
            proxy.cut()
            async with opened(redis.store()) as other:
                for _ in range(200):
                    await other.commit([], [Put("a", b"")])
            proxy.refusing = False
            await follower.compacted()

    async def test_watches_that_keep_up_do_not_mind(self, redis: Redis) -> None:
        async with opened(redis.store()) as store, opened(redis.store()) as other:
            followers = [await Follower.of(each) for each in (store, store, other)]
            for n in range(100):
                revision = await store.commit([], [Put("a", b"%d" % n)])
                if n % 10 == 9:
                    for follower in followers:
                        await follower.reach(revision)
            for follower in followers:
                assert [event.value for event in follower.events] == [b"%d" % n for n in range(100)]
                await follower.stop()


async def test_memory_is_used_up(tmp_path: Path) -> None:
    with Redis(tmp_path, "--maxmemory", "6mb", "--maxmemory-policy", "noeviction") as redis:
        async with opened(redis.store()) as store:
            told: dict[str, int | StoreError] = {}

            async def write(number: int) -> None:
                for step in range(200):
                    key = f"{number}/{step}"
                    try:
                        told[key] = await store.commit([Guard(key, 0)], [Put(key, bytes(20_000))])
                    except StoreError as error:
                        told[key] = error
                        return

            await asyncio.gather(*(write(number) for number in range(8)))
            assert sum(isinstance(outcome, StoreFull) for outcome in told.values()) == 8
            for key, outcome in told.items():
                entry = await store.get(key)
                assert (entry.revision if entry else None) == (outcome if isinstance(outcome, int) else None)
            redis.call("CONFIG", "SET", "maxmemory", "1mb")
            with pytest.raises(StoreFull, match="raise maxmemory"):
                await store.commit([], [Put("more", b"x")])
            redis.call("CONFIG", "SET", "maxmemory", "100mb")
            await store.commit([], [Put("more", b"x")])


async def test_the_disk_refuses(redis: Redis) -> None:
    """Nothing is written, and that is said."""
    async with opened(redis.store()) as store:
        (redis.folder / "dump.rdb").mkdir()  # nothing can be renamed to it
        redis.call("CONFIG", "SET", "save", "900 1")
        redis.call("BGSAVE")
        until(lambda: "rdb_last_bgsave_status:err" in redis.call("INFO"), 60, "saving fails")
        with pytest.raises(Unavailable, match="MISCONF"):
            await store.commit([], [Put("a", b"1")])
        assert await store.get("a") is None


async def test_replicas_are_missing(redis: Redis) -> None:
    redis.call("CONFIG", "SET", "min-replicas-to-write", "1")
    async with opened(redis.store()) as store:
        with pytest.raises(Unavailable, match="NOREPLICAS"):
            await store.commit([], [Put("a", b"1")])
        assert await store.get("a") is None


async def test_scripts_are_forgotten(redis: Redis) -> None:
    async with opened(redis.store()) as store:
        await store.commit([], [Put("a", b"1")])
        redis.call("SCRIPT", "FLUSH")
        await store.commit([], [Put("a", b"2")])
        redis.call("SCRIPT", "FLUSH")
        assert len((await store.list("")).entries) == 1


async def test_everything_is_deleted(redis: Redis) -> None:
    async with opened(redis.store()) as store, opened(redis.store()) as other:
        epoch = await store.commit([], [Put("epoch", b"")])
        follower = await Follower.of(store)
        await follower.reach(await soon(store))
        redis.clear()
        with pytest.raises(Conflict):
            await store.commit([Guard("epoch", epoch)], [Put("a", b"")])
        again = await other.commit([Guard("epoch", 0)], [Put("epoch", b"")])
        assert again > epoch
        await follower.compacted()


async def test_an_older_backup_is_restored(redis: Redis) -> None:
    async with opened(redis.store()) as store:
        kept = await store.commit([], [Put("a", b"1")])
        follower = await Follower.of(store)
        redis.stop()
        data, backup = redis.folder / "appendonlydir", redis.folder / "backup"
        shutil.copytree(data, backup)
        redis.start()
        await follower.reach(await soon(store))
        redis.stop()
        shutil.rmtree(data)
        backup.rename(data)
        redis.start()
        await follower.compacted()
        assert (await store.list("")).revision == kept


async def test_watches_go_where_commits_go(redis: Redis, tmp_path: Path) -> None:
    """Not that a watch stays with a machine that others no longer use."""
    (tmp_path / "other").mkdir()
    with Redis(tmp_path / "other") as other:
        store = RedisStore([redis.address, other.address])
        async with opened(store):
            follower = await Follower.of(store)
            machines = store._log().machines

            async def follows() -> bool:
                return sum(wire.broken is None for wire in machines._wires) == 2

            await wait_for(follows)
            await follower.reach(await soon(store))
            machines.leave(await machines.wire(), "a test")
            await soon(store)
            await follower.compacted()
            async with opened(other.store()) as reading:
                assert await reading.get("works")


class TestFailover:
    async def test_by_hand(self, pair: tuple[Redis, Redis]) -> None:
        master, replica = pair
        async with opened(RedisStore([server.address for server in pair], timeout=CALM)) as store:
            follower, writers = await Follower.of(store), Writers(store)
            await writers.work(1)
            await writers.stop()
            replica.catch_up(master)
            master.kill()

            async def noticed() -> bool:
                """Before, the outcome is unknown."""
                with pytest.raises((Unavailable, OutcomeUnknown)) as caught:
                    await store.commit([], [Put("a", b"")])
                return isinstance(caught.value, Unavailable) and "it is a slave" in str(caught.value)

            await wait_for(noticed)
            replica.follow(None)
            await soon(store)
            async with opened(replica.store()) as other:
                await writers.check(other)
                await follower.check(other)
            await follower.stop()

    async def test_a_master_that_is_none_any_more(self, pair: tuple[Redis, Redis]) -> None:
        master, replica = pair
        async with opened(RedisStore([server.address for server in pair], timeout=CALM)) as store:
            follower = await Follower.of(store)
            await soon(store)
            replica.catch_up(master)
            replica.follow(None)
            master.follow(replica)
            await store.commit([Guard("a", 0)], [Put("a", b"1")])
            async with opened(replica.store()) as other:
                assert await other.get("a")
                await follower.check(other)
            await follower.stop()

    async def test_commits_that_are_lost(self, pair: tuple[Redis, Redis]) -> None:
        """What a replica had not got when it became the master. Watches end, and no guard holds for what is gone."""
        master, replica = pair
        async with opened(RedisStore([server.address for server in pair], timeout=CALM)) as store:
            kept = await store.commit([], [Put("epoch", b"1")])
            replica.catch_up(master)
            follower = await Follower.of(store)
            replica.follow(None)
            lost = await store.commit([Guard("epoch", kept)], [Put("epoch", b"2")])
            await follower.reach(lost)
            master.kill()
            async with opened(replica.store()) as other:
                await other.commit([Guard("epoch", kept)], [Put("epoch", b"3"), Delete("works")])
            await follower.compacted()
            with pytest.raises(Compacted):
                await anext(store.watch("", lost))
            with pytest.raises(Conflict):
                await store.commit([Guard("epoch", lost)], [Put("a", b"")])

    async def test_by_a_sentinel(self, pair: tuple[Redis, Redis], tmp_path: Path) -> None:
        master, replica = pair
        with Sentinel(tmp_path, master) as sentinel:
            until(lambda: "slaves=1" in sentinel.call("INFO", "sentinel"), 60, "the Sentinel knows the replica")
            address = f"sentinel://{sentinel.address}/mymaster"
            async with opened(RedisStore([address], timeout=CALM)) as store:
                follower = await Follower.of(store)
                await soon(store)
                replica.catch_up(master)
                sentinel.hurry()
                master.kill()
                await soon(store)
                async with opened(replica.store()) as other:
                    await follower.check(other)
                await follower.stop()
