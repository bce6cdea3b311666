"""What the embedded history costs: executions recorded by concurrent writers, beside a bare sqlite3 loop and the disk's
own flushes in the same run; then pages of a large history.

Run: .venv/bin/python -m bench.history_bench [--seconds 5] [--executions 1000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from dkronpy.history.contract import Query, Retention
from dkronpy.history.rules import ended
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.model.execution import Execution, OutputChunk, State

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = 16
SECOND = 1_000_000_000
START = 1_795_219_200 * SECOND
STATES = (State.SUCCESS,) * 17 + (State.FAILED, State.TIMED_OUT, State.LOST)


def execution(job: str, number: int) -> Execution:
    """A typical record."""
    group = START + number * SECOND
    return Execution(
        job=job,
        group=group,
        attempt=1,
        node=f"n{number % 8}",
        state=STATES[number % len(STATES)],
        fire=group,
        decided=group + 1_000_000,
        started=group + 5_000_000,
        finished=group + 900_000_000,
        exit_code=0,
        epoch=3,
        spool="5f0e8a4c9d1b",
        output_size=29,
        output_sha256="b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
    )


def flushes(folder: Path, seconds: float) -> float:
    """Appends of 4 kB with fdatasync per second."""
    file = os.open(folder / "flushes", os.O_WRONLY | os.O_CREAT)
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        os.write(file, bytes(4096))
        os.fdatasync(file)
        done += 1
    os.close(file)
    return done / seconds


def bare(folder: Path, seconds: float) -> float:
    """Records per second that a loop inserts into one table with one key, `WRITERS` in each durable transaction."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE execution (job TEXT, grp INTEGER, record BLOB, PRIMARY KEY (job, grp)) WITHOUT ROWID"
    )
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        connection.execute("BEGIN")
        for job in range(WRITERS):
            record = execution(f"job{job}", done)
            connection.execute(
                "INSERT INTO execution VALUES (?, ?, ?)", (record.job, record.group, msgspec.json.encode(record))
            )
            done += 1
        connection.execute("COMMIT")
    connection.close()
    return done / seconds


async def recorded(folder: Path, seconds: float, at_once: int, chunks: bool) -> float:
    """Executions per second that `WRITERS` tasks record, `at_once` a call and durable before the next call, while old
    ones are pruned."""
    history = SqliteHistory(folder / f"history-{at_once}-{chunks}.db")
    await history.open()
    done, end = 0, time.perf_counter() + seconds

    async def write(job: str) -> None:
        nonlocal done
        number = 0
        while time.perf_counter() < end:
            batch = [execution(job, number + n) for n in range(at_once)]
            output = [OutputChunk(*e.key, 0, b"Sat Nov 21 00:00:00 UTC 2026\n") for e in batch] if chunks else []
            await history.write(batch, output)
            number += at_once
            done += at_once

    async def prune() -> None:
        while time.perf_counter() < end:
            await asyncio.sleep(0.5)
            while await history.prune(Retention(1000), now=START):
                pass

    began = time.perf_counter()
    await asyncio.gather(prune(), *(write(f"job{n}") for n in range(WRITERS)))
    rate = done / (time.perf_counter() - began)
    await history.close()
    return rate


def rows(count: int) -> Iterator[tuple[str, int, int, str, str, int | None, int, bytes]]:
    """`count` executions as the database has them: half of the job "busy", half of 1,000 others."""
    for number in range(count):
        record = execution("busy" if number % 2 else f"job{number % 2000}", number)
        yield (*record.key, record.state, ended(record), record.output_size, msgspec.json.encode(record))


def fill(path: Path, count: int) -> None:
    """Fill the empty, closed history `path` quickly: indexes last, nothing flushed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''").fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.executemany(
        "INSERT INTO execution (job, grp, attempt, node, state, ended, size, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows(count),
    )
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.close()


async def pages(folder: Path, count: int) -> None:
    """Print what it takes to find the newest 100 of `count` executions, under each condition."""
    history = SqliteHistory(folder / "large.db")
    await history.open()
    await history.close()
    began = time.perf_counter()
    fill(folder / "large.db", count)
    size = (folder / "large.db").stat().st_size
    print(f"{count:,} executions in {time.perf_counter() - began:.0f} s, {size / count:.0f} bytes each")
    await history.open()
    busy = Query(job="busy")
    queries = {
        "one job": busy,
        "one job, failed": Query(job="busy", states=frozenset({State.FAILED})),
        "one job, none such": Query(job="busy", states=frozenset({State.KILLED})),
        "one job, one node": Query(job="busy", node="n3"),
        "all jobs": Query(),
        "all jobs, failed or lost": Query(states=frozenset({State.FAILED, State.LOST})),
        "all jobs, one node": Query(node="n5"),
        "one job, before a time": Query(job="busy", until=START + count // 2 * SECOND),
    }
    for name, query in queries.items():
        first, median, slow = (seconds * 1e3 for seconds in await timed(history, query))
        print(f"  newest 100: {name:26} first {first:6.2f} ms, median {median:6.2f}, 99 % {slow:6.2f}")
    for name, query in (("one job", busy), ("all", Query())):
        began = time.perf_counter()
        found = await history.count(query)
        print(f"  count: {name}, {found:,}: {(time.perf_counter() - began) * 1e3:.1f} ms")
    began, batches, slowest = time.perf_counter(), 0, 0.0
    more = True
    while more and batches < 50:
        start = time.perf_counter()
        more = await history.prune(Retention(1000), now=START)
        slowest, batches = max(slowest, time.perf_counter() - start), batches + 1
    spent = time.perf_counter() - began
    print(
        f"  prune: {batches * 1000 / spent:,.0f} executions/s in batches of 1,000, the slowest {slowest * 1e3:.0f} ms"
    )
    await history.close()


async def timed(history: SqliteHistory, query: Query) -> tuple[float, float, float]:
    """Seconds that the first page takes, and of 100 more the median and 99th percentile."""
    times: list[float] = []
    for _ in range(101):
        began = time.perf_counter()
        await history.query(query, limit=100)
        times.append(time.perf_counter() - began)
    later = sorted(times[1:])
    return times[0], later[50], later[98]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=3)
    arguments.add_argument("--executions", type=int, default=0, help="read pages of a history of so many")
    arguments.add_argument("--folder", type=Path, help="where to write; its disk is what is measured")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(f"fdatasync of 4 kB: {flushes(folder, 1):,.0f}/s")
        print(f"bare sqlite3, {WRITERS} in a transaction: {bare(folder, options.seconds):,.0f} records/s")
        for at_once, chunks in ((1, False), (1, True), (20, True)):
            rate = uvloop.run(recorded(folder, options.seconds, at_once, chunks))
            print(f"{WRITERS} writers, {at_once} a call{', with output' if chunks else ''}: {rate:,.0f} executions/s")
        if options.executions:
            uvloop.run(pages(folder, options.executions))


if __name__ == "__main__":
    main()
