"""Commits per second of each shared store with 1 and 16 writers, beside the same transactions sent by the store's bare
client, on the same server in the same run; what a watch adds; reads; executions per second of the history in it.

Run: .venv/bin/python -m bench.stores_bench [--store NAME ...] [--dir DIR] [--seconds 2] [--rounds 3] [--value 300]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from bench.bare_clients import BARE, Write
from bench.history_bench import START, execution, flushes
from dkronpy.history.contract import Query, Retention
from dkronpy.history.store import StoreHistory
from dkronpy.model.execution import OutputChunk
from dkronpy.store.contract import Guard, Put, Store
from tests.support.stores import SERVERS

WRITERS: Final = (1, 16)
KEYS: Final = 500  # of each writer, used in turn
HEAD: Final = ("store", "bare, 1 writer", "store, 1 writer", "ratio", "bare, 16", "store, 16", "ratio", "watch")
"""Of the table: commits per second and their median; how long after a commit's answer its event comes."""


def through(store: Store) -> Write:
    """By the store."""

    async def write(key: str, revision: int, value: bytes) -> int:
        return await store.commit([Guard(key, revision)], [Put(key, value)])

    return write


async def rate(write: Write, prefix: str, writers: int, seconds: float, value: bytes) -> tuple[float, list[float]]:
    """Writes per second, and the time each took (s)."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        revisions = dict.fromkeys(range(KEYS), 0)
        for step in itertools.cycle(range(KEYS)):
            began = time.perf_counter()
            if began > end:
                return
            revisions[step] = await write(f"{prefix}/{number}-{step}", revisions[step], value)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(writers)))
    return len(took) / (time.perf_counter() - began), took


def told(took: list[float]) -> str:
    """In ms."""
    cuts = statistics.quantiles(took, n=100)
    return f"p50 {cuts[49] * 1e3:.2f}, p99 {cuts[98] * 1e3:.2f} ms"


async def writes(name: str, store: Store, bare: Write, options: argparse.Namespace) -> list[str]:
    """Rounds of both by turns, for machines have moods; medians, as a row of a table too."""
    value = b"x" * options.value
    names = itertools.count()
    row = [name]
    for writers in WRITERS:
        rates: dict[str, list[float]] = {"store": [], "bare": []}
        times: dict[str, list[float]] = {"store": [], "bare": []}
        both = [("bare", bare), ("store", through(store))]
        for _ in range(options.rounds):
            both.reverse()
            for kind, write in both:
                reached, took = await rate(write, f"bench/{next(names)}", writers, options.seconds, value)
                rates[kind].append(reached)
                times[kind] += took
        for kind in ("bare", "store"):
            print(f"{writers:2} writers, {kind:5}: {statistics.median(rates[kind]):7,.0f}/s ({told(times[kind])})")
            row.append(f"{statistics.median(rates[kind]):,.0f}/s, {statistics.median(times[kind]) * 1e3:.2f} ms")
        row.append(f"{statistics.median(rates['store']) / statistics.median(rates['bare']):.2f}")
    return row


async def watches(store: Store, other: Store, count: int) -> str:
    """From the start of a commit, and from its answer, to the event at another connection; the median of the latter."""
    heard: dict[int, float] = {}
    news = asyncio.Event()

    start = (await other.list("watched/", limit=1)).revision

    async def follow() -> None:
        async for batch in other.watch("watched/", start):
            for event in batch:
                heard[event.revision] = time.perf_counter()
            news.set()

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.5)
    from_start: list[float] = []
    from_answer: list[float] = []
    for number in range(count):
        began = time.perf_counter()
        revision = await store.commit([], [Put(f"watched/{number}", b"x")])
        answered = time.perf_counter()
        while revision not in heard:
            news.clear()
            await news.wait()
        from_start.append(heard[revision] - began)
        from_answer.append(heard[revision] - answered)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    print(f"watch: event after the commit's start {told(from_start)}; after its answer {told(from_answer)}")
    return f"{statistics.median(from_answer) * 1e3:.2f} ms"


async def reads(store: Store, seconds: float) -> None:
    """Gets one after another; a listing."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await store.get("bench/0/0-7")
        took.append(time.perf_counter() - began)
    print(f"get: {len(took) / seconds:,.0f}/s ({told(took)})")
    began = time.perf_counter()
    page = await store.list("bench/", limit=1000)
    print(f"list of {len(page.entries)}: {(time.perf_counter() - began) * 1e3:.1f} ms")


async def recorded(store: Store, seconds: float, at_once: int) -> None:
    """Executions per second, each with output, `at_once` a call, while old ones are pruned; then pages."""
    history = StoreHistory(store, f"bench-{at_once}")
    await history.open()
    done, number, cpu = 0, 0, time.process_time()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        batch = [execution(f"job{(number + n) % 300}", number + n) for n in range(at_once)]
        await history.write(batch, [OutputChunk(*e.key, 0, b"Sat Nov 21 00:00:00 UTC 2026\n") for e in batch])
        number += at_once
        done += at_once
        if number % 3000 == 0:
            while await history.prune(Retention(), now=START):
                pass
    spent = time.perf_counter() - began
    cpu = time.process_time() - cpu
    print(
        f"history, {at_once} executions a call: {done / spent:,.0f}/s recorded, and pruned; "
        f"{cpu / done * 1e6:,.0f} us of processor each"
    )
    for name, query in (("one job", Query(job="job7")), ("all jobs", Query()), ("one node", Query(node="n5"))):
        began = time.perf_counter()
        page = await history.query(query, limit=100)
        print(f"  newest {len(page.executions)} of {name}: {(time.perf_counter() - began) * 1e3:.1f} ms")
    await history.close()


async def measure(name: str, options: argparse.Namespace) -> list[str]:
    """All of it for one store, on a server of its own; a row of the table."""
    print(f"\n{name}")
    with (
        tempfile.TemporaryDirectory(dir=options.dir, prefix=f"{name}-bench-") as folder,
        SERVERS[name](Path(folder)) as server,
    ):
        print(f"fdatasync of 4 kB: {flushes(Path(folder), 1):,.0f}/s")
        store, other = server.store(timeout=5), server.store(timeout=5)
        await store.open()
        await other.open()
        async with BARE[name](server.address) as bare:
            row = await writes(name, store, bare, options)
        row.append(await watches(store, other, 500))
        await reads(store, options.seconds)
        for at_once in (1, 20, 200):
            await recorded(store, options.seconds * 2, at_once)
        await store.close()
        await other.close()
    return row


async def run(options: argparse.Namespace) -> None:
    """One store after the other, then the table."""
    rows = [await measure(name, options) for name in options.store]
    print(f"\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Read the options, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--store", nargs="+", choices=list(BARE), default=list(BARE), metavar="NAME", help="which (default: all)"
    )
    parser.add_argument(
        "--dir", type=Path, default=Path.cwd(), help="folder on the disk to measure (default: this one)"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown")
    parser.add_argument("--value", type=int, default=300, help="bytes of each value")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
