"""Who does not belong to the cluster: gets no jobs, learns nothing, changes nothing."""

from __future__ import annotations

import base64
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, WSMsgType

from dkronpy.model.times import rfc3339
from dkronpy.rpc.auth import NONCE_BYTES, Secret
from dkronpy.rpc.channel import ChannelError, Hello, Welcome, greet
from tests.support.cluster import Cluster, ClusterNode
from tests.support.processes import HOST, SECOND, until
from tests.support.serf import serf_agent

KEY = base64.b64encode(b"k" * 32).decode()
OTHER_KEY = base64.b64encode(b"o" * 32).decode()


def _statuses(node: ClusterNode) -> dict[str, str]:
    return {member["Name"]: member["statusText"] for member in node.call("GET", "/v1/members")}


def test_a_serf_member_gets_no_jobs(cluster: Cluster, tmp_path: Path) -> None:
    join = f"-join={cluster.servers[0].gossip_addr}"
    with serf_agent(tmp_path, "bare", join, "-tag", "dc=dc1", "-tag", "server=true") as serf:
        until(lambda: all(_statuses(s).get("bare") == "alive" for s in cluster.servers), 60, "all servers see it")
        everywhere = {"name": "everywhere", "schedule": "* * * * * *", "executor": "shell"}
        config = {"shell": "true", "command": cluster.note}
        since = int(time.time())
        cluster.any().call("POST", "/v1/jobs", everywhere | {"executor_config": config})

        def ran() -> set[str]:
            return {e["node_name"] for e in cluster.any().call("GET", "/v1/jobs/everywhere/executions")}

        until(lambda: ran() >= {node.name for node in cluster.nodes}, 60, "every node runs it")
        time.sleep(2)
        cluster.any().call("PATCH", "/v1/jobs/everywhere", {"disabled": True})
        assert not cluster.disagreements(since, int(time.time()))
        assert ran() == {node.name for node in cluster.nodes}
        elsewhere = {e["node_name"] for e in cluster.any().executions(f"since={rfc3339(since * SECOND)}")}
        assert "bare" not in elsewhere
        assert "lane" not in serf.logged()
    cluster.any().call("DELETE", "/v1/jobs/everywhere")


async def test_a_peer_without_the_key(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = make_cluster(servers=1, agents=1, options=[f"--encrypt={KEY}"])
    cluster.start()
    server, node = cluster.servers[0], cluster.agents[0]
    epoch = node.folder / "data" / "spool" / "epoch"
    until(epoch.exists, 60, "the leader has a lane to the node")
    strangers = [
        ClusterNode(tmp_path, "wrong", [f"--encrypt={OTHER_KEY}"], server=False),
        ClusterNode(tmp_path, "none", [], server=False),
    ]
    try:
        for stranger in strangers:
            stranger.start([server.gossip_addr, node.gossip_addr])
        async with ClientSession() as session:
            for peer in (server, node):
                for lane in ("work", "election") if peer is server else ("work",):
                    await _knock(session, f"http://{HOST}:{peer.rpc_port}/lanes/{lane}", lane)
        assert set(_statuses(server)) == {"s1", "a1"}
        # Not that of the stranger; the leader's own grows where it has stood still for long.
        until(
            lambda: int(epoch.read_text()) == server.call("GET", "/v1/overview")["epoch"],
            60,
            "the epoch is the leader's",
        )
        cluster.add_jobs(1, tags=[{"node": "a1"}])
        until(lambda: "job0" in cluster.witness.read_text(), 60, "the node still runs what its leader orders")
    finally:
        for stranger in strangers:
            stranger.clean_up()


async def _knock(session: ClientSession, url: str, lane: str) -> None:
    """Everything that one who lacks the key may try; none of it is answered with more than a greeting."""
    for key in (None, b"o" * 32):
        async with session.ws_connect(url) as socket:
            with pytest.raises(ChannelError, match="key"):
                await greet(socket, lane, "s1", lambda key=key: [] if key is None else [key], Any)
    for answer in (_wrong_proof, _reflected, _nothing):
        async with session.ws_connect(url) as socket:
            hello = msgspec.msgpack.encode(Hello(lane, 1, 1, "s1", os.urandom(NONCE_BYTES), b""))
            await socket.send_bytes(hello)
            frame = await socket.receive(timeout=30)
            assert frame.type is WSMsgType.BINARY
            await socket.send_bytes(answer(hello, msgspec.msgpack.decode(frame.data, type=Welcome)))
            await socket.send_bytes(msgspec.msgpack.encode([["Attach", "x", 10**9, "s1"]]))
            assert (await socket.receive(timeout=30)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
    rng = random.Random(url)
    for size in (0, 1, 40, 4000, 100_000):
        async with session.ws_connect(url) as socket:
            await socket.send_bytes(rng.randbytes(size))
            assert (await socket.receive(timeout=30)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)


def _wrong_proof(hello: bytes, welcome: Welcome) -> bytes:
    return Secret(b"o" * 32, hello + msgspec.msgpack.encode(msgspec.structs.replace(welcome, proof=b""))).proof(
        "client"
    )


def _reflected(_: bytes, welcome: Welcome) -> bytes:
    return welcome.proof


def _nothing(_: bytes, __: Welcome) -> bytes:
    return b""


@pytest.mark.usefixtures("_alone")
def test_two_embedded_servers_refuse_each_other(tmp_path: Path) -> None:
    first, second = (ClusterNode(tmp_path, name, []) for name in ("s1", "s2"))
    try:
        first.start([])
        until(first.leads, 60, "the first serves")
        second.start([first.gossip_addr])
        assert second.wait(60) == 1
        assert "--backend etcd" in second.logged()
        assert "without --server" in second.logged()
        until(first.leads, 60, "the one that was there goes on")
    finally:
        first.clean_up()
        second.clean_up()
