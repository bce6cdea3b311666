"""A simulated network of gossiping nodes on a virtual clock: all that happens is drawn from one seed.

Datagrams may be lost, delayed, doubled and overtake each other; streams only take time, or fail where nodes are cut off
from each other or gone. What goes over it are the real bytes, except that nothing is encrypted or compressed.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from dkronpy.gossip.codec.messages import Address, Message, decode_message
from dkronpy.gossip.codec.packet import make_packet
from dkronpy.gossip.codec.stream import PushPull, StreamReader, make_stream
from dkronpy.gossip.effects import (
    Effect,
    EventHeard,
    Exchange,
    LeaveDone,
    MembersChanged,
    NameLost,
    SendPacket,
    StreamPing,
)
from dkronpy.gossip.profile import LAN, Profile
from dkronpy.gossip.serf.serf import Serf
from dkronpy.model.duration import SECOND
from dkronpy.model.member import MemberStatus

MS = SECOND // 1000

_decode = lru_cache(1 << 16)(decode_message)
"""The same piece of news is passed on a hundred times."""

_UDP_HEAD = 28
_TCP_OVERHEAD = 400
"""Bytes that IP and UDP, and setting up and closing a connection, add."""


class SimNode:
    """A node that runs in the network."""

    def __init__(self, network: Network, serf: Serf, address: Address) -> None:
        self.network = network
        self.serf = serf
        self.address = address
        self.up = True
        self.wake_at: int | None = None
        self.effects: list[Effect] = []
        """Those that only whoever runs the node is interested in."""
        self.left_at: int | None = None

    @property
    def name(self) -> str:
        return self.serf.name

    def statuses(self) -> dict[str, MemberStatus]:
        return {member.name: member.status for member in self.serf.members()}

    def sees(self, status: MemberStatus) -> set[str]:
        return {name for name, seen in self.statuses().items() if seen is status}

    def do(self, action: Callable[[], object]) -> None:
        """Let the node do something now."""
        if self.up:
            self.serf.advance(self.network.now)
            action()
            self.network.settle(self)


class Network:
    """`cut(a, b)` decides whether datagrams and streams from a to b get lost."""

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        duplicates: float = 0.0,
        delay: tuple[int, int] = (1 * MS, 5 * MS),
        profile: Profile = LAN,
    ) -> None:
        self.rng = random.Random(seed)
        self.now = 0
        self.loss = loss
        self.duplicates = duplicates
        self.delay = delay
        self.profile = profile
        self.cut: Callable[[str, str], bool] = lambda _a, _b: False
        self.nodes: dict[str, SimNode] = {}
        self._at: dict[Address, SimNode] = {}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._made = 0
        self.packets: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.failures: list[tuple[int, str, str]] = []
        """(when, who saw, who failed)."""
        self._failed: dict[str, set[str]] = {}
        self.watch_failures = False

    # ---- nodes

    def add(self, name: str, *, address: Address | None = None, tags: Mapping[str, str] | None = None) -> SimNode:
        """Start a node. One of the same name that is down is replaced."""
        number = len(self._at) + 1
        address = address or Address(f"10.0.{number >> 8}.{number & 255}", 8946)
        serf = Serf(
            self.profile,
            random.Random(self.rng.random()),
            name=name,
            address=address,
            tags=tags or {"role": "test", "node": name},
        )
        node = SimNode(self, serf, address)
        self.nodes[name] = self._at[address] = node
        node.do(serf.start)
        return node

    def crowd(self, count: int, *, within: int = SECOND) -> list[SimNode]:
        """Start so many nodes; all but the first join the first within that time."""
        nodes = [self.add(f"n{number:03}") for number in range(count)]
        for node in nodes[1:]:
            self.at(self.now + self.rng.randrange(within), lambda node=node: self.join(node, nodes[0]))
        return nodes

    def join(self, node: SimNode, to: SimNode) -> None:
        """As the driver does it."""
        self._exchange(node, to.address, join=True)

    def kill(self, node: SimNode) -> None:
        """It is gone without a word."""
        node.up = False

    def resume(self, node: SimNode) -> None:
        """A node that was killed was only stopped; what was sent to it meanwhile is lost."""
        node.up = True
        node.do(lambda: None)

    def split(self, *groups: Iterable[SimNode]) -> None:
        """Only nodes of one group reach each other."""
        of = {node.name: number for number, group in enumerate(groups) for node in group}
        self.cut = lambda a, b: of.get(a) != of.get(b)

    def heal(self) -> None:
        self.cut = lambda _a, _b: False

    # ---- time

    def at(self, when: int, action: Callable[[], None]) -> None:
        self._made += 1
        heapq.heappush(self._events, (when, self._made, action))

    def run(self, time: int, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass, at most so many ns. Whether `until` came true; it is looked at every 100 ms."""
        end, look = self.now + time, self.now
        while self._events and self._events[0][0] <= end:
            when, _, action = heapq.heappop(self._events)
            while until is not None and look <= when:
                self.now = max(self.now, look)
                if until():
                    heapq.heappush(self._events, (when, 0, action))
                    return True
                look += 100 * MS
            self.now = max(self.now, when)
            action()
        self.now = end
        return until is None or until()

    # ---- what nodes want done

    def settle(self, node: SimNode) -> None:
        for effect in node.serf.take():
            match effect:
                case SendPacket():
                    self._send(node, effect)
                case StreamPing():
                    self._stream_ping(node, effect)
                case Exchange():
                    self._exchange(node, effect.to)
                case MembersChanged():
                    self._watch(node)
                case LeaveDone() | NameLost():
                    node.up = False
                    node.left_at = self.now
                    node.effects.append(effect)
                case _:
                    node.effects.append(effect)
        deadline = node.serf.deadline()
        if deadline is not None and (node.wake_at is None or deadline < node.wake_at):
            node.wake_at = deadline
            self.at(deadline, lambda: self._wake(node, deadline))

    def _wake(self, node: SimNode, when: int) -> None:
        if node.wake_at == when:
            node.wake_at = None
            node.do(lambda: None)

    def _watch(self, node: SimNode) -> None:
        before = self._failed.get(node.name, set())
        self._failed[node.name] = now = node.sees(MemberStatus.FAILED)
        if self.watch_failures:
            self.failures += [(self.now, node.name, name) for name in sorted(now - before)]

    def _later(self, action: Callable[[], None]) -> None:
        self.at(self.now + self.rng.randrange(*self.delay), action)

    def _reaches(self, node: SimNode, to: Address) -> SimNode | None:
        """Who is at that address, if the node gets through."""
        found = self._at.get(to)
        return found if found is not None and found.up and not self.cut(node.name, found.name) else None

    def _send(self, node: SimNode, effect: SendPacket) -> None:
        self.packets[node.name] += 1
        size = len(make_packet(effect.messages, crc=effect.crc))
        assert size <= self.profile.packet_size or len(effect.messages) == 1, f"a datagram of {size} bytes"
        self.bytes[node.name] += size + _UDP_HEAD
        to = self._reaches(node, effect.to)
        if to is None or self.rng.random() < self.loss:
            return
        messages = [message for message in map(_decode, effect.messages) if message is not None]
        for _ in range(2 if self.rng.random() < self.duplicates else 1):
            self._later(lambda: self._receive(to, messages, node.address))

    def _receive(self, node: SimNode, messages: list[Message], sender: Address) -> None:
        def take() -> None:
            for message in messages:
                node.serf.handle(message, sender)

        node.do(take)

    def _stream_ping(self, node: SimNode, effect: StreamPing) -> None:
        to = self._reaches(node, effect.to)
        if to is not None and to.name == effect.ping.node and not self.cut(to.name, node.name):
            self._later(lambda: node.do(lambda: node.serf.on_stream_ack(effect.ping.seq_no)))

    def _exchange(self, node: SimNode, address: Address, *, join: bool = False) -> None:
        to = self._reaches(node, address)
        if to is None or self.cut(to.name, node.name):
            return
        request = self._carry(node, join=join)

        def ask() -> None:
            if not to.up:
                return
            answer = self._carry(to)
            to.do(lambda: to.serf.merge(request))
            self._later(lambda: node.do(lambda: take(answer)))

        def take(answer: PushPull) -> None:
            node.serf.merge(answer)
            if join:
                node.serf.announce_join()

        self._later(ask)

    def _carry(self, node: SimNode, *, join: bool = False) -> PushPull:
        wire = make_stream(node.serf.state(join=join))
        self.bytes[node.name] += len(wire) + _TCP_OVERHEAD
        message = StreamReader().feed(wire)
        assert isinstance(message, PushPull)
        return message

    def heard(self, node: SimNode) -> list[str]:
        """The events that the node's owner was told of."""
        return [effect.name for effect in node.effects if isinstance(effect, EventHeard)]
