"""Commits per second of the store in etcd with 1 and 16 writers, beside the same transactions sent by the bare client,
on the same etcd in the same run; what a watch adds; reads; executions per second of the history in that store.

Run: .venv/bin/python -m bench.etcd_bench [--dir DIR] [--seconds 2] [--rounds 3] [--value 300]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import uvloop
from aetcd import rpc

from bench.history_bench import START, execution, flushes
from dkronpy.history.contract import Query, Retention
from dkronpy.history.store import StoreHistory
from dkronpy.model.execution import OutputChunk
from dkronpy.store.contract import Guard, Put
from dkronpy.store.etcd import EtcdStore
from tests.support.etcd import Etcd

WRITERS: Final = (1, 16)
KEYS: Final = 500  # of each writer, used in turn

Write = Callable[[str, int, bytes], Awaitable[int]]
"""Puts a value under a key that has a revision; returns the new revision."""


def bare(kv: Any) -> Write:
    """What the store does for one guard and one put, without the store."""

    async def write(key: str, revision: int, value: bytes) -> int:
        name = key.encode()
        compare = rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=name, mod_revision=revision)
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=value))
        get = rpc.RequestOp(request_range=rpc.RangeRequest(key=name, keys_only=True))
        answer = await kv.Txn(rpc.TxnRequest(compare=[compare], success=[put], failure=[get]), timeout=5, metadata=())
        assert answer.succeeded
        return answer.header.revision

    return write


def through(store: EtcdStore) -> Write:
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


async def writes(store: EtcdStore, kv: Any, options: argparse.Namespace) -> None:
    """Rounds of both by turns, for machines have moods; medians."""
    value = b"x" * options.value
    names = itertools.count()
    for writers in WRITERS:
        rates: dict[str, list[float]] = {"store": [], "bare": []}
        times: dict[str, list[float]] = {"store": [], "bare": []}
        for _ in range(options.rounds):
            for kind, write in (("bare", bare(kv)), ("store", through(store))):
                reached, took = await rate(write, f"bench/{next(names)}", writers, options.seconds, value)
                rates[kind].append(reached)
                times[kind] += took
        for kind in ("bare", "store"):
            print(f"{writers:2} writers, {kind:5}: {statistics.median(rates[kind]):7,.0f}/s ({told(times[kind])})")


async def watches(store: EtcdStore, other: EtcdStore, count: int) -> None:
    """From the start of a commit, and from its answer, to the event at another connection."""
    heard: dict[int, float] = {}
    news = asyncio.Event()

    async def follow() -> None:
        async for batch in other.watch("watched/", (await other.list("")).revision):
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


async def reads(store: EtcdStore, seconds: float) -> None:
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


async def recorded(store: EtcdStore, seconds: float, at_once: int) -> None:
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


async def run(options: argparse.Namespace) -> None:
    """All of it, on an etcd of its own."""
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="etcd-bench-") as name, Etcd(Path(name)) as etcd:
        print(f"fdatasync of 4 kB: {flushes(Path(name), 1):,.0f}/s")
        channel = rpc.insecure_channel(etcd.address)
        store, other = EtcdStore([etcd.address], timeout=5), EtcdStore([etcd.address], timeout=5)
        await store.open()
        await other.open()
        await writes(store, rpc.KVStub(channel), options)
        await watches(store, other, 500)
        await reads(store, options.seconds)
        for at_once in (1, 20, 200):
            await recorded(store, options.seconds * 2, at_once)
        await store.close()
        await other.close()
        await channel.close()


def main() -> None:
    """Read the options, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dir", type=Path, default=Path.cwd(), help="folder on the disk to measure (default: this one)"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown")
    parser.add_argument("--value", type=int, default=300, help="bytes of each value")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
