"""Requests to run a job, as every server may write them; the leader carries them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from dkronpy.catalog.jobs import JobNotFound
from dkronpy.catalog.keys import Keys, encode
from dkronpy.catalog.mirror import Mirror
from dkronpy.catalog.writing import commit, free_group
from dkronpy.model.job import Job
from dkronpy.model.records import KillRecord, TriggerRecord
from dkronpy.store.contract import Guard, Operation, Put, Store

MINGLED = 1_000_000
"""ns by which, at most, the group of a request for a later time is after that time: a fire of the schedule then, or one
that was asked for and cancelled, has another."""


class Requests:
    """Guarded writes of one keyspace. `now` gives ns since the epoch. Store errors pass through."""

    def __init__(self, store: Store, mirror: Mirror, keys: Keys, now: Callable[[], int]) -> None:
        self._store = store
        self._mirror = mirror
        self._keys = keys
        self._now = now

    async def ask(
        self,
        name: str,
        make: Callable[[Job, int], TriggerRecord],
        *,
        guards: Sequence[Guard] = (),
        beside: Sequence[Operation] = (),
    ) -> int | None:
        """Ask for a run, durably: `make` gives the request by the job and the time (ns). Returns its group.
        `beside` is written with it if `guards` hold; after a conflict with guards given, None.

        Raises JobNotFound and what `make` raises."""
        while True:
            held = self._mirror.jobs.get(name)
            if held is None:
                raise JobNotFound(name)
            now = self._now()
            record = _belonging(make(held.value, now), held.value)
            group = free_group(self._mirror, name, record.at + 1 + now % MINGLED if record.planned else now)
            key = self._keys.trigger(name, group)
            all_guards = [Guard(self._keys.job(name), held.revision), Guard(key, 0), *guards]
            operations = [Put(key, encode(record)), *beside]
            if await commit(self._store, self._mirror, all_guards, operations) is not None:
                return group
            if guards:
                return None

    async def cancel(self, name: str, group: int, *, by: str) -> None:
        """Ask, durably, for a request to be ended that is not carried out yet."""
        kill = Put(self._keys.kill((name, group, 0, "")), encode(KillRecord(self._now(), by)))
        await self._mirror.reached(await self._store.commit([], [kill]))


def _belonging(record: TriggerRecord, job: Job) -> TriggerRecord:
    """The request as one that was made after its job was written, whatever the clock of the server that wrote that."""
    if record.asked >= job.since:
        return record
    at = max(record.at, job.since) if record.planned else record.at
    return msgspec.structs.replace(record, asked=job.since, at=at)
