"""The cluster's key is changed while it runs, and while leaders change."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Callable

from tests.support.cluster import Cluster, ClusterNode
from tests.support.processes import until


def done(node: ClusterNode, operation: str, key: str) -> bool:
    """Whether every node did it."""
    return bool(node.call("POST", f"/v1/keyring/{operation}", {"key": key}, timeout=60)["complete"])


def lanes(node: ClusterNode) -> dict[str, str]:
    return {peer["node"]: peer["state"] for peer in node.call("GET", "/v1/raft/peers")}


def test_a_key_is_changed_without_a_missed_run(make_cluster: Callable[..., Cluster]) -> None:
    old, new = (base64.b64encode(os.urandom(16)).decode() for _ in range(2))
    cluster = make_cluster(options=[f"--encrypt={old}"])
    cluster.start()
    cluster.add_jobs()
    begin = int(time.time()) + 2

    for operation in ("install", "use"):
        until(lambda o=operation: done(cluster.any(), o, new), 60, f"all nodes {operation} the key")
    # A node that is slow to answer is missing in the list.
    every = {"keys": {old: 3, new: 3}, "primary": {new: 3}}
    until(lambda: every.items() <= cluster.any().call("GET", "/v1/keyring").items(), 60, "all nodes tell of both keys")

    leader = cluster.wait_for_leader()
    leader.signal(signal.SIGTERM)  # every lane is greeted anew, by the new key
    until(lambda: not leader.alive, 60, "the leader has stopped")
    cluster.start()
    until(lambda: done(cluster.wait_for_leader(), "remove", old), 60, "all nodes remove the old key")
    for node in cluster.servers:  # which of them leads may still change, and is for a moment not known
        until(lambda n=node: sorted(lanes(n).values()) == ["follower", "follower", "leader"], 60, "all lanes are up")
    time.sleep(2)

    verdict = cluster.judge(begin, int(time.time()))
    assert verdict.missed == []
    assert verdict.doubled == []
    for node in cluster.nodes:
        log = (node.folder / "log").read_text()
        assert old not in log
        assert new not in log
