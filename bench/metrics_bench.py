"""A scrape of /metrics with many jobs that have run, first and again; and what a leader reads when it starts.

    python bench/metrics_bench.py [--jobs 10000] [--runs 1000]

The jobs have that many runs behind them: their states are in the store and their digests in the history, as if they had
run there.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

import msgspec
from agent import agent, resident_mb

from dkronpy.catalog.keys import Keys, encode
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.metrics.digest import fold
from dkronpy.model.figures import Figures, JobFigures, RunMark
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.records import Cursor
from dkronpy.store.contract import Put
from dkronpy.store.sqlite import SqliteStore


async def fill(data: Path, jobs: int, runs: int) -> None:
    """A store and a history of jobs that ran."""
    now = time.time_ns()
    rng = random.Random(1)
    digests = [fold(b"", [rng.lognormvariate(2, 1) for _ in range(runs)]) for _ in range(50)]
    store, history, keys = SqliteStore(data / "store.db"), SqliteHistory(data / "history.db"), Keys("dkron")
    await store.open()
    await history.open()
    puts = [Put(keys.cursor, encode(Cursor(now)))]
    figures: list[JobFigures] = []
    mark = RunMark("1-1-n1", now - 10**9, now - 10**9, now, 0)
    for number in range(jobs):
        name = f"job-{number}"
        job = Job(name, now, now, schedule="@yearly", executor="shell", executor_config={"command": "true"})
        counted = Figures(0, runs, observed=runs, run_time=runs * 10**10, latency=runs * 10**7)
        state = JobState(now, success_count=runs, last_success=now, last_good=mark, figures=counted)
        puts += [
            Put(keys.job(name), encode(job)),
            Put(keys.edit(name, now), encode(Edit(now, "bench", job))),
            Put(keys.state(name), encode(state)),
        ]
        figures.append(JobFigures(name, runs, 0, counted, mark, *rng.sample(digests, 2)))
    for start in range(0, len(puts), 50):
        await store.commit([], puts[start : start + 50])
    for start in range(0, len(figures), 500):
        await history.write_figures(figures[start : start + 500])
    size = sum(len(msgspec.msgpack.encode(of)) for of in figures) / len(figures)
    print(f"{jobs:,} jobs of {runs:,} runs each: {size:,.0f} bytes of figures a job in the history")
    await store.close()
    await history.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--runs", type=int, default=1_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="dkron-bench-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        asyncio.run(fill(data, given.jobs, given.runs))
        with agent(data=data) as running:
            begun = first = time.monotonic()
            while running.call("GET", "/metrics").count(b'quantile="0.99"') < 2 * given.jobs:
                time.sleep(0.1)
                first = time.monotonic()
            whole = time.monotonic()
            print(
                f"all digests read {whole - begun:.1f} s after it led; "
                f"the first whole scrape {(whole - first) * 1000:.0f} ms"
            )
            times: list[float] = []
            size = 0
            for _ in range(10):
                began = time.monotonic()
                size = len(running.call("GET", "/metrics"))
                times.append((time.monotonic() - began) * 1000)
            told = ", ".join(f"{taken:.0f}" for taken in times)
            print(f"scrapes of {size / 1e6:.1f} MB: {told} ms; resident {resident_mb(running.process.pid):.0f} MB")


if __name__ == "__main__":
    main()
