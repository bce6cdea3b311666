"""Servers compare their clocks, every few seconds, by a greeting: it tells the time and is proven by the key."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import ClientError, web

from dkronpy.leadership.clocks import Clocks
from dkronpy.model.member import Member
from dkronpy.rpc import server
from dkronpy.rpc.auth import Keys
from dkronpy.rpc.channel import ChannelError, Offset, answer, greet
from dkronpy.rpc.dialer import Dialer

log = logging.getLogger(__name__)

PATH = "/lanes/clock"
KIND = "clock"
INTERVAL = 5.0
"""Seconds between two looks."""
FIRST = 0.5
"""Seconds between two looks while there is no peer to compare with."""
MAX_FRAME = 4096
WITHIN = 3.0
"""Seconds that a comparison may take."""


async def compare(
    dialer: Dialer,
    name: str,
    keys: Keys,
    peers: Callable[[], Sequence[Member]],
    clocks: Clocks,
    tell: Callable[[float], None],
) -> None:
    """Compare this server's clock with its peers' until cancelled; `tell` is given the largest distance in seconds.
    That the clock gets wrong, and right again, is logged once."""
    wrong = False
    while True:
        found = [member for member in peers() if member.alive and member.name != name]
        for member in found:
            offset = await _ask(dialer, name, keys, member)
            if offset is not None:
                clocks.measured(member.name, offset, time.monotonic())
        now = time.monotonic()
        tell(clocks.worst(now))
        fault = clocks.fault(now)
        if fault is not None and not wrong:
            log.error("this server does not claim the lead: %s", fault, extra={"node": name})
        elif fault is None and wrong:
            log.info("the clock agrees with the other servers' again", extra={"node": name})
        wrong = fault is not None
        await asyncio.sleep(INTERVAL if found else FIRST)


async def _ask(dialer: Dialer, name: str, keys: Keys, member: Member) -> Offset | None:
    address = member.tags["rpc_addr"]
    try:
        async with asyncio.timeout(WITHIN), dialer.connect(address, PATH, longest=MAX_FRAME) as socket:
            channel = await greet(socket, KIND, name, keys, int)
            if channel.peer != member.name:
                raise ChannelError(f"{address} is {channel.peer}")
            return channel.offset
    except (ChannelError, ClientError, OSError, TimeoutError) as error:
        log.debug("a clock can't be compared: %s", error, extra={"node": member.name})
        return None


def door(
    name: str, keys: Keys, clock: Callable[[], int] = time.time_ns
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `PATH`: greets, which tells the time, and hangs up."""

    async def serve(socket: web.WebSocketResponse) -> None:
        try:
            await answer(socket, KIND, name, keys, int, clock)
        except ChannelError as error:
            log.debug("a clock was not compared: %s", error, extra={"node": name})

    return server.door(serve, max_msg_size=MAX_FRAME)
