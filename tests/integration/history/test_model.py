"""Whatever is written, in whatever order: every history holds what the simplest model of one holds."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from dkronpy.history.contract import DayCount, Query, Retention
from dkronpy.model.execution import Execution, OutputChunk, State
from tests.integration.history.conftest import DAY, SECOND, T0, idle, ran
from tests.support.memory_history import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkronpy.history.contract import History
    from tests.integration.history.conftest import Make

FULL = bool(os.environ.get("DKRONPY_FULL"))
LIMIT = 40
"""Bytes of output kept."""
ALPHABET = bytes(range(97, 123)) * 20
"""The output of every run; a chunk is a piece of it."""


@dataclass(frozen=True)
class Write:
    executions: Sequence[Execution]
    chunks: Sequence[OutputChunk]


@dataclass(frozen=True)
class Delete:
    job: str
    until: int


@dataclass(frozen=True)
class Prune:
    retention: Retention
    own: dict[str, Retention]
    batch: int


jobs = st.sampled_from(["a", "a-b", "b"])
groups = st.integers(0, 9).map(lambda n: T0 + n)
nodes = st.sampled_from(["n1", "n2"])
runs = st.builds(
    ran,
    jobs,
    groups,
    st.sampled_from([state for state in State if state.ran]),
    attempt=st.integers(1, 2),
    node=nodes,
    finished=st.integers(-1, 1).map(lambda days: T0 + days * DAY),
    output_size=st.integers(0, 20),
)
idles = st.builds(
    idle,
    jobs,
    groups,
    st.sampled_from(["overlap", "paused"]),
    st.sampled_from([State.SKIPPED, State.MISSED]),
)


@st.composite
def chunks(draw: st.DrawFn) -> OutputChunk:
    start = draw(st.integers(0, 100))
    end = start + draw(st.integers(0, 60))
    return OutputChunk(draw(jobs), T0, 1, draw(nodes), start, ALPHABET[start:end])


writes = st.builds(Write, st.lists(runs | idles, max_size=6), st.lists(chunks(), max_size=3))
deletes = st.builds(Delete, jobs, groups)
ages = st.none() | st.integers(0, 3).map(lambda days: days * DAY)
retentions = st.builds(
    Retention, st.integers(0, 3), ages, st.none() | st.integers(0, 30), st.none() | st.integers(0, 3), ages
)
prunes = st.builds(Prune, retentions, st.dictionaries(jobs, retentions, max_size=2), st.integers(1, 8))
kept = runs.filter(lambda e: e.group % 2 == 0) | idles.filter(lambda e: e.group % 2 == 1)
"""As it is in truth: a group has runs, or one record that it did not run."""
of_one_job = kept.map(lambda e: msgspec.structs.replace(e, job="a", reason=e.reason and "overlap"))
kept_writes = st.builds(Write, st.lists(kept, max_size=6), st.lists(chunks(), max_size=3))
crowded = st.builds(Write, st.lists(of_one_job, min_size=1, max_size=8), st.just(()))
slow_is_fine = settings(suppress_health_check=[HealthCheck.too_slow])
pytestmark = pytest.mark.timeout(900)


async def check(history: History, writes: Sequence[Write]) -> None:
    """Write, and compare with dictionaries."""
    records: dict[tuple[str, int, int, str], Execution] = {}
    output: defaultdict[tuple[str, int, int, str], dict[int, int]] = defaultdict(dict)
    for write in writes:
        await history.write(write.executions, write.chunks)
        for new in write.executions:
            old = records.get(new.key)
            if not old or not old.state.final or (new.state.final and (new.state != "lost" or old.state == "lost")):
                records[new.key] = new
        for chunk in write.chunks:
            key = (chunk.job, chunk.group, chunk.attempt, chunk.node)
            output[key] |= dict(enumerate(chunk.data, chunk.offset))
            end = max(output[key], default=-1) + 1
            output[key] = {place: byte for place, byte in output[key].items() if place >= end - LIMIT}
    found = (await history.query(Query(), limit=1000)).executions
    assert {e.key: e for e in found} == records
    assert list(found) == sorted(records.values(), key=lambda e: (-e.group, -e.attempt, e.node, e.job))
    days: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for e in records.values():
        if e.state.final and e.state.ran:
            day = {T0 - DAY: "2023-11-13", T0: "2023-11-14", T0 + DAY: "2023-11-15"}[e.finished or 0]
            days[day][e.state is not State.SUCCESS] += 1
    dates = ("2023-11-13", "2023-11-14", "2023-11-15")
    assert await history.stats(3, today=dates[-1]) == [DayCount(date, *days[date]) for date in dates]
    for key, held in output.items():
        place, end = 0, max(held, default=-1) + 1
        read: dict[int, int] = {}
        while place < end:
            part = await history.output(*key, offset=place, limit=7)
            assert part.size == end
            assert part.data
            read |= dict(enumerate(part.data, part.start))
            place = part.start + len(part.data)
        assert read == held


async def check_writes(make: Make, writes: Sequence[Write]) -> None:
    async with make(LIMIT) as history:
        await check(history, writes)


async def check_concurrent_writes(make: Make, writes: Sequence[Write]) -> None:
    """They are done in order."""
    async with make(LIMIT) as history, make(LIMIT) as other:
        await asyncio.gather(*(history.write(write.executions, write.chunks) for write in writes))
        await check(other, writes)
        everything = Query()
        assert (await history.query(everything, limit=1000)) == (await other.query(everything, limit=1000))


async def check_deletes_and_retention(make: Make, steps: Sequence[Write | Delete | Prune]) -> None:
    """Beside the twin in memory, which looks at everything each time."""
    model = MemoryHistory(output_limit=LIMIT)
    await model.open()
    async with make(LIMIT) as history:
        for step in steps:
            note(str(step))
            for one in (history, model):
                match step:
                    case Write(executions, chunks):
                        await one.write(executions, chunks)
                    case Delete(job, until):
                        await one.delete(job, until=until)
                    case Prune(retention, own, batch):
                        while await one.prune(retention, own=own, now=T0 + 2 * DAY + SECOND, batch=batch):
                            pass
            assert (await history.query(Query(), limit=1000)) == (await model.query(Query(), limit=1000)), step
        keys = [(job, T0, 1, node) for job in ("a", "a-b", "b") for node in ("n1", "n2")]
        assert await history.outputs(keys, tail=99) == await model.outputs(keys, tail=99)
        assert await history.stats(3, today="2023-11-15") == await model.stats(3, today="2023-11-15")


many = st.lists(writes, max_size=12)
mixed = st.lists(crowded | prunes | deletes | kept_writes, max_size=20)


@slow_is_fine
@given(many)
async def test_writes(make_near: Make, writes: Sequence[Write]) -> None:
    await check_writes(make_near, writes)


@slow_is_fine
@given(many)
async def test_concurrent_writes(make_near: Make, writes: Sequence[Write]) -> None:
    await check_concurrent_writes(make_near, writes)


@slow_is_fine
@given(mixed)
async def test_deletes_and_retention(make_near: Make, steps: Sequence[Write | Delete | Prune]) -> None:
    await check_deletes_and_retention(make_near, steps)


few = settings(slow_is_fine, max_examples=300 if FULL else 8)
"""In database servers each example takes a while, and most of the code is SQLite's."""


@few
@given(many)
async def test_writes_to_a_server(make_far: Make, writes: Sequence[Write]) -> None:
    await check_writes(make_far, writes)


@few
@given(st.lists(writes, max_size=8))
async def test_concurrent_writes_to_a_server(make_far: Make, writes: Sequence[Write]) -> None:
    await check_concurrent_writes(make_far, writes)


@few
@given(mixed)
async def test_deletes_and_retention_in_a_server(make_far: Make, steps: Sequence[Write | Delete | Prune]) -> None:
    await check_deletes_and_retention(make_far, steps)
