"""How many runs a second one leader, etcd and agents decide, start and record.

    python bench/cluster_bench.py [--agents 4] [--jobs 100] [--seconds 15] [--sweep]

Every job runs `true` on one of the agents each second. With --sweep the number of jobs grows until the runs
pile up. Every fire of the span must have its record.
"""

from __future__ import annotations

import argparse
import time

from cluster import cluster, raw_limits

from dkronpy.model.execution import State
from dkronpy.model.times import rfc3339
from tests.support.cluster import Cluster
from tests.support.processes import SECOND, until

KEPT_UP = 2.0
"""Seconds after their fire time by which runs are recorded as long as nothing piles up."""


def create(running: Cluster, first: int, last: int) -> None:
    for index in range(first, last):
        job = {
            "name": f"job-{index}",
            "schedule": "* * * * * *",
            "tags": {"server": "false:1"},
            "executor": "shell",
            "executor_config": {"command": "true"},
        }
        running.servers[0].call("POST", "/v1/jobs", job)


def recorded(running: Cluster, since: int, until_: int) -> list[str]:
    """The states of all executions of fires in [since, until) (s)."""
    span = f"since={rfc3339(since * SECOND)}&until={rfc3339(until_ * SECOND - 1)}"
    return [execution["state"] for execution in running.servers[0].executions(span)]


def measure(running: Cluster, jobs: int, seconds: int) -> float:
    """How long (s) after the last of so many seconds' fires every run is recorded as a success."""
    since = int(time.time()) + 1
    last = since + seconds - 1
    time.sleep(last - time.time())

    def all_over() -> bool:
        time.sleep(0.2)  # asking costs what is measured
        over = recorded(running, last, last + 1)
        return len(over) == jobs and all(State(state).final for state in over)

    until(all_over, 60, "the last fires are recorded")
    lag = time.time() - last
    if (bad := jobs * seconds - recorded(running, since, last + 1).count("success")) > 0:
        raise SystemExit(f"{bad} of {jobs * seconds} runs are not recorded as a success")
    return lag


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--agents", type=int, default=4)
    options.add_argument("--jobs", type=int, default=100)
    options.add_argument("--seconds", type=int, default=15)
    options.add_argument("--sweep", action="store_true")
    given = options.parse_args()
    print(raw_limits(), flush=True)
    with cluster(servers=1, agents=given.agents) as running:
        jobs = 0
        while True:
            create(running, jobs, jobs + given.jobs)
            jobs += given.jobs
            time.sleep(2)
            lag = measure(running, jobs, given.seconds)
            print(
                f"{given.agents} agents, {jobs} runs/s for {given.seconds} s: all recorded {lag:.2f} s after the last"
            )
            if not given.sweep or lag > KEPT_UP:
                break


if __name__ == "__main__":
    main()
