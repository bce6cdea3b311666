"""100,000 jobs on one server: from the start of the process to the first fire, resident memory, and the processor
when idle.

    python bench/scale_bench.py [--jobs 100000]

The jobs are written straight into the store's file, as an earlier run of the server would have left them; one more
job fires each second.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from agent import agent, cpu_seconds, free_port, resident_mb, spawn, wait_healthy

from dkronpy.catalog.keys import Keys, encode
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.records import Cursor
from dkronpy.store.contract import Operation, Put
from dkronpy.store.sqlite import SqliteStore


async def fill(data: Path, count: int) -> None:
    """A store as a server leaves it that has adopted `count` jobs."""
    store, keys, now = SqliteStore(data / "store.db"), Keys("dkron"), time.time_ns()
    await store.open()
    batch: list[Operation] = []
    for index in range(count + 1):
        schedule = (
            "* * * * * *"
            if index == count
            else f"{index % 60} {index // 60 % 60} {index // 3600 % 24} 1 {index % 12 + 1} *"
        )
        job = Job(
            f"job-{index:06}", now, now, schedule=schedule, timezone="Europe/Berlin", tags={"dkron_server": "true:1"},
            owner="Platform Team", executor="shell", executor_config={"command": "true"},
        )  # fmt: skip
        batch += [
            Put(keys.job(job.name), encode(job)),
            Put(keys.edit(job.name, now), encode(Edit(now, "bench", job))),
            Put(keys.state(job.name), encode(JobState(adopted=now))),
        ]
        if len(batch) >= 57 or index == count:
            await store.commit([], batch)
            batch = []
    await store.commit([], [Put(keys.cursor, encode(Cursor(now)))])
    await store.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=100_000)
    given = options.parse_args()
    with agent() as small:
        for index in range(10):
            small.call(
                "POST",
                "/v1/jobs",
                {
                    "name": f"j{index}",
                    "schedule": "* * * * * *",
                    "executor": "shell",
                    "executor_config": {"command": "true"},
                },
            )
        time.sleep(5)
        both = resident_mb(small.process.pid), resident_mb(small.runner_pid)
        print(f"10 jobs: agent {both[0]:.0f} MB + runner {both[1]:.0f} MB = {sum(both):.0f} MB resident")
    with tempfile.TemporaryDirectory(prefix="dkron-bench-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        asyncio.run(fill(data, given.jobs))
        begun = time.monotonic()
        running = spawn(data, free_port())
        try:
            wait_healthy(running)
            healthy = time.monotonic() - begun
            # Not by its metrics: those of so many jobs take the server seconds.
            while not running.call("GET", "/v1/executions?limit=1"):
                time.sleep(0.02)
            print(
                f"{given.jobs} jobs: healthy after {healthy:.2f} s, first fire after {time.monotonic() - begun:.2f} s"
            )
            time.sleep(5)
            before, at = cpu_seconds(running.process.pid), time.monotonic()
            time.sleep(15)
            share = (cpu_seconds(running.process.pid) - before) / (time.monotonic() - at)
            print(f"resident {resident_mb(running.process.pid):.0f} MB; processor when idle {share:.1%}")
        finally:
            running.kill()


if __name__ == "__main__":
    main()
