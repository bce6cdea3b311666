"""How fast processes start: bare os.posix_spawn beside runs of /bin/true through the runner, journaled and reported.

    python bench/spawn_bench.py [--runs 1000] [--rounds 5]

Prints one line a concurrency: medians over the rounds, in which both take turns; `ratio` is the runner's rate over the
bare one's of the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from dkronpy.model.execution import State
from dkronpy.model.run import Ended, Grown, Key, RunSpec, Started
from dkronpy.runner.client import RunnerClient

COMMAND = "/bin/true"
BATCH = 50


def bare(runs: int, concurrent: int) -> float:
    """Processes a second, `concurrent` at a time, by os.posix_spawn and os.waitpid, in our environment."""
    begun = time.perf_counter()
    living = 0
    for _ in range(runs):
        if living == concurrent:
            os.waitpid(-1, 0)
            living -= 1
        os.posix_spawn(COMMAND, [COMMAND], os.environ, setsid=True)
        living += 1
    for _ in range(living):
        os.waitpid(-1, 0)
    return runs / (time.perf_counter() - begun)


async def through_runner(spool: Path, runs: int, concurrent: int) -> tuple[float, float]:
    """(runs a second, median milliseconds from the order to the report of its end), `concurrent` at a time."""
    group = time.time_ns()
    ended: dict[Key, float] = {}
    free = asyncio.Semaphore(concurrent)
    unacknowledged: list[Key] = []

    def hear(event: Started | Grown | Ended) -> None:
        if isinstance(event, Ended):
            assert event.state is State.SUCCESS, event
            ended[event.key] = time.perf_counter()
            unacknowledged.append(event.key)
            free.release()

    client = await RunnerClient.connect(spool, hear, lambda: None)
    asked: dict[Key, float] = {}
    begun = time.perf_counter()
    left = runs
    while left:
        await free.acquire()
        batch = 1
        while batch < min(left, BATCH) and not free.locked():
            await free.acquire()
            batch += 1
        specs = [
            RunSpec(f"job{left - n}", group, 1, "node", "shell", {"command": COMMAND}, {"DKRON_JOB_NAME": "job"})
            for n in range(batch)
        ]
        left -= batch
        for spec in specs:
            asked[spec.key] = time.perf_counter()
        refused = await client.start(specs)
        assert not refused, refused
        if len(unacknowledged) >= BATCH:
            done, unacknowledged[:] = unacknowledged[:], []
            await client.ack(done)
    for _ in range(concurrent):
        await free.acquire()
    rate = runs / (time.perf_counter() - begun)
    await client.ack(unacknowledged)
    await client.close()
    waits = sorted(ended[key] - asked[key] for key in asked)
    return rate, 1000 * waits[len(waits) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for concurrent in (1, 8, 64):
            rounds: list[tuple[float, float, float, float]] = []
            for _ in range(arguments.rounds):
                alone = bare(arguments.runs, concurrent)
                rate, wait = asyncio.run(through_runner(Path(directory), arguments.runs, concurrent))
                rounds.append((alone, rate, rate / alone, wait))
            alone, rate, ratio, wait = (statistics.median(figures) for figures in zip(*rounds, strict=True))
            print(
                f"{concurrent:3} at a time: bare posix_spawn {alone:5.0f}/s, through the runner {rate:5.0f}/s, "
                f"ratio {ratio:.2f}; {wait:.1f} ms from order to end"
            )


if __name__ == "__main__":
    main()
