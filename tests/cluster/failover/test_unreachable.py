"""The leader is cut off, from whom or in whichever direction: no run is missed, none comes twice.

Each server has a network namespace, and packets are dropped there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator

import pytest

from tests.cluster.failover.conftest import REPEATS, TAGS
from tests.cluster.failover.judging import leader_and_others, suffer
from tests.conftest import FULL
from tests.support import network
from tests.support.cluster import Cluster, Verdict
from tests.support.network import Network


@pytest.fixture(scope="module")
def network_cluster(_alone: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """Three servers, each in a network of its own."""
    if (why := network.permitted()) is not None:
        pytest.skip(why)
    made = Network()
    try:
        cluster = Cluster(tmp_path_factory.mktemp("network"), network=made)
        try:
            cluster.start()
            cluster.add_jobs(tags=TAGS)
            yield cluster
        finally:
            cluster.clean_up()
    finally:
        made.clean_up()


CUTS = {
    "leader cut off from the other servers": (True, False, True, True),
    "leader cut off from etcd": (False, True, True, True),
    "leader heard by no server": (True, False, True, False),
    "leader hears no server": (True, False, False, True),
}
"""From the servers, from etcd; what goes out, what comes in."""


@pytest.mark.parametrize("seed", REPEATS)
@pytest.mark.parametrize("name", CUTS)
def test_cut(network_cluster: Cluster, table: dict[str, list[Verdict]], name: str, seed: int) -> None:
    servers, etcd, outgoing, incoming = CUTS[name]

    def cut(cluster: Cluster, _: random.Random) -> None:
        leader, others = leader_and_others(cluster)
        addresses = [other.host for other in others] * servers + [cluster.store.address] * etcd
        assert cluster.network is not None
        cluster.network.cut(leader.name, *addresses, outgoing=outgoing, incoming=incoming)
        time.sleep(10 if FULL else 7)
        cluster.network.heal(leader.name)

    verdict = suffer(network_cluster, cut, name, seed)
    table.setdefault(name, []).append(verdict)
    assert verdict.silent_at_most(8)
