"""Writes to a history in a key-value store, in as few commits as hold them.

One writer at a time: whoever begins to write marks the store as its own, and guards each commit by that mark. So what
it has read or written itself stays true until another takes over, and a commit whose outcome it does not know can not
come later than the next mark. Most records are new and cost no read: a guard tells when one was there already.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Final

from dkronpy.history.rules import keeps
from dkronpy.history.store_draft import Draft
from dkronpy.history.store_job import JobRecords, Summary
from dkronpy.history.store_keys import (
    DayRecord,
    decode_day,
    decode_output,
    decode_record,
    decode_totals,
    encode_counter,
)
from dkronpy.history.stretches import with_chunk
from dkronpy.store.contract import Conflict, Guard, OutcomeUnknown, Put

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dkronpy.history.store_job import Change, Step
    from dkronpy.history.store_keys import HistoryKeys, Key
    from dkronpy.history.stretches import Stretches
    from dkronpy.model.execution import Execution, OutputChunk, State
    from dkronpy.store.contract import Entry, Store

_OUTPUTS_KNOWN: Final = 256
"""Outputs kept in memory, for runs that go on writing."""
_PAGE: Final = 500


class Writer:
    """Writes for as long as nobody else does; used by one task at a time.

    Its methods raise StoreError. After Conflict, what was to be done is to be decided anew: by another Writer if this
    one is `over`.
    """

    def __init__(
        self,
        store: Store,
        keys: HistoryKeys,
        output_limit: int,
        *,
        mark: int,
        totals: Counter[State],
        folded: dict[str, int],
    ) -> None:
        """`mark`: the revision of the writer's mark; `totals` and `folded`: what was read under it."""
        self._store = store
        self._keys = keys
        self._output_limit = output_limit
        self._mark = mark
        self._totals = totals
        self._folded = folded
        self._days: dict[str, DayRecord] = {}
        self._outputs: dict[Key, Stretches] = {}
        self._draft = Draft(keys)
        self._swept: str | None = ""
        self.summaries: dict[str, Summary | None] = {}
        """Of jobs; None: has changed in a way that only its records tell."""
        self.over = False
        """Somebody else may have written: this writer's knowledge is of no use any more."""

    @classmethod
    async def take_over(cls, store: Store, keys: HistoryKeys, output_limit: int) -> Writer:
        """Mark the store as the new writer's own."""
        held = await store.get(keys.writer)
        guard = Guard(keys.writer, held.revision if held else 0)
        mark = await store.commit([guard], [Put(keys.writer, uuid.uuid4().hex.encode())])
        totals = await store.get(keys.totals)
        counted = Counter(decode_totals(totals.value) if totals else {})
        entries = await list_all(store, keys.folded)
        folded = {entry.key[len(keys.folded) :]: int(entry.value) for entry in entries}
        return cls(store, keys, output_limit, mark=mark, totals=counted, folded=folded)

    @property
    def swept(self) -> bool:
        """Whether every job is in `summaries`."""
        return self._swept is None

    def folded(self, job: str) -> int:
        """The newest group of the job's fires that did not run and are not kept one by one; -1: all are."""
        return self._folded.get(job, -1)

    def drop(self) -> None:
        """Forget what was not committed."""
        self._draft = Draft(self._keys)

    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk], *, sure: bool) -> None:
        """As `History.write`. Unless `sure`, what was never seen is taken to be new: Conflict where it is not."""
        await self._write_output([chunk for chunk in chunks if chunk.data], sure=sure)
        known = await self._records({execution.key for execution in executions}) if sure else {}
        jobs: dict[str, JobRecords] = {}
        for new in executions:
            if new.job not in jobs and not new.state.ran and new.group <= self.folded(new.job):
                await self.flush()
                jobs[new.job] = await self.load(new.job)
            if new.job in jobs:
                await self.change(jobs[new.job].record(new))
                continue
            step = Draft(self._keys)
            old = known.get(new.key)
            if old is None and not sure:
                step.insert(new)
            elif old is not None and keeps(old, new):
                continue
            else:
                step.change(old, new)
            known[new.key] = new
            await self._add(step)
        await self.flush()

    async def change(self, steps: Iterable[Step]) -> None:
        """Do `steps` in order, each within one commit. The last may have to wait for `flush`."""
        for step in steps:
            draft = Draft(self._keys)
            for old, new in step:
                draft.change(old, new)
            await self._add(draft)

    async def fold(self, job: str, folded: int) -> None:
        """See `Draft.fold`."""
        draft = Draft(self._keys)
        draft.fold(job, folded)
        await self._add(draft)

    async def load(self, job: str) -> JobRecords:
        """All records of a job; of what waits for `flush` it knows nothing."""
        return JobRecords(await self.records_after(job, ""), self.folded(job))

    async def records_after(self, job: str, after: str) -> list[Execution]:
        """The job's records whose places come after `after`, newest first."""
        prefix = self._keys.of_job(job)
        return [decode_record(entry.value) for entry in await list_all(self._store, prefix, after=prefix + after)]

    async def sweep(self) -> None:
        """Read some more records into `summaries`."""
        if self._swept is None:
            return
        page = await self._store.list(self._keys.records, after=self._swept, limit=_PAGE)
        self._note((None, decode_record(entry.value)) for entry in page.entries)
        self._swept = page.entries[-1].key if page.more else None

    async def flush(self) -> None:
        """Commit what waits."""
        draft, self._draft = self._draft, Draft(self._keys)
        if not draft.operations:
            return
        totals = self._totals.copy()
        totals.update(draft.totals)
        days: dict[str, DayRecord] = {}
        for date in {date for date, _ in draft.days}:
            old = await self._day(date)
            days[date] = DayRecord(old.success + draft.days[date, "success"], old.failed + draft.days[date, "failed"])
        counters = [Put(self._keys.days + date, encode_counter(day)) for date, day in days.items()]
        if draft.totals:
            counters.append(Put(self._keys.totals, encode_counter(totals)))
        guards = [Guard(self._keys.writer, self._mark), *(Guard(key, 0) for key in draft.guards)]
        try:
            await self._store.commit(guards, [*draft.operations.values(), *counters])
        except OutcomeUnknown:
            self.over = True
            raise
        except Conflict as conflict:
            self.over = conflict.key == self._keys.writer
            raise
        self._totals = totals
        self._days |= days
        self._folded |= draft.folded
        self._note(draft.changes)
        for key, stretches in draft.outputs.items():
            self._outputs.pop(key, None)
            self._outputs[key] = stretches
        while len(self._outputs) > _OUTPUTS_KNOWN:
            del self._outputs[next(iter(self._outputs))]

    async def _add(self, step: Draft) -> None:
        if not self._draft.takes(step):
            await self.flush()
        self._draft.add(step)

    async def _write_output(self, chunks: Sequence[OutputChunk], *, sure: bool) -> None:
        """Before the records: whoever finds a record finds its output. A run whose first bytes come is taken to have
        nothing yet unless `sure`."""
        first: dict[Key, int] = {}
        for chunk in chunks:
            first.setdefault((chunk.job, chunk.group, chunk.attempt, chunk.node), chunk.offset)
        outputs: dict[Key, Stretches] = {key: self._outputs[key] for key in first if key in self._outputs}
        unread = [key for key, offset in first.items() if key not in outputs and (sure or offset > 0)]
        held = await asyncio.gather(*(self._store.get(self._keys.output(key)) for key in unread))
        outputs |= {key: decode_output(entry.value) if entry else () for key, entry in zip(unread, held, strict=True)}
        for chunk in chunks:
            key = (chunk.job, chunk.group, chunk.attempt, chunk.node)
            step = Draft(self._keys)
            stretches = with_chunk(outputs.get(key, ()), chunk.offset, chunk.data, self._output_limit)
            step.output(key, stretches, absent=key not in outputs)
            outputs[key] = stretches
            await self._add(step)

    def _note(self, changes: Iterable[Change]) -> None:
        """Take in what was written."""
        for old, new in changes:
            if new is not None and (old is None or old.state.ran is new.state.ran):
                summary = self.summaries.setdefault(new.job, Summary())
                if summary is not None:
                    summary.add(new, self.folded(new.job))
            elif old is not None:
                self.summaries[old.job] = None
                if new is None:
                    self._outputs.pop(old.key, None)

    async def _day(self, date: str) -> DayRecord:
        if date not in self._days:
            held = await self._store.get(self._keys.days + date)
            self._days[date] = decode_day(held.value) if held else DayRecord()
        return self._days[date]

    async def _records(self, keys: Iterable[Key]) -> dict[Key, Execution]:
        held = await asyncio.gather(*(self._store.get(self._keys.record(key)) for key in keys))
        found = [decode_record(entry.value) for entry in held if entry]
        return {execution.key: execution for execution in found}


async def list_all(store: Store, prefix: str, *, after: str = "") -> list[Entry]:
    """All entries under `prefix` whose keys come after `after`."""
    found: list[Entry] = []
    more = True
    while more:
        page = await store.list(prefix, after=found[-1].key if found else after, limit=_PAGE)
        found += page.entries
        more = page.more
    return found
