"""A node is taken out of service and back, on another server than the one that leads, and over a change of leaders."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.support.cluster import Cluster
from tests.support.processes import until


def test_a_drained_node_runs_nothing_new(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(agents=1)
    cluster.start()
    agent = cluster.agents[0].name
    cluster.add_jobs(1, tags=({"node": agent},))

    def newest(state: str) -> dict[str, Any] | None:
        found = [e for e in cluster.any().call("GET", "/v1/jobs/job0/executions") if e["state"] == state]
        return found[0] if found else None

    until(lambda: newest("success"), 60, "the agent runs the job")
    cluster.follower().call("POST", f"/v1/nodes/{agent}/drain")
    until(lambda: newest("skipped"), 60, "the job finds no node")
    leader = cluster.wait_for_leader()
    leader.kill()
    cluster.wait_for_leader()
    begun = time.time_ns()
    skipped = until(lambda: (e := newest("skipped")) and e["group"] > begun and e, 60, "nor under the next leader")
    assert skipped["reason"] == "no_target"
    shown = {m["Name"]: m["drained"] for m in cluster.any().call("GET", "/v1/members")}
    assert shown[agent]["by"] == "api"
    assert shown[leader.name] is None
    cluster.any().call("POST", f"/v1/nodes/{agent}/undrain")
    begun = time.time_ns()
    until(lambda: (e := newest("success")) and e["group"] > begun, 60, "the agent runs the job again")
