"""A killed and a paused leader, on every shared store but the one that the other tests here are run on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.cluster.failover.conftest import REPEATS, TAGS
from tests.cluster.failover.judging import killed_leader, stopped_leader, suffer
from tests.support.cluster import Cluster, Verdict
from tests.support.stores import SERVERS

LONGEST = {"dynamodb": 2.5}
"""The longest silence (s) that is allowed, where it is not 1.5."""


def killed_and_stopped(cluster: Cluster, rng: random.Random) -> None:
    killed_leader(cluster, rng)
    cluster.start()
    stopped_leader(cluster, rng)


@pytest.mark.parametrize("seed", REPEATS)
@pytest.mark.parametrize("name", [name for name in SERVERS if name != "etcd"])
def test_leader_killed_then_stopped(
    make_cluster: Callable[..., Cluster], table: dict[str, list[Verdict]], name: str, seed: int
) -> None:
    cluster = make_cluster(store=SERVERS[name])
    cluster.start()
    cluster.add_jobs(tags=TAGS)
    fault = f"leader killed, another stopped; {name}"
    verdict = suffer(cluster, killed_and_stopped, fault, seed)
    table.setdefault(fault, []).append(verdict)
    assert verdict.silent_at_most(LONGEST.get(name, 1.5))
