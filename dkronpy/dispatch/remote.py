"""Work lanes over the network: the leader keeps one to every member, and each node has a door where leaders attach."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import ClientError, web

from dkronpy.dispatch.lane import LocalLane
from dkronpy.dispatch.leader import Leader
from dkronpy.model.lane import Attach, ToLeader, ToNode
from dkronpy.model.member import Member
from dkronpy.rpc import server
from dkronpy.rpc.auth import Keys
from dkronpy.rpc.channel import MAX_FRAME, Channel, ChannelError, answer, converse, greet
from dkronpy.rpc.dialer import Dialer
from dkronpy.runner.node import Node, StaleEpoch

log = logging.getLogger(__name__)

PATH = "/lanes/work"
KIND = "work"
HEARTBEAT = 4.0
"""Seconds between pings of a lane; one that is not answered within half of it ends the lane."""
AGAIN_FIRST, AGAIN_MAX = 0.1, 2.0
"""Seconds between tries to reach a member."""


class RemoteLane:
    """The leader's end of a lane to another node."""

    def __init__(self, channel: Channel[ToLeader], attach: Attach) -> None:
        self.node = channel.peer
        self._channel = channel
        channel.send(attach)

    def send(self, message: ToNode) -> None:
        self._channel.send(message)

    def close(self) -> None:
        self._channel.close()


async def keep_lane(leader: Leader, dialer: Dialer, member: Member, name: str, keys: Keys) -> None:
    """Hold a lane to a member, connecting again whenever it ends, until cancelled."""
    delay = AGAIN_FIRST
    while True:
        try:
            address = member.tags["rpc_addr"]
            async with dialer.connect(address, PATH, longest=MAX_FRAME, heartbeat=HEARTBEAT) as socket:
                channel: Channel[ToLeader] = await greet(socket, KIND, name, keys, ToLeader)
                if channel.peer != member.name:
                    raise ChannelError(f"{address} is {channel.peer}")
                delay = AGAIN_FIRST
                await _use(leader, channel)
        except (ChannelError, ClientError, OSError, TimeoutError) as error:
            log.info("no lane to a node: %s", error, extra={"node": member.name, "epoch": leader.epoch})
        await asyncio.sleep(delay)
        delay = min(delay * 2, AGAIN_MAX)


async def keep_local_lane(leader: Leader, node: Node) -> None:
    """Hold a lane to the node of this very process, in session after session, until cancelled."""
    delay = AGAIN_FIRST
    while True:
        try:
            lane = leader.attach(node.name, lambda attach: LocalLane(node, attach, leader.receive))
        except (StaleEpoch, OSError) as error:
            log.info("no lane to a node: %s", error, extra={"node": node.name, "epoch": leader.epoch})
        else:
            delay = AGAIN_FIRST
            await lane.over.wait()
            leader.detach(lane)
        await asyncio.sleep(delay)
        delay = min(delay * 2, AGAIN_MAX)


async def _use(leader: Leader, channel: Channel[ToLeader]) -> None:
    lane = leader.attach(channel.peer, lambda attach: RemoteLane(channel, attach))
    try:
        await converse(channel, lambda message: leader.receive(lane, message))
    finally:
        leader.detach(lane)


def door(node: Node, keys: Keys) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `PATH` on a node's RPC port."""

    async def serve(socket: web.WebSocketResponse) -> None:
        try:
            channel: Channel[ToNode] = await answer(socket, KIND, node.name, keys, ToNode)
            await _serve(node, channel)
        except (ChannelError, StaleEpoch, OSError) as error:
            log.info("a leader's lane has ended: %s", error, extra={"node": node.name})

    return server.door(serve, max_msg_size=MAX_FRAME, heartbeat=HEARTBEAT)


async def _serve(node: Node, channel: Channel[ToNode]) -> None:
    session = ""

    def handle(message: ToNode) -> None:
        nonlocal session
        if isinstance(message, Attach):
            session = message.session
            node.attach(message, channel.send, channel.close)
        elif not session:
            raise ChannelError("a session begins with Attach")
        elif node.session == session:
            node.receive(message)

    try:
        await converse(channel, handle)
    finally:
        node.detach(session)
