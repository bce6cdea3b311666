"""The leader's end of a work lane, and the lane to the node in the leader's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from dkronpy.model.lane import Attach, ToLeader, ToNode
from dkronpy.runner.node import Node


class Lane(Protocol):
    """A session with one node. Messages arrive in order, or the session ends."""

    node: str

    def send(self, message: ToNode) -> None:
        """Queue a message to the node; never blocks, lost if the session is over."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


class LocalLane:
    """The lane to the node of this very process. Messages go through the event loop, so that neither end runs inside
    the other."""

    def __init__(self, node: Node, attach: Attach, receive: Callable[[Lane, ToLeader], None]) -> None:
        """Begin a session. Raises what `Node.attach` does."""
        self.node = node.name
        self.over = asyncio.Event()
        """The session has ended, at either end."""
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._session = attach.session
        node.attach(attach, self._from_node, self.over.set)

    def send(self, message: ToNode) -> None:
        self._loop.call_soon(self._deliver, message)

    def close(self) -> None:
        self.over.set()
        self._node.detach(self._session)

    def _deliver(self, message: ToNode) -> None:
        if not self.over.is_set():
            self._node.receive(message)

    def _from_node(self, message: ToLeader) -> None:
        self._loop.call_soon(self._to_leader, message)

    def _to_leader(self, message: ToLeader) -> None:
        if not self.over.is_set():
            self._receive(self, message)
