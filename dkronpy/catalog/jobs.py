"""What every server may write: jobs, kills, the pause. Each is one guarded commit; the leader acts on what
it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import msgspec

from dkronpy.catalog.keys import KINDS, Keys, encode
from dkronpy.catalog.mirror import Held, Mirror
from dkronpy.catalog.writing import commit, free_group
from dkronpy.model.calendar import Calendar, CalendarRecord, CalendarRevision
from dkronpy.model.execution import Trigger
from dkronpy.model.figures import Figures
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.lineage import LoopError, ancestors
from dkronpy.model.records import Clear, ClusterSettings, ConcurrencyGroup, Drain, KillRecord, Pause, TriggerRecord
from dkronpy.model.run import Key
from dkronpy.store.contract import Delete, Guard, Operation, Put, Store

MAX_ANCESTORS = 50
"""Parents of a job, and of its parents; each is guarded in the commit that names it."""
MAX_CHILDREN = 500
"""Jobs that name the same parent: the end of its run tells each of them, and the run's record lists them."""

KEPT_REVISIONS = 7 * 86_400_000_000_000
"""How long (ns) a calendar's replaced revision is kept: fires decided later than that follow a newer one."""
MAX_CALENDAR_RECORD = 200_000
"""Bytes of a calendar with its earlier revisions."""


class JobError(Exception):
    """A write that can't be done. `field` names the culprit in the job, "" for the job as a whole."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class JobNotFound(JobError):
    def __init__(self, name: str) -> None:
        super().__init__("name", f"there is no job {name!r}")


class ParentNotFound(JobError):
    """The named parent does not exist."""


class HasDependents(JobError):
    """The job can't be deleted while others name it as parent."""


class Owned(JobError):
    """`what`, a job or a concurrency group, comes from a directory, which alone changes it; `command` takes it over."""

    def __init__(self, what: str, source: str, command: str) -> None:
        told = f"{what} comes from the directory {source} on the servers: change it there"
        super().__init__("source", f"{told}, or take it over ({command}, ?take=true)")

    @classmethod
    def job(cls, job: Job) -> Self:
        return cls(f"job {job.name!r}", job.source, f"dkron job take {job.name}")

    @classmethod
    def group(cls, name: str, group: ConcurrencyGroup) -> Self:
        return cls(f"concurrency group {name!r}", group.source, f"dkron group set {name!r} --take")


