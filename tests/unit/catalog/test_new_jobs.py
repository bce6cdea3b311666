"""A job that is new holds from later on than all that an earlier job of its name left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import Keys, encode
from dkronpy.catalog.mirror import Mirror
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.store.contract import Delete, Page, Put
from tests.support.memory_store import MemoryData, MemoryStore

KEYS = Keys("dkron")
NOW, AHEAD = 1_000, 5_000
JOB = Job("a", 0, schedule="@manually", executor="shell", executor_config={"command": "true"})


class _CountingStore(MemoryStore):
    listings = 0

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        self.listings += 1
        return await super().list(prefix, after=after, limit=limit)


@asynccontextmanager
async def _server(data: MemoryData) -> AsyncGenerator[tuple[_CountingStore, Mirror, Jobs]]:
    store = _CountingStore(data)
    await store.open()
    mirror = Mirror(store, KEYS)
    watching = asyncio.create_task(mirror.run())
    await mirror.loaded.wait()
    store.listings = 0
    yield store, mirror, Jobs(store, mirror, KEYS, lambda: NOW)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await store.close()


async def test_a_name_without_a_past_costs_no_look_at_its_edits() -> None:
    async with _server(MemoryData()) as (store, _, jobs):
        written = await jobs.put(JOB, by="me")
        assert (written.created, written.job.value.since, store.listings) == (True, NOW, 0)


async def test_deleted_before_this_server_began_by_a_clock_that_is_ahead() -> None:
    data = MemoryData()
    data.commit([], [Put(KEYS.edit("a", AHEAD), encode(Edit(AHEAD, "x"))), Put(KEYS.state("a"), encode(JobState()))])
    async with _server(data) as (_, _, jobs):
        assert (await jobs.put(JOB, by="me")).job.value.since == AHEAD + 1


async def test_deleted_by_a_clock_that_is_ahead_while_the_leader_lets_its_state_go() -> None:
    data = MemoryData()
    async with _server(data) as (_, mirror, jobs):
        data.commit([], [Put(KEYS.state("a"), encode(JobState()))])
        data.commit([], [Put(KEYS.edit("a", AHEAD), encode(Edit(AHEAD, "x")))])
        await mirror.reached(data.commit([], [Delete(KEYS.state("a"))]))
        assert (await jobs.put(JOB, by="me")).job.value.since == AHEAD + 1


async def test_deleted_by_another_server_that_this_one_has_not_heard_of() -> None:
    data = MemoryData()
    async with _server(data) as (store, _, jobs):
        # No turn of the loop is in between, so that the watch tells of it only after the first try.
        edit, state = Put(KEYS.edit("a", AHEAD), encode(Edit(AHEAD, "x"))), Put(KEYS.state("a"), encode(JobState()))
        data.commit([], [edit, state])
        assert (await jobs.put(JOB, by="me")).job.value.since == AHEAD + 1
        assert store.listings == 1
