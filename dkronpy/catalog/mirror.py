"""An in-memory image of the store's records, kept by a watch. Every server has one; the API reads from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

import msgspec

from dkronpy.catalog.keys import KINDS, Keys, killed_key
from dkronpy.model.backfill import Backfill
from dkronpy.model.calendar import CalendarRecord
from dkronpy.model.execution import Execution, execution_id
from dkronpy.model.job import Job, JobState
from dkronpy.model.link import Link, LinkSecret
from dkronpy.model.records import (
    Clear,
    ClusterSettings,
    ConcurrencyGroup,
    Cursor,
    Drain,
    Epoch,
    GroupRecord,
    KillRecord,
    Pause,
    SourceRecord,
    TriggerRecord,
)
from dkronpy.model.run import Key
from dkronpy.store.contract import Compacted, Entry, Event, Store, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
MIRRORED = (
    "jobs",
    "states",
    "runs",
    "triggers",
    "kills",
    "clears",
    "calendars",
    "backfills",
    "drains",
    "groups",
    "cursor",
    "pause",
    "settings",
    "links",
    "linkkey",
    "sources",
    "leader",
)
"""The kinds kept in memory: all but edits, the lease and the marks of trigger files, which are only passed on to the
listeners."""


_SLICE = 5000
"""Records that are taken in before other tasks get a turn, in the first load."""


class Held(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A record and the store's revision of it."""

    value: T
    revision: int


class Change(msgspec.Struct, frozen=True):
    """What changed: `kind` as in `KINDS`, the job's `name` ("" for single records), `key` the last part of the store
    key (an execution's id, a trigger's group), the values before and after (None: absent)."""

    kind: str
    name: str
    key: str
    old: Any
    new: Any


Listener = Callable[[Sequence[Change]], None]


class ForeignValue(Exception):
    """A key of the keyspace has a value that no server writes: somebody else uses the keyspace."""


def _decoded(kind: str, key: str, value: bytes) -> Any:
    try:
        return KINDS[kind].decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ForeignValue(
            f"{key} in the store is not dkronpy's ({error}): if a Dkron 1 keeps its keys there, give another keyspace"
        ) from error


