"""Probes: one node after the other is pinged, directly, through others, over TCP; and answering such pings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dkronpy.gossip.codec.messages import (
    Ack,
    Address,
    IndirectPing,
    Nack,
    NodeState,
    Ping,
    Suspect,
    ip_bytes,
    ip_text,
)
from dkronpy.gossip.context import Context, Timer
from dkronpy.gossip.effects import StreamPing
from dkronpy.gossip.profile import Profile
from dkronpy.gossip.swim.awareness import Awareness
from dkronpy.gossip.swim.nodes import Node, Nodes
from dkronpy.gossip.swim.outlet import Outlet

log = logging.getLogger(__name__)

_STREAM_PING_SINCE: Final = 3
_NACK_SINCE: Final = 4
"""The memberlist protocols that know these."""
_MAX_RELAYED: Final = 1024
"""Pings on behalf of others that may be unanswered."""
_SEQUENCE: Final = 1 << 32


@dataclass(eq=False, slots=True)
class _Probe:
    node: Node
    ping: Ping
    sent: int
    interval: int
    """In this time some answer must come."""
    timer: Timer
    nacks_expected: int = 0
    nacks: int = 0
    answered_by_stream: bool = False


@dataclass(eq=False, slots=True)
class _Relayed:
    """A ping for another node, which is told of the answer."""

    asked: IndirectPing
    to: Address
    timer: Timer


class Prober:
    """Finds out which nodes answer. `suspect` is called with one that doesn't, `answered` with one that did at once,
    its round trip (ns) and what the layer above put into its answer."""

    def __init__(
        self,
        context: Context,
        profile: Profile,
        nodes: Nodes,
        outlet: Outlet,
        awareness: Awareness,
        me: Node,
        *,
        suspect: Callable[[Node], None],
        answered: Callable[[Node, int, bytes], None],
        payload: Callable[[], bytes],
    ) -> None:
        self._context = context
        self._profile = profile
        self._nodes = nodes
        self._outlet = outlet
        self._awareness = awareness
        self._me = me
        self._suspect = suspect
        self._answered = answered
        self._payload = payload
        self._probe: _Probe | None = None
        self._relayed: dict[int, _Relayed] = {}
        self._sequence = context.rng.randrange(_SEQUENCE)  # so that answers can't be guessed

    def start(self) -> None:
        """Probe from now on, beginning at a random moment."""
        self._context.after(self._context.rng.randrange(self._profile.probe_interval), self._next)

    # ---- asking

    def _next(self) -> None:
        node = self._nodes.next(
            lambda node: node is not self._me and not node.gone,
            lambda node: not node.gone or self._context.now - node.changed <= self._profile.gossip_to_the_dead,
        )
        if node is None:
            self._context.after(self._profile.probe_interval, self._next)
            return
        ping = Ping(
            self._sequence_number(), node.name, ip_bytes(self._me.address.host), self._me.address.port, self._me.name
        )
        timer = self._context.after(self._profile.probe_timeout, self._ask_others)
        interval = self._awareness.scaled(self._profile.probe_interval)
        self._probe = _Probe(node, ping, self._context.now, interval, timer)
        if node.state is NodeState.ALIVE:
            self._outlet.send(node.address, ping, node)
        else:  # it should know at once that it is suspected, so that it can object
            suspicion = Suspect(node.incarnation, node.name, self._me.name)
            self._outlet.send_alone(node.address, [ping, suspicion], node)

    def _sequence_number(self) -> int:
        self._sequence = (self._sequence + 1) % _SEQUENCE
        return self._sequence

    def _ask_others(self) -> None:
        probe = self._probe
        assert probe is not None
        node = probe.node
        peers = self._nodes.some(
            self._profile.indirect_checks,
            lambda peer: peer is not self._me and peer is not node and peer.state is NodeState.ALIVE,
        )
        for peer in peers:
            nack = peer.protocol_max >= _NACK_SINCE
            probe.nacks_expected += nack
            message = IndirectPing(
                probe.ping.seq_no,
                ip_bytes(node.address.host),
                node.address.port,
                node.name,
                nack,
                probe.ping.source_addr,
                probe.ping.source_port,
                probe.ping.source_node,
            )
            self._outlet.send(peer.address, message, peer)
        deadline = probe.sent + probe.interval
        if node.protocol_max >= _STREAM_PING_SINCE:
            self._context.emit(StreamPing(node.address, probe.ping, deadline))
        probe.timer = self._context.after(deadline - self._context.now, self._give_up)

    def _give_up(self) -> None:
        probe = self._probe
        assert probe is not None
        self._finish(probe)
        if probe.answered_by_stream:
            log.warning("%s answers over TCP but not over UDP: is UDP let through?", probe.node.name)
            self._awareness.change(-1)
            return
        missing = probe.nacks_expected - probe.nacks
        self._awareness.change(max(missing, 0) if probe.nacks_expected else 1)
        if self._nodes.get(probe.node.name) is probe.node:
            self._suspect(probe.node)

    def _finish(self, probe: _Probe) -> None:
        probe.timer.cancel()
        self._probe = None
        self._context.after(max(0, probe.sent + self._profile.probe_interval - self._context.now), self._next)

    # ---- being answered

    def on_ack(self, ack: Ack) -> None:
        """An answer to one of this node's pings, its own or for another."""
        probe = self._probe
        if probe is not None and ack.seq_no == probe.ping.seq_no:
            round_trip = self._context.now - probe.sent
            self._finish(probe)
            self._awareness.change(-1)
            if round_trip <= self._profile.probe_timeout:
                self._answered(probe.node, round_trip, ack.payload)
            return
        relayed = self._relayed.pop(ack.seq_no, None)
        if relayed is not None:
            relayed.timer.cancel()
            self._outlet.send(relayed.to, Ack(relayed.asked.seq_no))

    def on_nack(self, nack: Nack) -> None:
        """Another node lives, but the one it pinged for this one didn't answer it either."""
        if self._probe is not None and nack.seq_no == self._probe.ping.seq_no:
            self._probe.nacks += 1

    def on_stream_ack(self, seq_no: int) -> None:
        """The node answered over TCP; an answer over UDP may still come."""
        if self._probe is not None and seq_no == self._probe.ping.seq_no:
            self._probe.answered_by_stream = True

    # ---- answering

    def on_ping(self, ping: Ping, sender: Address) -> None:
        """Answer, if this node is meant."""
        if ping.node not in ("", self._me.name):
            log.debug("a ping from %s is for %s", sender, ping.node)
            return
        self._outlet.send(_source(ping, sender), Ack(ping.seq_no, self._payload()), self._nodes.get(ping.source_node))

    def on_indirect_ping(self, asked: IndirectPing, sender: Address) -> None:
        """Ping another node, on behalf of the sender."""
        if len(self._relayed) >= _MAX_RELAYED:
            log.warning("too many nodes ask to have others pinged; %s is not heard", sender)
            return
        target, asker = Address(ip_text(asked.target), asked.port or self._me.address.port), _source(asked, sender)
        ping = Ping(
            self._sequence_number(), asked.node, ip_bytes(self._me.address.host), self._me.address.port, self._me.name
        )
        timer = self._context.after(self._profile.probe_timeout, lambda: self._unanswered(ping.seq_no))
        self._relayed[ping.seq_no] = _Relayed(asked, asker, timer)
        self._outlet.send(target, ping, self._nodes.get(asked.node))

    def _unanswered(self, seq_no: int) -> None:
        relayed = self._relayed.pop(seq_no)
        if relayed.asked.nack:
            self._outlet.send(relayed.to, Nack(relayed.asked.seq_no))


def _source(ping: Ping | IndirectPing, sender: Address) -> Address:
    """Where the answer goes: where the asker says, else where it came from."""
    if ping.source_addr and ping.source_port:
        return Address(ip_text(ping.source_addr), ping.source_port)
    return sender
