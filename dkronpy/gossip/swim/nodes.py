"""The nodes that a node knows, itself among them, and the order in which it probes them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dkronpy.gossip.codec.messages import Address, NodeState
from dkronpy.gossip.context import Timer

MAX_META: Final = 512
"""Bytes of what the layer above tells of a node."""
VERSIONS: Final = 6
_NO_VERSIONS: Final = bytes(VERSIONS)


@dataclass(eq=False, slots=True)
class Suspicion:
    """A node that is suspected, and by whom."""

    since: int
    expected: int
    """Confirmations after which it has the least time."""
    least: int
    most: int
    by: set[str]
    timer: Timer

    @property
    def confirmations(self) -> int:
        return len(self.by) - 1


@dataclass(eq=False, slots=True)
class Node:
    """What is known of a node. `versions`: see Alive.vsn."""

    name: str
    address: Address
    meta: bytes
    versions: bytes = _NO_VERSIONS
    incarnation: int = 0
    state: NodeState = NodeState.DEAD
    changed: int = 0
    """When its state changed last."""
    suspicion: Suspicion | None = field(default=None, repr=False)

    @property
    def gone(self) -> bool:
        return self.state in (NodeState.DEAD, NodeState.LEFT)

    @property
    def protocol_max(self) -> int:
        return self.versions[1]


class Nodes:
    """By name, and in random order."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._by_name: dict[str, Node] = {}
        self._order: list[Node] = []
        self._probed = 0
        """How many of the order were probed in this round."""

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self):
        return iter(self._order)

    def get(self, name: str) -> Node | None:
        return self._by_name.get(name)

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def add(self, node: Node) -> None:
        """At a random place, so that not all nodes probe a new one last."""
        self._by_name[node.name] = node
        place = self._rng.randrange(len(self._order) + 1)
        self._order.append(node)
        self._order[place], self._order[-1] = self._order[-1], self._order[place]

    def some(self, count: int, accept: Callable[[Node], bool]) -> list[Node]:
        """At most `count` different ones at random that are accepted; of many, a few may be overlooked."""
        found: dict[Node, None] = {}
        for _ in range(3 * len(self._order)):
            if len(found) == count:
                break
            node = self._order[int(self._rng.random() * len(self._order))]
            if accept(node):
                found[node] = None
        return list(found)

    def next(self, accept: Callable[[Node], bool], keep: Callable[[Node], bool]) -> Node | None:
        """The next to be probed: every one in turn, in a new order each round. Those not to be kept are forgotten
        between the rounds."""
        for _ in range(len(self._order) + 1):
            if self._probed >= len(self._order):
                self._order = [node for node in self._order if keep(node)]
                self._by_name = {node.name: node for node in self._order}
                self._rng.shuffle(self._order)
                self._probed = 0
            node = self._order[self._probed]
            self._probed += 1
            if accept(node):
                return node
        return None
