"""A node's start leases and sessions, on a clock of the test's own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from dkronpy.dispatch.lane import Lane, LocalLane
from dkronpy.dispatch.remote import keep_local_lane
from dkronpy.model.execution import State
from dkronpy.model.lane import START_LEASE, Ask, Attach, Inventory, Orders, Refused, Renew, ToLeader
from dkronpy.model.run import RunSpec
from dkronpy.runner.node import Node, StaleEpoch


class Clock:
    def __init__(self) -> None:
        self.now = 10**12

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def node(tmp_path: Path, clock: Clock) -> AsyncGenerator[Node]:
    spool = tmp_path / "spool"
    spool.mkdir()
    made = Node("n1", spool, now=clock, monotonic=clock)
    await made.open()
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    pid = made._client.pid
    await made.close()
    os.kill(pid, signal.SIGKILL)


def spec(group: int) -> RunSpec:
    return RunSpec("job", group, 1, "n1", "shell", {"command": "true"})


async def told(messages: list[ToLeader], kind: type[ToLeader], count: int = 1) -> list[ToLeader]:
    async with asyncio.timeout(30):
        while True:
            found = [message for message in messages if isinstance(message, kind)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.005)


async def test_a_start_lease_counts_from_when_it_was_asked_for(node: Node, clock: Clock) -> None:
    messages: list[ToLeader] = []
    node.attach(Attach("session", 1, "s1"), messages.append, lambda: None)
    await told(messages, Ask)
    asked = clock.now
    assert Ask(asked) in messages
    node.receive(Orders(node.spool, (spec(1),)))
    (refused,) = await told(messages, Refused)
    assert refused == Refused(spec(1).key, "the start lease is over", again=True)  # none was given yet

    clock.now += START_LEASE + 1  # the node hangs, with a lease and an order in its socket
    node.receive(Renew(asked))
    node.receive(Orders(node.spool, (spec(1),)))
    assert len(await told(messages, Refused, 2)) == 2

    node.receive(Renew(clock.now))
    node.receive(Orders(node.spool, (spec(1),)))
    async with asyncio.timeout(30):
        while not any(getattr(message, "state", None) is State.SUCCESS for message in messages):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_another_session_has_no_lease_of_the_one_before(node: Node, clock: Clock) -> None:
    node.attach(Attach("first", 1, "s1"), lambda _: None, lambda: None)
    node.receive(Renew(clock.now))
    messages: list[ToLeader] = []
    node.attach(Attach("second", 2, "s2"), messages.append, lambda: None)
    node.receive(Orders(node.spool, (spec(1),)))
    await told(messages, Refused)
    with pytest.raises(StaleEpoch):
        node.attach(Attach("third", 1, "s1"), messages.append, lambda: None)


class Leader:
    """What a node's lane needs of one."""

    epoch = 7

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tries = 0

    def attach(self, name: str, connect: Callable[[Attach], LocalLane]) -> LocalLane:
        self.tries += 1
        return connect(Attach("session", self.epoch, name))

    def receive(self, lane: Lane, message: ToLeader) -> None:
        pass


async def test_a_disk_on_which_no_epoch_can_be_noted_is_waited_for(node: Node, tmp_path: Path) -> None:
    """As one that is full; the server that leads does not end for it."""
    hindrance = tmp_path / "spool" / "epoch.new"
    hindrance.mkdir()
    leader = Leader(node)
    keeping = asyncio.create_task(keep_local_lane(cast("Any", leader), node))
    try:
        async with asyncio.timeout(30):
            while leader.tries < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert not keeping.done()
            assert node.session == ""
            hindrance.rmdir()
            while not node.session:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (tmp_path / "spool" / "epoch").read_text() == "7"
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_a_node_whose_runner_is_another_ends_its_session(node: Node) -> None:
    messages: list[ToLeader] = []
    over = asyncio.Event()
    node.attach(Attach("session", 1, "s1"), messages.append, over.set)
    await node._client.close()
    node._lost.set()
    async with asyncio.timeout(30):
        await over.wait()
    assert node.session == ""
    assert len(await told(messages, Inventory)) == 1
