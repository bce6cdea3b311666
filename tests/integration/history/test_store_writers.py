"""Several servers that write the history in one store, and what befalls the store meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from dkronpy.history.contract import DayCount, HistoryError, HistoryFull, Query, Retention
from dkronpy.history.store import StoreHistory
from dkronpy.model.execution import Execution, State
from dkronpy.store.contract import MAX_PARTS
from dkronpy.store.etcd import EtcdStore
from tests.integration.history.conftest import T0, idle, piece, ran
from tests.support.etcd import Etcd
from tests.support.memory_store import Fault, MemoryData, MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from dkronpy.store.contract import Guard, Operation

TODAY = "2023-11-14"


@asynccontextmanager
async def opened(store: MemoryStore, **options: int) -> AsyncGenerator[StoreHistory]:
    await store.open()
    history = StoreHistory(store, "dkron", **options)
    await history.open()
    try:
        yield history
    finally:
        await history.close()
        await store.close()


class Commits:
    """Counts a store's commits; the one numbered `at` meets with `fault`."""

    def __init__(self, at: int = 0, fault: Fault | None = None) -> None:
        self.sizes: list[int] = []
        self._at = at
        self._fault = fault

    def __call__(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> Fault | None:
        self.sizes.append(len(guards) + len(operations))
        return self._fault if len(self.sizes) == self._at else None


async def everything(history: StoreHistory) -> list[Execution]:
    return list((await history.query(Query(), limit=10_000)).executions)


async def test_two_write_by_turns() -> None:
    data = MemoryData()
    async with opened(MemoryStore(data)) as one, opened(MemoryStore(data)) as other:
        for n in range(20):
            writer, reader = (one, other) if n % 3 else (other, one)
            run = ran("a", T0 + n)
            await writer.write([run], [piece(run, 0, b"ab")])
            await reader.write([run, ran("b", T0 + n, State.FAILED)], [piece(run, 1, b"bc")])
            assert (await writer.output(*run.key)).data == b"abc"
        assert await one.stats(1, today=TODAY) == [DayCount(TODAY, 20, 20)]
        assert await other.count(Query()) == 40
        assert await other.count(Query(states=frozenset({State.FAILED}))) == 20


async def test_two_write_at_once() -> None:
    data = MemoryData()
    async with opened(MemoryStore(data)) as one, opened(MemoryStore(data)) as other:
        lost = [ran("a", T0 + n, State.LOST) for n in range(40)]
        true = [ran("a", T0 + n) for n in range(40)]

        async def write(history: StoreHistory, records: list[Execution]) -> None:
            for start in range(0, 40, 4):
                while True:
                    try:
                        await history.write(records[start : start + 4], [])
                    except HistoryError:  # another was always quicker
                        await asyncio.sleep(0)
                        continue
                    break

        await asyncio.gather(write(one, lost), write(other, true))
        assert await everything(one) == true[::-1]
        assert await one.stats(1, today=TODAY) == [DayCount(TODAY, 40, 0)]
        assert await one.count(Query()) == 40


async def test_what_one_has_joined_the_other_knows() -> None:
    data = MemoryData()
    async with opened(MemoryStore(data)) as one, opened(MemoryStore(data)) as other:
        fires = [idle("a", T0 + n) for n in range(8)]
        await other.write([ran("b", T0)], [])
        await one.write(fires, [])
        assert not await one.prune(Retention(3), now=T0)
        await other.write(fires, [])
        assert [(e.group - T0, e.count) for e in await everything(one) if e.job == "a"] == [
            (7, 1),
            (6, 1),
            (5, 1),
            (0, 5),
        ]


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST, Fault.UNANSWERED, Fault.FULL])
@pytest.mark.parametrize("at", range(1, 8))
async def test_any_commit_fails(at: int, fault: Fault) -> None:
    """What was to be done is done again, and comes out as if nothing had happened."""
    data = MemoryData()
    commits = Commits(at, fault)
    async with opened(MemoryStore(data, fault=commits)) as history:
        runs = [ran("a", T0 + n) for n in range(30)]
        fires = [idle("a", T0 + 100 + n) for n in range(12)]
        output = [piece(run, 0, b"text") for run in runs[-5:]]

        async def prune() -> None:
            while await history.prune(Retention(6), now=T0):
                pass

        failures: list[HistoryError] = []
        for work in (lambda: history.write([*runs, *fires], output), prune):
            while True:
                try:
                    await work()
                except HistoryError as error:
                    failures.append(error)
                else:
                    break
        assert [type(error) for error in failures] == [HistoryFull if fault is Fault.FULL else HistoryError]
        found = await everything(history)
        assert [e.group - T0 for e in found] == [*range(111, 105, -1), 100, *range(29, 23, -1)]
        assert found[6].count == 6
        assert await history.stats(1, today=TODAY) == [DayCount(TODAY, 30, 0)]
        assert await history.count(Query()) == len(found)
        assert len([key for key in data.entries if key.startswith("dkron:history/output/")]) == 5
        indexed = [key for key in data.entries if key.startswith(("dkron:history/states/", "dkron:history/nodes/"))]
        assert len(indexed) == 2 * len(found)


