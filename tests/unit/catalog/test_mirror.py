"""The image of the store, where the store has what nobody here wrote."""

from __future__ import annotations

import pytest

from dkronpy.catalog.keys import Keys
from dkronpy.catalog.mirror import ForeignValue, Mirror
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
