"""What every fault is judged by, and the faults that more than one store must bear."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace

from tests.support.cluster import Cluster, ClusterNode, Verdict
from tests.support.machine import measured

Fault = Callable[[Cluster, random.Random], None]

BEFORE, AFTER = 1.0, 3.0
"""Seconds of calm that are judged before a fault and after it."""


def suffer(cluster: Cluster, fault: Fault, name: str, seed: int) -> Verdict:
    """Let a fault happen at some moment of a second, and judge what ran before, meanwhile and after."""
    rng = random.Random(f"{name} {seed}")
    with measured() as machine:
        since = int(time.time()) + 1
        time.sleep(max(since + BEFORE + rng.random() - time.time(), 0))
        fault(cluster, rng)
        time.sleep(AFTER)
        until_ = int(time.time())
        cluster.start()
        verdict = replace(cluster.judge(since, until_), machine=machine)
    differences = cluster.disagreements(since, until_)
    assert not verdict.missed
    assert not verdict.doubled
    assert not differences
    return verdict


def leader_and_others(cluster: Cluster) -> tuple[ClusterNode, list[ClusterNode]]:
    leader = cluster.wait_for_leader()
    return leader, [server for server in cluster.servers if server is not leader]


def killed_leader(cluster: Cluster, _: random.Random) -> None:
    cluster.wait_for_leader().kill()
    time.sleep(4)


def stopped_leader(cluster: Cluster, _: random.Random) -> None:
    leader = cluster.wait_for_leader()
    leader.signal(signal.SIGSTOP)
    time.sleep(10)
    leader.signal(signal.SIGCONT)
