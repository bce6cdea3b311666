"""The image of the store, where the store has what nobody here wrote."""

from __future__ import annotations

import asyncio

import pytest

from dkronpy.catalog.keys import Keys, encode
from dkronpy.catalog.mirror import ForeignValue, Mirror
from dkronpy.model.job import Job
from dkronpy.store.contract import Put
from tests.support.memory_store import MemoryData, MemoryStore


@pytest.mark.parametrize("key", ["jobs/a", "leader"])
@pytest.mark.parametrize("value", [b'{"name": "a", "processors": null}', b"n1", b"\xff"])
async def test_keys_of_a_dkron_1_in_the_keyspace(key: str, value: bytes) -> None:
    store = MemoryStore(MemoryData())
    await store.open()
    await store.commit([], [Put(f"dkron/{key}", value)])
    with pytest.raises(ForeignValue, match=rf"^dkron/{key} in the store .*keyspace"):
        await Mirror(store, Keys("dkron")).run()
    await store.close()


async def test_other_tasks_get_turns_during_the_first_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a server that is told to end while it reads 100,000 jobs does so at once."""
    monkeypatch.setattr("dkronpy.catalog.mirror._SLICE", 100)
    store, count = MemoryStore(MemoryData()), 300
    await store.open()
    for start in range(0, count, 50):
        names = [f"job-{number}" for number in range(start, start + 50)]
        await store.commit([], [Put(f"dkron/jobs/{name}", encode(Job(name, 1))) for name in names])
    mirror = Mirror(store, Keys("dkron"))
    loading = asyncio.create_task(mirror.run())
    seen: set[int] = set()
    while not mirror.loaded.is_set():
        seen.add(len(mirror.jobs))
        await asyncio.sleep(0)
    assert len(seen) >= 3
    assert (len(mirror.jobs), mirror.revision) == (count, store.data.revision)
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    await store.close()
