"""What a new leader reads of the edits that nobody has adopted yet."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import Keys
from dkronpy.catalog.mirror import Mirror
from dkronpy.dispatch.snapshot import unadopted
from dkronpy.model.job import Edit, Job
from dkronpy.store.contract import Page
from tests.support.memory_store import MemoryStore

KEYS = Keys("test")


class BusyStore(MemoryStore):
    """Whenever a job's edits are read, `meanwhile` happens first and once more before the answer arrives."""

    jobs: Jobs
    quiet = True
    reads = 0

    async def meanwhile(self, name: str) -> None:
        await edit(self.jobs, name)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        if self.quiet or not prefix.startswith(f"{KEYS.root}edits/"):
            return await super().list(prefix, after=after, limit=limit)
        self.reads += 1
        name = prefix.split("/")[-2]
        self.quiet = True
        try:
            await self.meanwhile(name)
            page = await super().list(prefix, after=after, limit=limit)
            await self.meanwhile(name)
        finally:
            self.quiet = False
        return page


_edits = itertools.count()


async def edit(jobs: Jobs, name: str) -> None:
    """Write the job, otherwise than before."""
    await jobs.put(Job(name, 0, schedule="@manually", executor="shell", owner=str(next(_edits))), by="")


async def stored(jobs: Jobs, *names: str) -> dict[str, list[Edit]]:
    return {name: await jobs.edits(name) for name in names}


@asynccontextmanager
async def catalog() -> AsyncGenerator[tuple[BusyStore, Mirror, Jobs]]:
    store = BusyStore()
    await store.open()
    mirror = Mirror(store, KEYS)
    jobs = store.jobs = Jobs(store, mirror, KEYS, time.time_ns)
    watching = asyncio.create_task(mirror.run())
    try:
        await mirror.loaded.wait()
        yield store, mirror, jobs
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await store.close()


async def test_reading_ends_while_jobs_are_edited_without_pause() -> None:
    async with catalog() as (store, mirror, jobs):
        for name in ("a", "b"):
            for _ in range(2):
                await edit(jobs, name)
        store.quiet = False
        async with asyncio.timeout(30):
            found = await unadopted(mirror, jobs)
        store.quiet = True
        assert store.reads == 2
        assert {name: len(edits) for name, edits in found.items()} == {"a": 4, "b": 4}
        assert {name: edits[-1].since for name, edits in found.items()} == {
            name: held.value.since for name, held in mirror.jobs.items()
        }
        assert found == await stored(jobs, "a", "b")


async def test_what_is_edited_deleted_and_made_while_others_are_read() -> None:
    async with catalog() as (store, mirror, jobs):
        for name in ("a", "b"):
            for _ in range(2):
                await edit(jobs, name)
        await edit(jobs, "new")

        async def meanwhile(name: str) -> None:
            if name == "a" and store.reads == 1:
                await edit(jobs, "new")
                await edit(jobs, "late")
                if "b" in mirror.jobs:
                    await jobs.delete("b", by="")

        store.meanwhile = meanwhile
        store.quiet = False
        found = await unadopted(mirror, jobs)
        store.quiet = True
        assert found == await stored(jobs, "a", "b", "new", "late")
        assert found["b"][-1].job is None


async def test_edits_that_the_watch_left_out_are_read() -> None:
    async with catalog() as (store, mirror, jobs):
        for name in ("a", "b"):
            for _ in range(2):
                await edit(jobs, name)

        async def meanwhile(name: str) -> None:
            """`a` is read already; this server's watch is cut, and does not tell of its next edit."""
            if name == "b" and mirror.gaps == 0:
                other = MemoryStore(store.data)
                await other.open()
                elsewhere = Mirror(other, KEYS)
                watching = asyncio.create_task(elsewhere.run())
                await elsewhere.loaded.wait()
                store.cut()
                await edit(Jobs(other, elsewhere, KEYS, time.time_ns), "a")
                store.connect()
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
                await other.close()
                async with asyncio.timeout(30):
                    await mirror.reached(store.data.revision)

        store.meanwhile = meanwhile
        store.quiet = False
        found = await unadopted(mirror, jobs)
        store.quiet = True
        assert mirror.gaps == 1
        assert found == await stored(jobs, "a", "b")
        assert len(found["a"]) == 3
