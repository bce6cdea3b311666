"""A cluster whose nodes talk by TLS, with certificates of an authority of its own."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.certificates import make_certificates
from tests.support.cluster import Cluster, ClusterNode
from tests.support.processes import HOST, until

KEY = base64.b64encode(b"k" * 32).decode()


def said_hello(connection: http.client.HTTPConnection) -> bytes:
    """What a node answers on its RPC port to whoever gets so far."""
    connection.request("GET", "/hello")
    return connection.getresponse().read()


def test_nodes_talk_by_tls(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    given = {"cert": "server.pem", "key": "server.key", "ca": "ca.pem"}
    certificates = [f"--rpc-{kind}-file={files / name}" for kind, name in given.items()]
    cluster = make_cluster(servers=2, agents=1, options=[f"--encrypt={KEY}", *certificates])
    cluster.start()
    cluster.add_jobs(2, tags=[{"node": "a1"}, {"node": cluster.follower().name}])
    until(lambda: {"job0", "job1"} <= set(cluster.witness.read_text().split()), 60, "jobs run on other nodes")

    def states() -> set[str]:
        return {peer["state"] for peer in cluster.any().call("GET", "/v1/raft/peers")}

    until(lambda: states() == {"leader", "follower"}, 60, "the servers talk to each other")
    bare = ssl.create_default_context(cafile=files / "ca.pem")
    bare.check_hostname = False
    for node in cluster.nodes:
        for connection in (
            http.client.HTTPConnection(HOST, node.rpc_port, timeout=30),
            http.client.HTTPSConnection(HOST, node.rpc_port, timeout=30, context=bare),
        ):
            with pytest.raises((http.client.HTTPException, OSError)):
                said_hello(connection)
    stranger = ClusterNode(tmp_path, "plain", [f"--encrypt={KEY}"], server=False)
    try:
        stranger.start([node.gossip_addr for node in cluster.nodes])
        untold = "the leader can't reach who has the key alone"
        until(lambda: any("no lane to a node" in server.logged() for server in cluster.servers), 60, untold)
        assert not (stranger.folder / "data" / "spool" / "epoch").exists()
    finally:
        stranger.clean_up()
