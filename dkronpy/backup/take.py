"""Taking a backup: the store as of one revision, and the history as it belongs to that.

While servers go on writing, the store is listed page by page, and a watch from the first page on is followed up to a
mark that is set afterwards: what is then known holds at the mark. The history is read after that. Of what it has gained
meanwhile nothing is taken that the restored store would decide, or order, once more.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from dkronpy import __version__
from dkronpy.backup.file import FORMAT, Counted, Header, Line, Piece, Run, Value
from dkronpy.catalog.keys import KINDS, Keys
from dkronpy.history.contract import History, Query
from dkronpy.model.backfill import Backfill
from dkronpy.model.execution import Execution, OutputChunk, Trigger
from dkronpy.model.figures import JobFigures
from dkronpy.model.job import Job, JobState, last_of
from dkronpy.model.records import Cursor, GroupRecord
from dkronpy.model.run import Key
from dkronpy.model.times import rfc3339
from dkronpy.schedule import ScheduleError
from dkronpy.scheduling.backfilling import progress_of
from dkronpy.scheduling.fires import compiled, next_fire
from dkronpy.store.contract import Compacted, Delete, Entry, Event, Put, Store

PAGE = 1000
WHOLE = 1 << 31
"""As a page: all keys at once, which hold at one revision by themselves."""
_AT_ONCE = 50
"""Executions whose outputs are read together."""
_EVERYTHING = 1 << 30
"""As a tail: all that is kept of an output."""


async def take(
    store: Store,
    history: History,
    keys: Keys,
    write: Callable[[Line], None],
    *,
    backend: str,
    now: int,
    page: int = PAGE,
    progress: Callable[[int], None],
) -> None:
    """Write everything as lines; `progress` is told how many lines there are so far. `page` is WHOLE for a store that
    another process writes and that can only be watched within it. Raises StoreError and HistoryError."""
    values, revision = await _state(store, keys, page)
    write(Header(FORMAT, __version__, rfc3339(now), backend, keys.root[:-1], revision))
    for key, value in values.items():
        write(Value(key, value))
    lines = len(values)
    cut = _Cut.of(values, keys)
    for start in range(0, len(cut.flying), _AT_ONCE):
        flying = list(cut.flying)[start : start + _AT_ONCE]
        lines += await _write_outputs(history, flying, write)
    cursor: str | None = ""
    while cursor is not None:
        part = await history.query(Query(), limit=_AT_ONCE, cursor=cursor or None)
        kept = [execution for execution in part.executions if cut.keeps(execution)]
        for execution in kept:
            write(Run(execution))
        told = [execution.key for execution in kept if execution.output_size and execution.key not in cut.flying]
        lines += len(kept) + await _write_outputs(history, told, write)
        progress(lines)
        cursor = part.cursor
    after = ""
    while figures := await history.figures(after=after, limit=_AT_ONCE):
        counted = [of for of in map(cut.counted, figures) if of is not None]
        for of in counted:
            write(Counted(of))
        lines += len(counted)
        progress(lines)
        after = figures[-1].job


async def _write_outputs(history: History, keys: Sequence[Key], write: Callable[[Line], None]) -> int:
    outputs = await history.outputs(keys, tail=_EVERYTHING) if keys else {}
    held = [OutputChunk(*key, output.start, output.data) for key, output in outputs.items() if output.data]
    for chunk in held:
        write(Piece(chunk))
    return len(held)


async def _state(store: Store, keys: Keys, page: int) -> tuple[dict[str, bytes], int]:
    """Every key without its keyspace, but for what belongs to a leader that lives, and the revision they hold at."""
    while True:
        try:
            held, revision = await _listed(store, keys, page)
            break
        except Compacted:  # listing took longer than the store remembers: begin anew
            continue
    passing = (keys.lease, keys.backup)
    return {key[len(keys.root) :]: value for key, value in sorted(held.items()) if key not in passing}, revision


async def _listed(store: Store, keys: Keys, page: int) -> tuple[dict[str, bytes], int]:
    first = await store.list(keys.root, limit=page)
    entries: dict[str, Entry] = {entry.key: entry for entry in first.entries}
    if not first.more:
        return {key: entry.value for key, entry in entries.items()}, first.revision
    more, after = True, first.entries[-1].key
    while more:
        found = await store.list(keys.root, after=after, limit=page)
        entries.update((entry.key, entry) for entry in found.entries)
        more, after = found.more, found.entries[-1].key if found.entries else after
    held = {key: entry.value for key, entry in entries.items()}
    mark = uuid.uuid4().hex.encode()
    await store.commit([], [Put(keys.backup, mark)])
    try:
        return held, await _caught_up(store.watch(keys.root, first.revision), held, keys.backup, mark)
    finally:
        await store.commit([], [Delete(keys.backup)])


async def _caught_up(changes: AsyncIterator[Sequence[Event]], held: dict[str, bytes], key: str, mark: bytes) -> int:
    """Apply changes up to the one that sets the mark. Returns its revision."""
    try:
        async for events in changes:
            for event in events:
                if event.key == key and event.value == mark:
                    return event.revision
                if event.value is None:
                    held.pop(event.key, None)
                else:
                    held[event.key] = event.value
        raise AssertionError("a watch only ends with an error")
    finally:
        if isinstance(changes, AsyncGenerator):
            await changes.aclose()


@dataclass(frozen=True, slots=True)
class _Cut:
    """Which executions of the history belong to a state of the store."""

    cursor: Cursor
    jobs: Mapping[str, Job]
    states: Mapping[str, JobState]
    flying: Mapping[Key, Execution]
    """Executions that are in the store."""
    backfills: Mapping[str, Backfill]
    groups: frozenset[tuple[str, int]]
    """Groups that are in the store, or asked for there: their further attempts are decided once more."""

    @classmethod
    def of(cls, values: Mapping[str, bytes], keys: Keys) -> _Cut:
        cursor = Cursor(1 << 63)
        jobs: dict[str, Job] = {}
        states: dict[str, JobState] = {}
        flying: dict[Key, Execution] = {}
        backfills: dict[str, Backfill] = {}
        groups: set[tuple[str, int]] = set()
        for key, value in values.items():
            kind, name, rest = keys.split(keys.root + key)
            match kind:
                case "cursor":
                    cursor = KINDS[kind].decode(value)
                case "jobs":
                    jobs[name] = KINDS[kind].decode(value)
                case "states":
                    states[name] = KINDS[kind].decode(value)
                case "backfills":
                    backfills[name] = KINDS[kind].decode(value)
                case "triggers":
                    groups.add((name, int(rest)))
                case "runs":
                    record: GroupRecord = KINDS[kind].decode(value)
                    groups.add((name, int(rest)))
                    flying |= {execution.key: execution for execution in record.unpacked()}
                case _:
                    continue
        return cls(cursor, jobs, states, flying, backfills, frozenset(groups))

    def keeps(self, execution: Execution) -> bool:
        """Whether the restored store would not decide or order this execution once more."""
        held = self.flying.get(execution.key)
        if held is not None:
            return held.state.final
        if (execution.job, execution.group) in self.groups:
            return False
        if execution.trigger is Trigger.BACKFILL:
            return not self._wanted(execution)
        return execution.trigger is not Trigger.SCHEDULE or not self._owed(execution.job, execution.group)

    def counted(self, of: JobFigures) -> JobFigures | None:
        """The job's figures as the restored store may go on with them; None where it has none of their origin. Digests
        that have seen more runs than the store's state are kept: those runs were."""
        state = self.states.get(of.job)
        if state is None or state.figures.origin != of.figures.origin:
            return None
        if of.figures.age <= state.figures.age:
            return of
        figures = msgspec.structs.replace(state.figures, recent=b"")
        return msgspec.structs.replace(
            of, success=state.success_count, failed=state.error_count, figures=figures, last=last_of(state)
        )

    def _wanted(self, execution: Execution) -> bool:
        """Whether a backfill has still to start this fire."""
        backfill, state = self.backfills.get(execution.job), self.states.get(execution.job, JobState())
        if backfill is None or execution.origin is None or execution.origin.asked != backfill.since:
            return False
        return execution.fire in backfill.fires[progress_of(backfill, state).started :]

    def _owed(self, name: str, fire: int) -> bool:
        """Whether this is a fire of the job that the store has not decided yet."""
        state, job = self.states.get(name), self.jobs.get(name)
        if fire <= self.cursor.after(name):
            decided = state is not None and fire <= state.decided
            swept = ((sweep.start, sweep.job) < (fire, name) and fire <= sweep.to for sweep in self.cursor.sweeps)
            if decided or not any(swept):
                return False
        try:
            return job is not None and fire > job.since and next_fire(job, compiled(job), fire - 1) == fire
        except ScheduleError:  # it does not fire here either
            return False