async def test_etcd_is_killed_under_load(tmp_path: Path) -> None:
    with Etcd(tmp_path) as etcd:
        stores = [EtcdStore([etcd.address], timeout=5.0) for _ in range(2)]
        for store in stores:
            await store.open()
        one, other = (StoreHistory(store, "dkron") for store in stores)
        await one.open()
        await other.open()
        failures = written = 0
        stop = False

        async def write(client: int) -> None:
            nonlocal failures, written
            while not stop:
                run = ran(f"job{client}", T0 + written, error="x" * 50)
                written += 1
                history = one if client < 4 or written < 100 else other
                while True:
                    try:
                        await history.write([run], [piece(run, 0, b"text")])
                    except HistoryError:
                        failures += 1
                        await asyncio.sleep(0.05)
                    else:
                        break

        async def more(count: Callable[[], int], by: int) -> None:
            enough = count() + by
            async with asyncio.timeout(60):
                while count() < enough:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        writing = [asyncio.create_task(write(client)) for client in range(5)]
        for _ in range(3):
            await more(lambda: written, 40)
            etcd.kill()
            await more(lambda: failures, 1)
            await asyncio.to_thread(etcd.start)
        await more(lambda: written, 40)
        stop = True
        await asyncio.gather(*writing)
        assert await one.count(Query()) == written
        assert await one.stats(1, today=TODAY) == [DayCount(TODAY, written, 0)]
        found = (await one.query(Query(), limit=100_000)).executions
        assert [e.group - T0 for e in found] == list(range(written))[::-1]
        outputs = await one.outputs([e.key for e in found], tail=9)
        assert {output.data for output in outputs.values()} == {b"text"}
        for history, store in zip((one, other), stores, strict=True):
            await history.close()
            await store.close()


async def test_few_commits_and_none_too_large() -> None:
    commits = Commits()
    async with opened(MemoryStore(fault=commits)) as history:
        runs = [ran(f"job{n}", T0 + n) for n in range(200)]
        await history.write(runs, [])
        assert len(commits.sizes) <= 1 + 200 // 14 + 1
        before = len(commits.sizes)
        await history.write(runs, [])  # again: read, and left as it is
        assert len(commits.sizes) == before + 1
        await asyncio.gather(*(history.write([ran("a", T0 + n)], []) for n in range(100)))
        assert len(commits.sizes) < before + 12
        run = ran("large", T0)
        await history.write([run], [piece(run, start, bytes(10_000)) for start in range(0, 1_000_000, 10_000)])
        assert (await history.output(*run.key)).start == 1_000_000 - 16_384
        assert max(commits.sizes) <= MAX_PARTS


async def test_a_run_and_its_output_are_one_commit() -> None:
    data = MemoryData()
    async with opened(MemoryStore(data)) as history:
        await history.write([ran("other", T0)], [])
        before = data.revision
        run = ran("a", T0)
        await history.write([run], [piece(run, 0, b"text")])
        assert data.revision == before + 1


async def test_no_more_is_kept_than_the_store_has_room_for() -> None:
    async with opened(MemoryStore()) as history:
        await history.write([ran("a", T0 + n) for n in range(150)], [])
        while await history.prune(Retention(1000), now=T0):
            pass
        assert await history.count(Query(job="a")) == 100


async def test_what_is_wrong_with_one_does_not_stop_others() -> None:
    async with opened(MemoryStore()) as history:
        writes = [history.write([ran("a", T0 + n if n != 7 else 1 << 70)], []) for n in range(20)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [n for n, result in enumerate(results) if result is not None] == [7]
        assert isinstance(results[7], ValueError)
        assert await history.count(Query()) == 19


async def test_damage_is_told() -> None:
    data = MemoryData()
    async with opened(MemoryStore(data)) as history:
        await history.write([ran("a", T0)], [])
        key = next(key for key in data.entries if key.startswith("dkron:history/runs/"))
        data.entries[key] = type(data.entries[key])(key, b"x", data.revision)
        for work in (history.query(Query()), history.get("a", T0, 1, "n1"), history.write([ran("a", T0)], [])):
            with pytest.raises(HistoryError, match="a record is damaged"):
                await work


async def test_closed() -> None:
    store = MemoryStore()
    history = StoreHistory(store, "dkron")
    await history.close()
    for work in (history.write([ran("a", T0)], []), history.count(Query()), history.prune(Retention(), now=T0)):
        with pytest.raises(HistoryError, match="not open"):
            await work


async def test_closing_finishes_what_was_accepted() -> None:
    data = MemoryData()
    store = MemoryStore(data)
    async with opened(store) as history:
        tasks = [asyncio.ensure_future(history.write([ran("a", T0 + n)], [])) for n in range(300)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for n, result in enumerate(results) if n % 3] == [None] * 200
    async with opened(MemoryStore(data)) as again:
        assert await again.count(Query()) == 300
