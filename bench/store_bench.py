"""Commits per second of the embedded store with 1 and 16 writers, beside fdatasync/s of a bare file and a bare sqlite3
loop with the same batches, on the same disk in the same run; then reads.

Run: .venv/bin/python bench/store_bench.py [--dir DIR] [--seconds 1] [--rounds 3] [--value 300]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from dkronpy.store.contract import Guard, Put
from dkronpy.store.sqlite import SqliteStore

WRITERS: Final = (1, 16)
KEYS: Final = 500  # of each writer, used in turn


def fdatasyncs(folder: Path, seconds: float) -> float:
    """Appends of one 4 kB block per second, each synced."""
    with (folder / "bare").open("wb", buffering=0) as file:
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - start)


def bare_sqlite(folder: Path, seconds: float, batch: int, value: bytes) -> float:
    """Puts per second of a loop that does nothing else, `batch` a transaction."""
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB, revision INTEGER)")
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO kv VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE "
            "SET value = excluded.value, revision = excluded.revision",
            [(f"bench/jobs/{writer}-{count // batch % KEYS}", value, count) for writer in range(batch)],
        )
        db.execute("COMMIT")
        count += batch
    rate = count / (time.perf_counter() - start)
    db.close()
    return rate


async def commits(store: SqliteStore, seconds: float, writers: int, value: bytes) -> tuple[float, list[float]]:
    """Commits per second, each a put under a guard, and the time each took (s)."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def write(writer: int) -> None:
        revisions = dict.fromkeys(range(KEYS), 0)
        page = await store.list(f"bench/jobs/{writer}-")
        revisions |= {int(entry.key.rpartition("-")[2]): entry.revision for entry in page.entries}
        for number in itertools.cycle(range(KEYS)):
            start = time.perf_counter()
            if start > end:
                return
            key = f"bench/jobs/{writer}-{number}"
            revisions[number] = await store.commit([Guard(key, revisions[number])], [Put(key, value)])
            took.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(writers)))
    return len(took) / (time.perf_counter() - start), took


def percentiles(took: list[float]) -> str:
    """In ms."""
    cuts = statistics.quantiles(took, n=1000)
    return f"p50 {cuts[499] * 1e3:.2f}, p99 {cuts[989] * 1e3:.2f}, p99.9 {cuts[998] * 1e3:.2f} ms"


async def writes(folder: Path, store: SqliteStore, options: argparse.Namespace) -> None:
    """Rounds of all three by turns, for disks have moods; medians."""
    value = b"x" * options.value
    for writers in WRITERS:
        synced: list[float] = []
        bare: list[float] = []
        ours: list[float] = []
        took: list[float] = []
        for _ in range(options.rounds):
            synced.append(fdatasyncs(folder, options.seconds / 2))
            bare.append(bare_sqlite(folder, options.seconds, writers, value))
            rate, times = await commits(store, options.seconds, writers, value)
            ours.append(rate)
            took += times
        print(
            f"{writers:2} writers: {statistics.median(ours):8,.0f} commits/s ({percentiles(took)}); "
            f"bare sqlite3 {statistics.median(bare):8,.0f}/s; fdatasync {statistics.median(synced):8,.0f}/s"
        )


async def reads(store: SqliteStore, seconds: float, value: bytes) -> None:
    """Gets alone and beside 16 writers; a listing."""

    async def gets() -> list[float]:
        took: list[float] = []
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            await store.get("bench/jobs/3-7")
            took.append(time.perf_counter() - start)
            if len(took) % 16 == 0:
                await asyncio.sleep(0)
        return took

    took = await gets()
    print(f"get:               {len(took) / seconds:8,.0f}/s ({percentiles(took)})")
    took, (rate, _) = await asyncio.gather(gets(), commits(store, seconds, 16, value))
    print(f"get beside writers:{len(took) / seconds:8,.0f}/s ({percentiles(took)}), {rate:,.0f} commits/s")
    start = time.perf_counter()
    page = await store.list("bench/", limit=5000)
    print(f"list of {len(page.entries)}:    {(time.perf_counter() - start) * 1e3:8.1f} ms")


async def busy(store: SqliteStore, seconds: float, value: bytes) -> None:
    """Commits while the loop is busy with other work, 1 ms at a time."""

    async def work() -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            slot = time.perf_counter() + 0.001
            while time.perf_counter() < slot:
                pass
            await asyncio.sleep(0)

    (rate, took), _ = await asyncio.gather(commits(store, seconds, 16, value), work())
    print(f"16 writers beside a busy loop: {rate:,.0f} commits/s ({percentiles(took)})")


async def run(options: argparse.Namespace) -> None:
    """All of it, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="store-bench-") as name:
        folder = Path(name)
        store = SqliteStore(folder / "store.db")
        await store.open()
        await writes(folder, store, options)
        await busy(store, options.seconds, b"x" * options.value)
        await reads(store, options.seconds, b"x" * options.value)
        start = time.perf_counter()
        await store.close()
        print(f"close:             {(time.perf_counter() - start) * 1e3:8.1f} ms")


def main() -> None:
    """Read the options, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dir", type=Path, default=Path.cwd(), help="folder on the disk to measure (default: this one)"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown")
    parser.add_argument("--value", type=int, default=300, help="bytes of each value")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