class Mirror:
    """The records of one keyspace. Read-only to its users; `run` keeps it up to date until cancelled."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self.revision = 0
        self.jobs: dict[str, Held[Job]] = {}
        self.states: dict[str, Held[JobState]] = {}
        self.runs: dict[str, dict[Key, Held[Execution]]] = {}
        """Executions still in the store, by job."""
        self.untold: dict[tuple[str, int], tuple[str, ...]] = {}
        """Jobs that the leader has still to tell how a group ended, by group."""
        self._groups: dict[tuple[str, int], tuple[Key, ...]] = {}
        self.triggers: dict[tuple[str, int], Held[TriggerRecord]] = {}
        self.kills: dict[Key, Held[KillRecord]] = {}
        self.clears: dict[str, Held[Clear]] = {}
        self.backfills: dict[str, Held[Backfill]] = {}
        """The newest of each job that has had one."""
        self.drains: dict[str, Held[Drain]] = {}
        """By node."""
        self.limits: dict[str, Held[ConcurrencyGroup]] = {}
        """Concurrency groups that are defined, by name."""
        self.calendars: dict[str, Held[CalendarRecord]] = {}
        self.children: dict[str, set[str]] = {}
        """Names of the jobs that have this job as parent."""
        self.deleted = 0
        """The time (ns) of the newest deletion of any job that the watch has shown."""
        self.cursor: Held[Cursor] | None = None
        self.pause: Held[Pause] | None = None
        self.sources: dict[str, Held[SourceRecord]] = {}
        """By directory."""
        self.settings: Held[ClusterSettings] | None = None
        self.links: dict[str, dict[str, Held[Link]]] = {}
        """Signed links, by job and id."""
        self.link_secret: Held[LinkSecret] | None = None
        self.epoch: Held[Epoch] | None = None
        self.loaded = asyncio.Event()
        self.healthy = False
        """Whether the watch is connected: what is read is then no older than the watch's delay."""
        self.gaps = 0
        """How often everything was loaded again: the listeners were not told of the edits before that."""
        self._listeners: list[Listener] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every batch of changes from now on; returns the function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def reached(self, revision: int) -> None:
        """Wait until the mirror holds everything committed up to `revision`."""
        if self.revision >= revision:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiters.append((revision, future))
        await future

    async def run(self) -> None:
        """Load everything, then follow the watch; load again when the watch can't be resumed."""
        delay = 0.1
        while True:
            try:
                await self._load()
                delay = 0.1
                async for events in self._store.watch(self._keys.root, self.revision):
                    self._apply(events)
            except Compacted:
                log.warning("the watch fell behind the store; loading everything again")
            except Unavailable as error:
                self.healthy = False
                log.warning("the store can't be watched: %s; trying again in %.1f s", error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
            finally:
                self.healthy = False

    async def _load(self) -> None:
        entries: list[Entry] = []
        first: int | None = None
        for kind in MIRRORED:
            prefix = self._keys.root + kind
            after = ""
            while True:
                page = await self._store.list(prefix, after=after, limit=5000)
                first = page.revision if first is None else first
                entries.extend(page.entries)
                if not page.more:
                    break
                after = page.entries[-1].key
        events = [Event(entry.key, entry.value, entry.revision) for entry in entries]
        if self.loaded.is_set():
            self.gaps += 1
            seen = {entry.key for entry in entries}
            self._apply([*(Event(key, None, first or 0) for key in self._held_keys() if key not in seen), *events])
        else:  # Nobody reads yet: with turns for other tasks, among them the end of the process.
            for start in range(0, len(events), _SLICE):
                self._apply(events[start : start + _SLICE])
                await asyncio.sleep(0)
        self.revision = first or 0
        self.healthy = True
        self._wake()
        self.loaded.set()

    def _held_keys(self) -> Iterable[str]:
        keys = self._keys
        yield from map(keys.job, self.jobs)
        yield from map(keys.state, self.states)
        for name, group in self._groups:
            yield keys.group(name, group)
        for name, group in self.triggers:
            yield keys.trigger(name, group)
        yield from map(keys.kill, self.kills)
        yield from map(keys.clear, self.clears)
        yield from map(keys.backfill, self.backfills)
        for name, links in self.links.items():
            yield from (keys.link(name, id) for id in links)
        yield from map(keys.drain, self.drains)
        yield from map(keys.concurrency_group, self.limits)
        yield from map(keys.calendar, self.calendars)
        yield from map(keys.source, self.sources)
        singles = (
            (self.cursor, keys.cursor),
            (self.pause, keys.pause),
            (self.settings, keys.settings),
            (self.link_secret, keys.link_secret),
            (self.epoch, keys.epoch),
        )
        yield from (key for held, key in singles if held is not None)

    def _apply(self, events: Sequence[Event]) -> None:
        changes = [change for event in events for change in self._set(event)]
        if events:
            self.revision = max(self.revision, events[-1].revision)
        if changes:
            for listener in tuple(self._listeners):
                listener(changes)
        self._wake()

    def _wake(self) -> None:
        if self._waiters:
            due = [future for revision, future in self._waiters if revision <= self.revision]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > self.revision]
            for future in due:
                if not future.done():
                    future.set_result(None)

    def _set(self, event: Event) -> Sequence[Change]:
        kind, name, rest = self._keys.split(event.key)
        if kind not in KINDS:
            return ()
        record = None if event.value is None else _decoded(kind, event.key, event.value)
        if kind in ("edits", "lease", "files"):
            if kind == "edits" and record is not None and record.job is None:
                self.deleted = max(self.deleted, record.since)
            return () if record is None else (Change(kind, name, rest, None, record),)
        if kind == "runs":
            return self._set_group(name, int(rest), record, event.revision)
        held = None if record is None else Held(record, event.revision)
        old: Held[Any] | None
        match kind:
            case "cursor":
                old, self.cursor = self.cursor, held
            case "pause":
                old, self.pause = self.pause, held
            case "settings":
                old, self.settings = self.settings, held
            case "linkkey":
                old, self.link_secret = self.link_secret, held
            case "links":
                old = _replace(self.links.setdefault(name, {}), rest, held)
                if not self.links[name]:
                    del self.links[name]
            case "leader":
                old, self.epoch = self.epoch, held
            case "jobs":
                old = _replace(self.jobs, name, held)
                self._link(name, old, held)
            case "states":
                old = _replace(self.states, name, held)
            case "clears":
                old = _replace(self.clears, name, held)
            case "calendars":
                old = _replace(self.calendars, name, held)
            case "backfills":
                old = _replace(self.backfills, name, held)
            case "sources":
                old = _replace(self.sources, unquote(name), held)
            case "drains":
                old = _replace(self.drains, unquote(name), held)
            case "groups":
                old = _replace(self.limits, unquote(name), held)
            case "triggers":
                old = _replace(self.triggers, (name, int(rest)), held)
            case _:
                old = _replace(self.kills, killed_key(name, rest), held)
        if old is held or (old is not None and held is not None and old.revision == held.revision):
            return ()
        return (Change(kind, name, rest, None if old is None else old.value, record),)

    def _set_group(self, name: str, group: int, record: GroupRecord | None, revision: int) -> list[Change]:
        runs = self.runs.setdefault(name, {})
        new = {} if record is None else {execution.key: execution for execution in record.unpacked()}
        old = {key: runs.pop(key).value for key in self._groups.pop((name, group), ())}
        for key, execution in new.items():
            runs[key] = Held(execution, revision)
        if new:
            self._groups[(name, group)] = tuple(new)
        if not runs:
            del self.runs[name]
        self.untold.pop((name, group), None)
        if record is not None and record.children:
            self.untold[name, group] = record.children
        return [
            Change("runs", name, execution_id(*key[1:]), old.get(key), new.get(key))
            for key in {**old, **new}
            if old.get(key) != new.get(key)
        ]

    def _link(self, name: str, old: Held[Job] | None, new: Held[Job] | None) -> None:
        named, names = () if old is None else old.value.parents, () if new is None else new.value.parents
        if named == names:  # nearly always none
            return
        before, after = set(named), set(names)
        for parent in before - after:
            siblings = self.children[parent]
            siblings.discard(name)
            if not siblings:
                del self.children[parent]
        for parent in after - before:
            self.children.setdefault(parent, set()).add(name)


K = TypeVar("K")


def _replace(table: dict[K, Held[T]], key: K, held: Held[T] | None) -> Held[T] | None:
    old = table.get(key)
    if held is not None:
        table[key] = held
    elif old is not None:
        del table[key]
    return old
