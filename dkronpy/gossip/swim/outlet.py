"""The way out: messages take waiting news along, and news is passed on in rounds for as long as there is some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from dkronpy.gossip.codec.keyring import OVERHEAD
from dkronpy.gossip.codec.messages import Address, Message, NodeState, encode_message
from dkronpy.gossip.codec.packet import COMPOUND_HEAD, COMPOUND_PART, CRC_HEAD, MAX_PARTS
from dkronpy.gossip.context import Context, Timer
from dkronpy.gossip.effects import SendPacket
from dkronpy.gossip.profile import Profile
from dkronpy.gossip.swim.broadcasts import Broadcasts
from dkronpy.gossip.swim.nodes import Node, Nodes
from dkronpy.gossip.swim.scaling import retransmits

_CRC_SINCE: Final = 5
"""The memberlist protocol that knows checksums."""


class NewsSource(Protocol):
    """The layer above, which has news of its own."""

    def take_news(self, limit: int, overhead: int) -> list[bytes]:
        """Messages that fit `limit` bytes, each with `overhead` more."""
        ...

    def has_news(self) -> bool: ...


class Outlet:
    """Sends. `encrypted` tells whether datagrams grow by that."""

    def __init__(
        self,
        context: Context,
        profile: Profile,
        nodes: Nodes,
        me: str,
        above: NewsSource,
        encrypted: Callable[[], bool],
    ) -> None:
        self._context = context
        self._profile = profile
        self._nodes = nodes
        self._me = me
        self._above = above
        self._encrypted = encrypted
        self._round: Timer | None = None
        self.broadcasts = Broadcasts()

    def send(self, to: Address, message: Message, node: Node | None = None) -> None:
        """Send a message, with as much news as fits beside it."""
        first = encode_message(message)
        news = self._news(len(first) + COMPOUND_PART, MAX_PARTS - 1)
        self._emit(to, (first, *news), node)

    def send_alone(self, to: Address, messages: list[Message], node: Node | None = None) -> None:
        """Send these messages and nothing else."""
        self._emit(to, tuple(map(encode_message, messages)), node)

    def broadcast(self, message: Message, name: str, done: Callable[[], None] | None = None) -> None:
        """Tell everybody; it replaces what is still to be told of the node `name`."""
        self.broadcasts.add(encode_message(message), name, done)
        self.wake()

    def wake(self) -> None:
        """There is news: start the rounds, at a random moment so that nodes don't all speak at once."""
        if self._round is None:
            delay = self._context.rng.randrange(self._profile.gossip_interval)
            self._round = self._context.after(delay, self._gossip)

    def _gossip(self) -> None:
        self._round = None
        for node in self._nodes.some(self._profile.gossip_nodes, self._wants_news):
            news = self._news(0, MAX_PARTS)
            if not news:
                break
            self._emit(node.address, tuple(news), node)
        if self.broadcasts or self._above.has_news():
            self._round = self._context.after(self._profile.gossip_interval, self._gossip)

    def _wants_news(self, node: Node) -> bool:
        if node.name == self._me or node.state is NodeState.LEFT:
            return False
        return node.state is not NodeState.DEAD or self._context.now - node.changed <= self._profile.gossip_to_the_dead

    def _news(self, used: int, count: int) -> list[bytes]:
        """News for a datagram of which `used` bytes are taken."""
        limit = self._profile.packet_size - COMPOUND_HEAD - CRC_HEAD - used
        if self._encrypted():
            limit -= OVERHEAD
        transmits = retransmits(self._profile.retransmit_mult, len(self._nodes))
        news = self.broadcasts.take(limit, COMPOUND_PART, transmits)
        limit -= sum(map(len, news)) + COMPOUND_PART * len(news)
        return (news + self._above.take_news(limit, COMPOUND_PART))[:count]

    def _emit(self, to: Address, messages: tuple[bytes, ...], node: Node | None) -> None:
        crc = node is not None and node.protocol_max >= _CRC_SINCE
        self._context.emit(SendPacket(to, messages, crc))
