"""What befalls a shared store or the way to it: no commit that was answered is lost, none happens twice, no watch has a
gap."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from dkronpy.store.contract import Conflict, Guard, OutcomeUnknown, Put, StoreError, Unavailable
from tests.support.machine import measured
from tests.support.proxy import Proxy
from tests.support.store_faults import WITHIN, Follower, Writers, opened, soon, wait_for
from tests.support.stores import SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import StoreServer


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreServer]:
    """A server of this test's own."""
    with SERVERS[request.param](tmp_path) as server:
        yield server


@pytest.mark.timeout(300)  # a server in Java, started three times, may take that long where others work too
@pytest.mark.parametrize("down", [0.0, 1.5])
async def test_the_server_is_killed_and_started_again(server: StoreServer, down: float) -> None:
    async with opened(server.store(timeout=server.quick)) as store, opened(server.store()) as other:
        follower, writers = await Follower.of(store), Writers(store)
        for _ in range(2):
            await writers.work()
            server.kill()
            await asyncio.sleep(down)
            await asyncio.to_thread(server.start)
            await soon(store)
        await writers.work(1)
        noticed = bool(writers.refused or writers.unknown)
        await writers.stop()
        assert noticed or not down, "what is soon back may have been waited for"
        await writers.check(other)
        await follower.check(other)
        await follower.stop()


async def test_the_server_hangs(server: StoreServer) -> None:
    async with opened(server.store(timeout=server.quick)) as store:
        follower, writers = await Follower.of(store), Writers(store)
        await writers.work()
        server.pause()
        began = time.monotonic()
        told: list[StoreError] = []
        with measured() as machine:
            for key in ("paused", "late"):
                with pytest.raises((OutcomeUnknown, Unavailable)) as caught:
                    await store.commit([Guard(key, 0)], [Put(key, b"")])
                told.append(caught.value)
            with pytest.raises(Unavailable):
                await store.get("paused")
            took = time.monotonic() - began
        assert took < machine.allowed(4 * server.quick)
        server.resume()
        await soon(store)
        await writers.stop()
        async with opened(server.store()) as other:
            for key, error in zip(("paused", "late"), told, strict=True):
                assert isinstance(error, OutcomeUnknown) or await other.get(key) is None
            await writers.check(other)
            await follower.check(other)
        await follower.stop()


async def test_a_commit_whose_answer_is_lost(server: StoreServer) -> None:
    async with (
        Proxy(server.address) as proxy,
        opened(server.store(proxy.address, timeout=server.quick)) as store,
        opened(server.store()) as other,
    ):
        await soon(store)
        proxy.hold_answers()
        committing = asyncio.create_task(store.commit([Guard("a", 0)], [Put("a", b"1")]))

        async def arrived() -> bool:
            return await other.get("a") is not None

        await wait_for(arrived)
        proxy.cut()
        try:
            revision = await committing
        except OutcomeUnknown:
            pass
        else:  # the store has found out
            entry = await other.get("a")
            assert entry is not None
            assert entry.revision == revision
        with pytest.raises(Conflict):
            await store.commit([Guard("a", 0)], [Put("a", b"2")])


async def test_a_commit_that_can_not_be_sent(server: StoreServer) -> None:
    async with (
        Proxy(server.address) as proxy,
        opened(server.store(proxy.address, timeout=server.quick)) as store,
        opened(server.store()) as other,
    ):
        revision = (await other.list("")).revision
        proxy.refusing = True
        proxy.cut()

        async def noticed() -> bool:
            """Before, the outcome is unknown."""
            with pytest.raises((Unavailable, OutcomeUnknown)) as caught:
                await store.commit([], [Put("a", b"1")])
            return isinstance(caught.value, Unavailable)

        await wait_for(noticed)
        for _ in range(3):
            with pytest.raises(Unavailable, match=f"{proxy.address}"):
                await store.commit([], [Put("a", b"1")])
        assert (await other.list("")).revision == revision
        proxy.refusing = False
        assert await soon(store) > revision


async def test_cut_connections_under_load(server: StoreServer) -> None:
    async with (
        Proxy(server.address) as proxy,
        opened(server.store(proxy.address, timeout=server.quick)) as store,
        opened(server.store()) as other,
    ):
        follower, writers = await Follower.of(store), Writers(store)
        for _ in range(8):
            await writers.work()
            proxy.cut()
        await writers.work(1)
        await writers.stop()
        await writers.check(other)
        await follower.check(other)
        await follower.stop()


async def test_a_watch_that_can_not_go_on_ends(server: StoreServer) -> None:
    async with (
        Proxy(server.address) as proxy,
        opened(server.store(proxy.address, timeout=server.quick, patience=1.0)) as store,
    ):
        follower = await Follower.of(store)
        await soon(store)
        proxy.refusing = True
        proxy.cut()
        began = time.monotonic()
        with measured() as machine:
            with pytest.raises(Unavailable, match="could not go on for 1 s"):
                await asyncio.wait_for(follower.task, WITHIN)
            took = time.monotonic() - began
        assert 0.9 < took < machine.allowed(4)


async def test_two_clients_race_for_one_guard(server: StoreServer) -> None:
    async with opened(server.store()) as one, opened(server.store()) as other:
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
