"""Faults under load: no run is missed, none comes twice, the history agrees with what ran, and the silence is short.

Ten jobs fire each second. Each run appends a line to a file, and that file is the witness.
"""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.cluster.failover.conftest import REPEATS
from tests.cluster.failover.judging import Fault, killed_leader, leader_and_others, stopped_leader, suffer
from tests.conftest import FULL
from tests.support.cluster import Cluster, Verdict
from tests.support.processes import until

OUTAGE = 10 if FULL else 7
"""Seconds without etcd."""


def nothing(_: Cluster, __: random.Random) -> None:
    time.sleep(36 if FULL else 16)


def ended_leader(cluster: Cluster, _: random.Random) -> None:
    leader = cluster.wait_for_leader()
    leader.signal(signal.SIGTERM)
    assert leader.wait(60) == 0
    time.sleep(2)


def all_killed(cluster: Cluster, _: random.Random) -> None:
    for server in cluster.servers:
        server.signal(signal.SIGKILL)
    for server in cluster.servers:
        server.kill()
    time.sleep(5)
    cluster.start()


def etcd_killed(cluster: Cluster, _: random.Random) -> None:
    cluster.store.kill()
    time.sleep(OUTAGE)
    cluster.store.start()
    cluster.wait_for_leader()


def etcd_stopped(cluster: Cluster, _: random.Random) -> None:
    cluster.store.pause()
    time.sleep(OUTAGE)
    cluster.store.resume()
    cluster.wait_for_leader()


def fewer_servers(cluster: Cluster, rng: random.Random) -> None:
    """Two are left, then, when the leader has died too, one."""
    leader, others = leader_and_others(cluster)
    rng.choice(others).kill()
    time.sleep(3)
    leader.kill()
    time.sleep(7)
    cluster.wait_for_leader()


def rolling_restart(cluster: Cluster, rng: random.Random) -> None:
    for node in rng.sample(cluster.nodes, len(cluster.nodes)):
        node.signal(signal.SIGTERM)
        assert node.wait(60) == 0
        cluster.launch(node)
        if node.server:
            until(node.knows_leader, 60, f"{node.name} is back")


FAULTS: dict[str, tuple[Fault, float]] = {
    "none": (nothing, 1.25),
    "kill -9 of the leader": (killed_leader, 1.5),
    "SIGSTOP of the leader for 10 s": (stopped_leader, 1.5),
    "TERM of the leader": (ended_leader, 1.25),
    "kill -9 of all servers, back after 5 s": (all_killed, float("inf")),
    f"etcd killed for {OUTAGE} s": (etcd_killed, float("inf")),
    f"etcd stopped for {OUTAGE} s": (etcd_stopped, float("inf")),
    "two servers left of three, then one": (fewer_servers, 8.0),
    "rolling restart of servers and agents": (rolling_restart, 1.5),
}
"""Each with the longest silence (s) that is allowed on a machine that has nothing else to do."""


@pytest.mark.parametrize("seed", REPEATS)
@pytest.mark.parametrize("name", FAULTS)
def test_fault(cluster: Cluster, table: dict[str, list[Verdict]], name: str, seed: int) -> None:
    fault, longest = FAULTS[name]
    verdict = suffer(cluster, fault, name, seed)
    table.setdefault(name, []).append(verdict)
    assert verdict.silent_at_most(longest)
