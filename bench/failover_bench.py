"""How long nothing starts when the leader dies.

    python bench/failover_bench.py [--kills 20]

Ten jobs fire each second, and the leader of three servers is killed at a random moment. Two figures: the time from the
kill until another server says that it leads, and how late the first fire due after the kill started.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time

from cluster import cluster, raw_limits

from tests.support.cluster import Cluster
from tests.support.processes import until


def kill_once(running: Cluster, rng: random.Random) -> tuple[float, float]:
    """Seconds from the kill of the leader to another that leads, and lateness of the first fire after the kill."""
    time.sleep(2 + rng.random())
    leader = running.wait_for_leader()
    killed = time.time()
    leader.kill()
    running.wait_for_leader()
    took = time.time() - killed
    due = math.ceil(killed)
    first = until(lambda: [at for _, _, at, _ in running.lines(due, due + 1)], 15, "the fire due comes")
    running.start()
    return took, min(first) - due


def shown(name: str, values: list[float]) -> str:
    return f"{name}: median {statistics.median(values) * 1000:.0f} ms, worst {max(values) * 1000:.0f} ms"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=20)
    given = options.parse_args()
    print(raw_limits(), flush=True)
    rng = random.Random(1)
    with cluster() as running:
        running.add_jobs()
        found = [kill_once(running, rng) for _ in range(given.kills)]
    print(f"{given.kills} kills of the leader")
    print(shown("another leads after", [took for took, _ in found]))
    print(shown("lateness of the first fire due after the kill", [late for _, late in found]))


if __name__ == "__main__":
    main()
