"""Backups of every store into every other, also while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dkronpy.backup.file import BackupError, Line, Run, Value, Writer
from dkronpy.backup.restore import AHEAD, restore
from dkronpy.backup.take import WHOLE, take
from dkronpy.catalog.keys import KINDS, Keys, encode
from dkronpy.history.contract import History, Query
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.history.store import StoreHistory
from dkronpy.model.backfill import Backfill, BackfillPolicy, BackfillProgress
from dkronpy.model.execution import Execution, Origin, OutputChunk, State, Trigger
from dkronpy.model.figures import Figures, JobFigures
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.link import Link, LinkSecret
from dkronpy.model.records import (
    ClusterSettings,
    Cursor,
    Drain,
    Epoch,
    FileMark,
    GroupRecord,
    Lease,
    Pause,
    SourceRecord,
    Sweep,
    TriggerRecord,
)
from dkronpy.store.contract import Put, Store
from tests.support.memory_history import MemoryHistory
from tests.support.memory_store import MemoryStore
from tests.support.stores import STORES

KEYS = Keys("dkron")
SECOND = 1_000_000_000
T = 1_795_000_000 * SECOND
"""A whole second: up to here every fire is decided."""


def ran(job: str, group: int, *, attempt: int = 1, **fields: object) -> Execution:
    state = fields.pop("state", State.SUCCESS)
    fire = fields.pop("fire", group)
    return Execution(job, group, attempt, "n1", state, fire=fire, finished=group + 5, output_size=3, **fields)  # type: ignore[arg-type]


VALUES: dict[str, object] = {
    "jobs/tick": Job("tick", T - 500 * SECOND, schedule="@every 10s", executor="shell"),
    "jobs/child": Job("child", T - 500 * SECOND, parent_job="tick", executor="shell"),
    "states/tick": JobState(
        adopted=T - 500 * SECOND,
        success_count=5,
        last_success=T,
        backfill=BackfillProgress(T - 5, 1),
        figures=Figures(3, 5, observed=5),
    ),
    "edits/tick/1": Edit(T - 500 * SECOND, "someone", Job("tick", T - 500 * SECOND)),
    f"runs/tick/{T - 10 * SECOND:020d}": GroupRecord((Execution("tick", T - 10 * SECOND, 1, "n1", State.RUNNING),)),
    f"runs/tick/{T - 20 * SECOND:020d}": GroupRecord((ran("tick", T - 20 * SECOND),)),
    f"triggers/child/{T + 7:020d}": TriggerRecord(T + 7, by="someone"),
    "drains/n9": Drain(5, "someone"),
    "backfills/tick": Backfill(T - 5, "someone", 5, 9, BackfillPolicy.ALL, 2, (6, 8)),
    "cursor": Cursor(T, "tick", 99),
    "pause": Pause(5, 6),
    "sources/%2Fetc%2Fdsari": SourceRecord("d", 5, 5, "n1"),
    "settings": ClusterSettings({"A": "1"}, 5, "someone"),
    "links/tick/a1": Link(5, 6, once=True, uses=1),
    "linkkey": LinkSecret("ab" * 32, 5),
    "files/n1": FileMark(7),
    "leader/epoch": Epoch(41, "n1", 5),
    "lease": Lease(41, 0, released=True),
}
KEPT = [
    ran("tick", T - 30 * SECOND),
    ran("tick", T),
    ran("tick", T - 20 * SECOND),  # in the store too, and over there
    ran("child", T + 5, trigger=Trigger.MANUAL),
    ran("tick", T + 8, fire=6, trigger=Trigger.BACKFILL, origin=Origin("someone", T - 5)),
    ran("tick", T + 10 * SECOND + 3),  # taken over from elsewhere: the schedule has no such fire
]
LEFT = [
    ran("tick", T + 10 * SECOND),  # decided after the store was read
    ran("tick", T - 10 * SECOND),  # in flight there
    ran("child", T + 7, trigger=Trigger.MANUAL),  # asked for there
    ran("tick", T + 9, fire=8, trigger=Trigger.BACKFILL, origin=Origin("someone", T - 5)),  # started later
]


FIGURES = JobFigures("tick", 5, 0, Figures(3, 5, observed=5), None, b"digest", b"other")
COUNTED = [
    JobFigures("tick", 9, 0, Figures(3, 9, observed=9), None, b"digest", b"other"),  # later than the store
    JobFigures("gone", 9, 0, Figures(3, 9, observed=9)),  # of a job that is no more
]


async def fill(store: Store, history: History) -> None:
    await store.commit([], [Put(KEYS.root + key, encode(value)) for key, value in VALUES.items()])
    executions = [*KEPT, *LEFT]
    chunks = [OutputChunk(*execution.key, 0, b"\xffab") for execution in KEPT]
    await history.write_figures(COUNTED)
    await history.write(executions, [*chunks, OutputChunk("tick", T - 10 * SECOND, 1, "n1", 0, b"half")])


async def lines_of(store: Store, history: History, *, page: int = 4) -> list[Line]:
    lines: list[Line] = []
    await take(store, history, KEYS, lines.append, backend="any", now=T, page=page, progress=lambda _: None)
    return lines


async def saved(path: Path, store: Store, history: History) -> None:
    with Writer(path) as writer:
        await take(store, history, KEYS, writer.write, backend="any", now=T, page=4, progress=lambda _: None)
        writer.finish()


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncGenerator[tuple[Store, History]]:
    """A new store with the history that belongs to it."""
    await asyncio.to_thread(folder.mkdir)
    store = STORES[kind](folder)()
    history: History = SqliteHistory(folder / "history.db") if kind == "sqlite" else StoreHistory(store, "dkron")
    if kind == "memory":
        history = MemoryHistory()
    await store.open()
    await history.open()
    try:
        yield store, history
    finally:
        await history.close()
        await store.close()


async def held(store: Store) -> dict[str, bytes]:
    return {entry.key: entry.value for entry in (await store.list("dkron/", limit=WHOLE)).entries}


@pytest.mark.parametrize("source", STORES)
async def test_from_every_store_into_another_and_back(tmp_path: Path, source: str) -> None:
    path, back = tmp_path / "backup", tmp_path / "back"
    async with opened(source, tmp_path / "one") as (store, history):
        await fill(store, history)
        await saved(path, store, history)
        assert await store.get(KEYS.backup) is None
    other = "memory" if source == "sqlite" else "sqlite"
    async with opened(other, tmp_path / "two") as (store, history):
        await restore(path, store, history, KEYS, overwrite=False, progress=lambda _: None)
        values = await held(store)
        epoch = KINDS["leader"].decode(values.pop("dkron/leader/epoch"))
        assert epoch == Epoch(41 + AHEAD, "n1", 5)
        expected = {f"dkron/{key}": encode(value) for key, value in VALUES.items()}
        assert values == {k: v for k, v in expected.items() if k not in ("dkron/leader/epoch", "dkron/lease")}
        found = (await history.query(Query())).executions
        assert sorted(found, key=lambda e: e.key) == sorted(KEPT, key=lambda e: e.key)
        outputs = await history.outputs([execution.key for execution in KEPT], tail=100)
        assert {output.data for output in outputs.values()} == {b"\xffab"}
        half = await history.output("tick", T - 10 * SECOND, 1, "n1")
        assert half.data == b"half"
        assert await history.figures() == [FIGURES]
        await saved(back, store, history)
    async with opened(source, tmp_path / "three") as (store, history):
        await restore(back, store, history, KEYS, overwrite=False, progress=lambda _: None)
        assert len(await held(store)) == len(VALUES) - 1
        assert len((await history.query(Query())).executions) == len(KEPT)
        assert await history.figures() == [FIGURES]


@pytest.mark.parametrize("kind", [kind for kind in STORES if kind != "sqlite"])
async def test_it_holds_at_one_revision_while_it_is_written(tmp_path: Path, kind: str) -> None:
    """Two writers change many keys at once, always all of a set to the same number."""
    sets = {name: [f"{KEYS.root}edits/{name}/{n:03}" for n in range(25)] for name in ("a", "b", "z")}
    async with opened(kind, tmp_path / "one") as (store, history):
        written = dict.fromkeys(sets, 0)
        going = asyncio.Event()

        async def go_on(name: str) -> None:
            while True:
                written[name] += 1
                value = b"%d" % written[name]
                await store.commit([], [Put(key, value) for key in sets[name]])
                if min(written.values()) >= 2:
                    going.set()

        writers = [asyncio.create_task(go_on(name)) for name in sets]
        try:
            await going.wait()
            for _ in range(5):
                before = dict(written)
                taken = {
                    line.key: line.value for line in await lines_of(store, history, page=7) if isinstance(line, Value)
                }
                assert len(taken) == 75
                for name, keys in sets.items():
                    (value,) = {taken[key[len(KEYS.root) :]] for key in keys}
                    assert before[name] - 1 <= int(value) <= written[name]
        finally:
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)


async def test_a_target_that_is_used_or_not_empty_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    async with opened("memory", tmp_path / "one") as (store, history):
        await fill(store, history)
        await saved(path, store, history)
        before = await held(store)
        with pytest.raises(BackupError, match="is not empty"):
            await restore(path, store, history, KEYS, overwrite=False, progress=lambda _: None)
        assert await held(store) == before
        await store.commit([], [Put(KEYS.root + "jobs/other", encode(Job("other", 5)))])
        await history.write([ran("other", 5)], [])
        await history.write_figures([JobFigures("else", 1, 0, Figures(T, 1))])
        await restore(path, store, history, KEYS, overwrite=True, progress=lambda _: None)
        raised = encode(Epoch(41 + AHEAD, "n1", 5))
        assert await held(store) == {
            key: raised if key == "dkron/leader/epoch" else value
            for key, value in before.items()
            if key != "dkron/lease"
        }
        assert len((await history.query(Query())).executions) == len(KEPT)
        assert await history.figures() == [FIGURES]
    store, history = MemoryStore(), MemoryHistory()
    await store.open()
    await history.open()
    await history.write([ran("other", 5)], [])
    with pytest.raises(BackupError, match="history is not empty"):
        await restore(path, store, history, KEYS, overwrite=False, progress=lambda _: None)

    async def renew(number: int) -> None:
        await store.commit([], [Put(KEYS.lease, encode(Lease(1, number)))])

    async def lead() -> None:
        number = 1
        while True:
            await asyncio.sleep(0.2)
            number += 1
            await renew(number)

    await renew(1)
    leader = asyncio.create_task(lead())
    try:
        with pytest.raises(BackupError, match="servers use this store"):
            await restore(path, store, history, KEYS, overwrite=True, progress=lambda _: None)
    finally:
        leader.cancel()
    await store.close()
    await history.close()


async def test_a_damaged_backup_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    async with opened("memory", tmp_path / "one") as (store, history):
        await fill(store, history)
        await saved(path, store, history)
        before = await held(store)
        path.write_bytes(path.read_bytes()[:-30])
        with pytest.raises(BackupError):
            await restore(path, store, history, KEYS, overwrite=True, progress=lambda _: None)
        assert await held(store) == before


async def test_what_a_sweep_owes_is_left_out(tmp_path: Path) -> None:
    """A leader that took over decides its backlog job by job: behind the cursor, and yet not decided."""
    async with opened("memory", tmp_path / "one") as (store, history):
        await fill(store, history)
        owed = Cursor(T, "tick", 99, (Sweep(T - 35 * SECOND, "", T - 25 * SECOND),))
        await store.commit([], [Put(KEYS.cursor, encode(owed))])
        kept = {line.execution.group for line in await lines_of(store, history) if isinstance(line, Run)}
        assert kept == {execution.group for execution in KEPT} - {T - 30 * SECOND}
        decided = JobState(decided=T - 25 * SECOND, backfill=BackfillProgress(T - 5, 1))
        await store.commit([], [Put(KEYS.state("tick"), encode(decided))])
        kept = {line.execution.group for line in await lines_of(store, history) if isinstance(line, Run)}
        assert kept == {execution.group for execution in KEPT}
