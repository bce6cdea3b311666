"""Requests to run fires of the past, as every server may write them; the leader carries them out."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dkronpy.catalog.keys import Keys, encode
from dkronpy.catalog.mirror import Held, Mirror
from dkronpy.catalog.writing import commit
from dkronpy.model.backfill import Backfill
from dkronpy.model.job import Job
from dkronpy.store.contract import Guard, Put, Store


class Backfills:
    """Guarded writes of one keyspace. `now` gives ns since the epoch. Store errors pass through."""

    def __init__(self, store: Store, mirror: Mirror, keys: Keys, now: Callable[[], int]) -> None:
        self._store = store
        self._mirror = mirror
        self._keys = keys
        self._now = now

    async def put(self, wanted: Backfill, job: Held[Job], old: Held[Backfill] | None) -> bool:
        """Ask for a backfill of a job, in place of its last one, which is over. Returns false where the job or that one
        is another by now: nothing is written then."""
        name = job.value.name
        key = self._keys.backfill(name)
        guards = [Guard(self._keys.job(name), job.revision), Guard(key, 0 if old is None else old.revision)]
        return await commit(self._store, self._mirror, guards, [Put(key, encode(wanted))]) is not None

    async def cancel(self, name: str, *, by: str) -> Backfill | None:
        """Let no more fires of a job's backfill start. Cancelling twice keeps the first; None where there is none."""
        while (held := self._mirror.backfills.get(name)) is not None:
            if held.value.cancelled:
                return held.value
            new = msgspec.structs.replace(held.value, cancelled=self._now(), cancelled_by=by)
            key = self._keys.backfill(name)
            if (
                await commit(self._store, self._mirror, [Guard(key, held.revision)], [Put(key, encode(new))])
                is not None
            ):
                return new
        return None
