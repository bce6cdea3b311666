"""Election lanes: each server holds one to every other server, and sends its election messages over it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientError, web

from dkronpy.rpc import server
from dkronpy.rpc.auth import Keys
from dkronpy.rpc.channel import Channel, ChannelError, answer, converse, greet
from dkronpy.rpc.dialer import Dialer

log = logging.getLogger(__name__)

PATH = "/lanes/election"
KIND = "election"
MAX_FRAME = 1 << 16
HEARTBEAT = 4.0
"""Seconds between pings; a lane whose ping is not answered within half of it is over. That is longer than the
standstill of a machine that the election forgives; a leader's silence is noticed much earlier."""
AGAIN = 0.2
"""Seconds between tries to reach a server."""

Message = dict[str, Any]


class ElectionLanes:
    """This server's lanes to the others. `changed` is called with a peer's name and whether messages reach it now."""

    def __init__(self, dialer: Dialer, name: str, keys: Keys, changed: Callable[[str, bool], None]) -> None:
        self._dialer = dialer
        self._name = name
        self._keys = keys
        self._changed = changed
        self._channels: dict[str, Channel[Message]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def send(self, peer: str, message: Message) -> None:
        """Send to a peer; lost if there is no lane to it."""
        channel = self._channels.get(peer)
        if channel is not None:
            channel.send(message)

    def connected(self) -> list[str]:
        """The peers that messages reach."""
        return list(self._channels)

    def keep(self, group: asyncio.TaskGroup, addresses: dict[str, str]) -> None:
        """Hold lanes to just these peers, by name and `host:port`."""
        for peer in [peer for peer in self._tasks if peer not in addresses]:
            self._tasks.pop(peer).cancel()
        for peer, address in addresses.items():
            if peer not in self._tasks:
                self._tasks[peer] = group.create_task(self._keep(peer, address), name=f"election lane to {peer}")

    async def _keep(self, peer: str, address: str) -> None:
        while True:
            try:
                async with self._dialer.connect(address, PATH, longest=MAX_FRAME, heartbeat=HEARTBEAT) as socket:
                    channel: Channel[Message] = await greet(socket, KIND, self._name, self._keys, Message)
                    if channel.peer != peer:
                        raise ChannelError(f"{address} is {channel.peer}, not {peer}")
                    await self._use(peer, channel)
            except (ChannelError, ClientError, OSError, TimeoutError) as error:
                log.debug("no election lane: %s", error, extra={"node": peer})
            await asyncio.sleep(AGAIN)

    async def _use(self, peer: str, channel: Channel[Message]) -> None:
        self._channels[peer] = channel
        self._changed(peer, True)
        try:
            await converse(channel, _one_way)
        finally:
            del self._channels[peer]
            self._changed(peer, False)


def _one_way(_: Message) -> None:
    raise ChannelError("an election lane goes one way")


def door(
    name: str, keys: Keys, receive: Callable[[str, Message], None]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `PATH`: passes on what peers send."""

    async def serve(socket: web.WebSocketResponse) -> None:
        try:
            channel: Channel[Message] = await answer(socket, KIND, name, keys, Message)
            await converse(channel, lambda message: receive(channel.peer, message))
        except ChannelError as error:
            log.debug("an election lane has ended: %s", error, extra={"node": name})

    return server.door(serve, max_msg_size=MAX_FRAME, heartbeat=HEARTBEAT)