class EditConflict(JobError):
    """The job is not at the revision that the caller expects."""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write of a job: what holds now, whether it is new, and the group of the run asked for with
    it."""

    job: Held[Job]
    created: bool
    group: int | None = None


class Jobs:
    """Guarded writes of one keyspace. `now` gives ns since the epoch. Store errors pass through.

    When `expect` (the revision of the job that the caller saw) is not given, a write that collides is tried again on
    what holds then; with it, EditConflict.
    """

    def __init__(self, store: Store, mirror: Mirror, keys: Keys, now: Callable[[], int]) -> None:
        self._store = store
        self._mirror = mirror
        self._keys = keys
        self._now = now

    async def put(
        self,
        job: Job,
        *,
        by: str,
        expect: int | None = None,
        run: bool = False,
        state: JobState | None = None,
        take: bool = False,
    ) -> Written:
        """Create or replace the job `job.name`. `state` gives counters to a job that is new (restore). A job that comes
        from a directory is replaced only by one from there, or with `take`.

        Raises ParentNotFound, JobError (a loop of parents), Owned, EditConflict."""
        return await self._write(job.name, lambda _: job, by=by, expect=expect, run=run, state=state, take=take)

    async def change(
        self, name: str, edit: Callable[[Job], Job], *, by: str, expect: int | None = None, take: bool = False
    ) -> Written:
        """Replace an existing job by what `edit` makes of it, as one that comes from no directory. Raises JobNotFound
        and what `put` raises."""

        def checked(old: Job | None) -> Job:
            if old is None:
                raise JobNotFound(name)
            return msgspec.structs.replace(edit(old), source="")

        return await self._write(name, checked, by=by, expect=expect, take=take)

    async def _write(
        self,
        name: str,
        make: Callable[[Job | None], Job],
        *,
        by: str,
        expect: int | None = None,
        run: bool = False,
        state: JobState | None = None,
        take: bool = False,
    ) -> Written:
        keys = self._keys
        while True:
            held = self._mirror.jobs.get(name)
            _expected(held, expect)
            old = None if held is None else held.value
            now = self._now()
            job = make(old)
            if old is not None and _owned(old, job.source, take):
                raise Owned.job(old)
            guards = [Guard(keys.job(name), 0 if held is None else held.revision)]
            if old is not None:
                before = old.since
            elif name in self._mirror.states or self._mirror.deleted >= now:
                before = await self._deleted(name)
            else:  # A deleted job has a state for as long as it has edits: this name has none.
                guards.append(Guard(keys.state(name), 0))
                before = 0
            since = max(now, before + 1)
            job = msgspec.structs.replace(job, since=since, created=now if old is None else old.created)
            guards += self._ancestors(job)
            operations: list[Operation] = []
            if old is None or job != msgspec.structs.replace(old, since=since):
                operations += [
                    Put(keys.job(name), encode(job)),
                    Put(keys.edit(name, since), encode(Edit(since, by, job))),
                ]
                if not set(job.parents) <= set(() if old is None else old.parents):
                    operations.append(Put(keys.lineage, f"{since} {name}".encode()))
                if old is None and state is not None and name not in self._mirror.states:
                    # Figures in the history are of an earlier job.
                    state = msgspec.structs.replace(state, figures=Figures(origin=since))
                    operations.append(Put(keys.state(name), encode(state)))
            group = None
            if run:
                group = free_group(self._mirror, name, now)
                guards.append(Guard(keys.trigger(name, group), 0))
                operations.append(
                    Put(keys.trigger(name, group), encode(TriggerRecord(now, Trigger.CREATE, by, asked=since)))
                )
            if not operations:
                assert held is not None, "a new job always has operations"
                return Written(held, created=False)
            revision = await self._commit(guards, operations)
            if revision is None:
                continue
            if old is None or len(operations) > 1:
                held = Held(job, revision)
            assert held is not None, "an unchanged job was held before"
            return Written(held, old is None, group)

    async def delete(
        self, name: str, *, by: str, expect: int | None = None, source: str = "", take: bool = False
    ) -> Held[Job]:
        """Delete a job; its runs in flight go on, its history is deleted when they are over. One that comes from a
        directory is deleted only with that as `source`, or with `take`.

        Raises JobNotFound, HasDependents, Owned, EditConflict."""
        while True:
            # A child may come by another server: this one must know of all that were there by then.
            mark = await self._store.get(self._keys.lineage)
            lineage = 0 if mark is None else mark.revision
            await self._mirror.reached(lineage)
            held = self._mirror.jobs.get(name)
            if held is None:
                raise JobNotFound(name)
            _expected(held, expect)
            if _owned(held.value, source, take):
                raise Owned.job(held.value)
            if children := self._mirror.children.get(name):
                raise HasDependents(
                    "dependent_jobs",
                    f"job {name!r} is the parent of {', '.join(sorted(children))}: "
                    "delete those first, or take it out of their parents",
                )
            since = max(self._now(), held.value.since + 1)
            guards = [Guard(self._keys.job(name), held.revision), Guard(self._keys.lineage, lineage)]
            operations = [Delete(self._keys.job(name)), Put(self._keys.edit(name, since), encode(Edit(since, by)))]
            if name in self._mirror.backfills:
                operations.append(Delete(self._keys.backfill(name)))
            if name not in self._mirror.states:  # or a leader to come would not know that it owes anything
                guards.append(Guard(self._keys.state(name), 0))
                operations.append(Put(self._keys.state(name), encode(JobState())))
            if await self._commit(guards, operations) is not None:
                return held

    async def kill(self, key: Key, *, by: str) -> None:
        """Ask, durably, for an execution in flight to be ended."""
        await self._put(self._keys.kill(key), encode(KillRecord(self._now(), by)))

    async def clear(self, name: str, *, by: str) -> None:
        """Ask, durably, for a job's history to be deleted and its counters set to zero. Raises JobNotFound."""
        if name not in self._mirror.jobs:
            raise JobNotFound(name)
        await self._put(self._keys.clear(name), encode(Clear(self._now(), by)))

    async def pause(self, *, reason: str, by: str) -> Pause:
        """Stop all scheduling until `unpause`. Pausing twice keeps the first."""
        return await self._set_pause(lambda old, now: old if old and old.holds else Pause(now, 0, reason, by))

    async def unpause(self) -> Pause:
        """End the pause. Ending none changes nothing."""
        return await self._set_pause(
            lambda old, now: msgspec.structs.replace(old, until=now) if old and old.holds else old
        )

    async def _set_pause(self, make: Callable[[Pause | None, int], Pause | None]) -> Pause:
        while True:
            held = self._mirror.pause
            old = None if held is None else held.value
            new = make(old, self._now())
            if new is None or new == old:
                return old or Pause(0, 0)
            guard = Guard(self._keys.pause, 0 if held is None else held.revision)
            if await self._commit([guard], [Put(self._keys.pause, encode(new))]) is not None:
                return new

    async def put_settings(self, env: dict[str, str], *, by: str) -> ClusterSettings:
        """Replace what holds in the whole cluster."""
        key = self._keys.settings
        while True:
            held = self._mirror.settings
            if held is not None and held.value.env == env:
                return held.value
            new = ClusterSettings(env, self._now(), by)
            guard = Guard(key, 0 if held is None else held.revision)
            if await self._commit([guard], [Put(key, encode(new))]) is not None:
                return new

    async def put_calendar(self, name: str, calendar: Calendar | None, *, by: str) -> CalendarRecord | None:
        """Write a calendar, or delete it with None; returns its record, None when there is nothing to delete.

        Raises HasDependents for one to be deleted that jobs name."""
        while True:
            held = self._mirror.calendars.get(name)
            users = [job for job, other in self._mirror.jobs.items() if name in other.value.calendars]
            if calendar is None and users:
                raise HasDependents("calendars", f"calendar {name!r} is used by {', '.join(sorted(users)[:10])}")
            old = () if held is None else held.value.revisions
            if (old[-1].calendar if old else None) == calendar:
                return None if held is None or calendar is None else held.value
            now = self._now()
            since = max(now, old[-1].since + 1) if old else now
            # A revision holds until the next one's time: those that ended long ago no fire will be judged by.
            kept = [revision for revision, after in pairwise(old) if after.since > now - KEPT_REVISIONS]
            record = CalendarRecord((*kept, *old[-1:], CalendarRevision(since, by, calendar)))
            while len(value := encode(record)) > MAX_CALENDAR_RECORD:
                record = CalendarRecord(record.revisions[1:])
            guard = Guard(self._keys.calendar(name), 0 if held is None else held.revision)
            if await self._commit([guard], [Put(self._keys.calendar(name), value)]) is not None:
                return record

    async def drain(self, node: str, *, by: str) -> Drain:
        """Let a node get no more runs by jobs' tags. Draining twice keeps the first."""
        while True:
            held = self._mirror.drains.get(node)
            if held is not None:
                return held.value
            new, key = Drain(self._now(), by), self._keys.drain(node)
            if await self._commit([Guard(key, 0)], [Put(key, encode(new))]) is not None:
                return new

    async def undrain(self, node: str) -> bool:
        """Let a node get runs again. Returns whether it was drained."""
        while (held := self._mirror.drains.get(node)) is not None:
            key = self._keys.drain(node)
            if await self._commit([Guard(key, held.revision)], [Delete(key)]) is not None:
                return True
        return False

    async def define_group(
        self, name: str, places: int, description: str, *, by: str, source: str = "", take: bool = False
    ) -> bool:
        """Let a concurrency group have so many places. Returns whether it is new. One that comes from a directory is
        changed only with that as `source`, or with `take`. Raises Owned."""
        key = self._keys.concurrency_group(name)
        while True:
            held = self._mirror.limits.get(name)
            if held is not None and _owned(held.value, source, take):
                raise Owned.group(name, held.value)
            new = ConcurrencyGroup(places, description, self._now(), by, source)
            if (
                await self._commit([Guard(key, 0 if held is None else held.revision)], [Put(key, encode(new))])
                is not None
            ):
                return held is None

    async def undefine_group(self, name: str, *, source: str = "", take: bool = False) -> bool:
        """Let a concurrency group have one place again. Returns whether it was defined. Raises Owned, as
        `define_group`."""
        key = self._keys.concurrency_group(name)
        while (held := self._mirror.limits.get(name)) is not None:
            if _owned(held.value, source, take):
                raise Owned.group(name, held.value)
            if await self._commit([Guard(key, held.revision)], [Delete(key)]) is not None:
                return True
        return False

    async def edits(self, name: str) -> list[Edit]:
        """Every change of a job's definition, oldest first."""
        found: list[Edit] = []
        after = ""
        while True:
            page = await self._store.list(self._keys.edits(name), after=after)
            found.extend(KINDS["edits"].decode(entry.value) for entry in page.entries)
            if not page.more:
                return found
            after = page.entries[-1].key

    async def _deleted(self, name: str) -> int:
        """The time of the newest edit of a job that is not there: its deletion, perhaps by a clock that is ahead."""
        edits = await self.edits(name)
        return edits[-1].since if edits else 0

    async def _put(self, key: str, value: bytes) -> None:
        await self._mirror.reached(await self._store.commit([], [Put(key, value)]))

    async def _commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int | None:
        return await commit(self._store, self._mirror, guards, operations)

    def _ancestors(self, job: Job) -> list[Guard]:
        """Guards that keep the job's ancestors as they were checked: no loop, nobody missing, not too many."""
        jobs = self._mirror.jobs
        field = "parent_job" if job.parent_job else "depends_on"
        for index, parent in enumerate(job.parents):
            place = field if job.parent_job else f"{field}.parents.{index}.job"
            if parent not in jobs and parent != job.name:
                raise ParentNotFound(place, f"the parent {parent!r} does not exist: create it first")
            siblings = self._mirror.children.get(parent, ())
            if len(siblings) >= MAX_CHILDREN and job.name not in siblings:
                raise JobError(place, f"{parent!r} is the parent of {MAX_CHILDREN} jobs already; more it can't be")

        def parents(name: str) -> tuple[str, ...]:
            return job.parents if name == job.name else jobs[name].value.parents if name in jobs else ()

        try:
            found = [name for name in ancestors(job.name, parents) if name in jobs]
        except LoopError as error:
            raise JobError(field, f"{error}: a job can't be its own parent, directly or through others") from None
        if len(found) > MAX_ANCESTORS:
            raise JobError(field, f"a job has at most {MAX_ANCESTORS} ancestors, parents of parents included")
        return [Guard(self._keys.job(name), jobs[name].revision) for name in found]


def _expected(held: Held[Job] | None, expect: int | None) -> None:
    if expect is not None and expect != (0 if held is None else held.revision):
        raise EditConflict("", "the job has changed since it was read: read it again (the ETag names its revision)")


def _owned(held: Job | ConcurrencyGroup, source: str, take: bool) -> bool:
    """Whether it comes from another directory than `source` and is not to be taken over."""
    return held.source not in ("", source) and not take
