"""A node with many jobs and a long history, on which runs begin and end all the time; nothing is really run.

`python -m tests.support.large_node DIRECTORY PORT JOBS EXECUTIONS RATE` serves it, with RATE runs a second, and prints
a line once it answers.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop
from aiohttp import web

from dkronpy.api.definitions import checked_job
from dkronpy.catalog.keys import encode
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.model.execution import Execution, State, Trigger
from dkronpy.model.job import JobState, JobStatus
from dkronpy.model.records import GroupRecord
from dkronpy.store.contract import Delete, Operation, Put
from dkronpy.store.sqlite import SqliteStore
from tests.support.api_node import NODE, ApiNode, api_node

_SECOND = 1_000_000_000
_TICK = 0.1
"""Seconds between two commits of runs that begin and end."""
_ENDS = (State.SUCCESS,) * 18 + (State.FAILED, State.SKIPPED)


_T = TypeVar("_T")


def batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Lists of `size` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def job_name(number: int) -> str:
    return f"job-{number:05}"


async def _define(node: ApiNode, count: int) -> None:
    """Jobs with their state, many in one commit."""
    since = time.time_ns()
    for numbers in batched(range(count), 30):
        written: list[Operation] = []
        for number in numbers:
            spec = {
                "name": job_name(number),
                "schedule": f"0 {number % 60} {number % 24} * * *",
                "executor": "shell",
                "executor_config": {"command": "date"},
                "tags": {"server": "true:1"},
            }
            job = msgspec.structs.replace(checked_job(spec, now=since), since=since, created=since)
            status = JobStatus.FAILED if number % 20 == 19 else JobStatus.SUCCESS
            state = JobState(adopted=since, success_count=95, error_count=5, last_success=since, status=status)
            written += [Put(node.keys.job(job.name), encode(job)), Put(node.keys.state(job.name), encode(state))]
        await node.store.commit([], written)


def _past(jobs: int, count: int) -> Iterator[Execution]:
    """The last executions of all jobs in turn, one every second and a half up to now."""
    begin = time.time_ns() - count * 1_500_000_000
    for number in range(count):
        group = begin + number * 1_500_000_000
        end = _ENDS[(number // jobs + number) % len(_ENDS)]
        yield _run(job_name(number % jobs), group, end)


def _fill(path: Path, executions: Iterable[Execution]) -> None:
    """Fill an empty history quickly: indexes last, nothing flushed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''").fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.executemany(
        "INSERT INTO execution (job, grp, attempt, node, state, ended, record) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((*run.key, run.state, run.finished or run.decided, msgspec.json.encode(run)) for run in executions),
    )
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.close()


def _run(job: str, group: int, state: State) -> Execution:
    if state is State.SKIPPED:
        return Execution(job, group, 0, "", state, "overlap", fire=group, decided=group)
    started = group + 20_000_000
    finished = None if not state.final else started + 800_000_000 + group % 700_000_000
    code = None if not state.final else int(state is not State.SUCCESS)
    return Execution(
        job, group, 1, NODE, state, trigger=Trigger.SCHEDULE, fire=group, decided=group + 2_000_000, started=started,
        finished=finished, exit_code=code, epoch=1, output_size=0,
    )  # fmt: skip


def _kept(node: ApiNode, runs: list[Execution]) -> list[Operation]:
    """The runs as the store holds them while they are in flight."""
    return [Put(node.keys.group(run.job, run.group), encode(GroupRecord((run,)))) for run in runs]


async def _live(node: ApiNode, jobs: int, rate: int) -> None:
    """So many runs a second begin, and end a second later."""
    numbers = cycle(range(jobs))
    flying: list[list[Execution]] = []
    while True:
        tick = asyncio.get_running_loop().time() + _TICK
        now = time.time_ns()
        begun = [_run(job_name(next(numbers)), now + n, State.RUNNING) for n in range(round(rate * _TICK))]
        written: list[Operation] = [
            Put(node.keys.group(run.job, run.group), encode(GroupRecord((run,)))) for run in begun
        ]
        flying.append(begun)
        if len(flying) > round(1 / _TICK):
            ended = [_run(run.job, run.group, State.SUCCESS) for run in flying.pop(0)]
            await node.history.write(ended, [])
            await node.write(*_kept(node, ended))
            written += [Delete(node.keys.group(run.job, run.group)) for run in ended]
        await node.write(*written)
        await asyncio.sleep(max(tick - asyncio.get_running_loop().time(), 0))


async def _serve(directory: Path, port: int, jobs: int, executions: int, rate: int) -> None:
    store, history = SqliteStore(directory / "store.db"), SqliteHistory(directory / "history.db")
    async with api_node(directory, store=store, history=history) as node:
        _fill(directory / "history.db", _past(jobs, executions))
        await _define(node, jobs)
        runner = web.AppRunner(node.app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print("ready", flush=True)  # noqa: T201 - what the caller waits for
        if rate:
            await _live(node, jobs, rate)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), *map(int, sys.argv[2:6])))
