"""How many fires a second one server decides, runs and records, and how late the starts are.

    python bench/fires_bench.py [--jobs 200] [--seconds 20] [--sweep]

Every job runs `true` each second. The steady figures are the rates and the lateness (start - fire time); with --sweep
the number of jobs grows until a second's fires are no longer recorded within it, and the highest rate is set beside
the bare rate of posix_spawn in the same run.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime

from agent import Agent, agent, spawns_per_second, syncs_per_second


def create(running: Agent, first: int, last: int) -> None:
    for index in range(first, last):
        job = {
            "name": f"job-{index}",
            "schedule": "* * * * * *",
            "executor": "shell",
            "executor_config": {"command": "true"},
        }
        running.call("POST", "/v1/jobs", job)


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def lateness(running: Agent, count: int) -> list[float]:
    """start - fire time in seconds of the newest runs, ascending."""
    page = running.call("GET", f"/v1/executions?limit={count}")
    return sorted(seconds_of(e["started_at"]) - seconds_of(e["fire_time"]) for e in page if e["started_at"])


def runs(running: Agent) -> int:
    return int(running.metric("dkron_runs_total"))


def measure(running: Agent, jobs: int, seconds: int) -> tuple[float, float]:
    """Fires per second and runs recorded per second over a span."""
    fires, recorded, begun = running.metric("dkron_fires_total"), runs(running), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    return (running.metric("dkron_fires_total") - fires) / took, (runs(running) - recorded) / took


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=200)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--sweep", action="store_true")
    given = options.parse_args()
    bare = spawns_per_second()
    with agent() as running:
        print(f"bare posix_spawn {bare:,.0f}/s, fdatasync {syncs_per_second(running.data):,.0f}/s")
        create(running, 0, given.jobs)
        time.sleep(2)
        fires, recorded = measure(running, given.jobs, given.seconds)
        late = lateness(running, min(given.jobs * 5, 1000))
        p50, p99 = late[len(late) // 2] * 1000, late[int(len(late) * 0.99)] * 1000
        print(f"{given.jobs} jobs each second: {fires:.0f} fires/s, {recorded:.0f} recorded/s,", end=" ")
        print(f"lateness p50 {p50:.0f} ms, p99 {p99:.0f} ms")
        jobs = given.jobs
        while given.sweep:
            create(running, jobs, jobs + 100)
            jobs += 100
            time.sleep(2)
            fires, recorded = measure(running, jobs, 8)
            lag = running.metric("dkron_cursor_lag_seconds")
            share = f"{recorded / bare:.2f} of bare"
            print(f"{jobs} jobs: {fires:.0f} fires/s, {recorded:.0f} recorded/s ({share}), lag {lag:.2f} s")
            if recorded < jobs * 0.97:
                break


if __name__ == "__main__":
    main()
