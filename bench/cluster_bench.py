"""How many runs a second one leader, etcd and agents decide, start and record.

    python bench/cluster_bench.py [--agents 4] [--jobs 100] [--seconds 15] [--sweep]

Every job runs `true` on one of the agents each second. With --sweep the number of jobs grows until a second's runs are
no longer recorded within it. In the end every fire decided must have its record.
"""

from __future__ import annotations

import argparse
import time

from cluster import cluster

from dkronpy.model.execution import State
from dkronpy.model.times import rfc3339
from tests.support.cluster import Cluster
from tests.support.processes import SECOND, until


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
    """Runs recorded as a success per second, over fires of so many seconds and until the last of them is over."""
    since = int(time.time()) + 1
    time.sleep(since + seconds - time.time())
    over: list[str] = []

    def all_over() -> bool:
        nonlocal over
        over = recorded(running, since, since + seconds)
        return len(over) == jobs * seconds and all(State(state).final for state in over)

    until(all_over, 60, "every fire is recorded")
    took = time.time() - since
    if (bad := jobs * seconds - over.count("success")) > 0:
        raise SystemExit(f"{bad} of {jobs * seconds} runs were no success")
    return jobs * seconds / took


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--agents", type=int, default=4)
    options.add_argument("--jobs", type=int, default=100)
    options.add_argument("--seconds", type=int, default=15)
    options.add_argument("--sweep", action="store_true")
    given = options.parse_args()
    with cluster(servers=1, agents=given.agents) as running:
        jobs = 0
        while True:
            create(running, jobs, jobs + given.jobs)
            jobs += given.jobs
            time.sleep(2)
            rate = measure(running, jobs, given.seconds)
            print(f"{given.agents} agents, {jobs} jobs each second: {rate:.0f} runs/s, every run recorded", flush=True)
            if not given.sweep or rate < jobs * 0.85:
                break


if __name__ == "__main__":
    main()
