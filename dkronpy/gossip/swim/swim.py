"""The membership: what is said of nodes, what this node makes of it, and what it says itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from dkronpy.gossip.codec.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    IndirectPing,
    Message,
    Nack,
    NodeState,
    Ping,
    PushPullNode,
    Suspect,
    User,
    ip_bytes,
    ip_text,
)
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.stream import MAX_NODES, PushPull
from dkronpy.gossip.context import Context
from dkronpy.gossip.effects import Exchange
from dkronpy.gossip.profile import Profile
from dkronpy.gossip.swim.awareness import Awareness
from dkronpy.gossip.swim.nodes import MAX_META, VERSIONS, Node, Nodes, Suspicion
from dkronpy.gossip.swim.outlet import NewsSource, Outlet
from dkronpy.gossip.swim.probing import Prober
from dkronpy.gossip.swim.scaling import push_pull_interval, suspicion_left, suspicion_timeout
from dkronpy.gossip.swim.versions import check_versions

log = logging.getLogger(__name__)

_LAST_INCARNATION: Final = (1 << 32) - 1
_STATES: Final = frozenset(NodeState)


class Above(NewsSource, Protocol):
    """The layer above, which is told of nodes and adds what it wants to say."""

    def joined(self, node: Node) -> None:
        """A node is there, or is back."""
        ...

    def left(self, node: Node) -> None:
        """A node is dead or has left."""
        ...

    def updated(self, node: Node) -> None:
        """A node has other meta data."""
        ...

    def conflict(self, node: Node, address: Address) -> None:
        """Somebody at another address has the node's name."""
        ...

    def answered(self, node: Node, round_trip: int, payload: bytes) -> None:
        """A node answered a ping after so many ns; see `ack_payload`."""
        ...

    def ack_payload(self) -> bytes:
        """What to add to an answer."""
        ...

    def receive(self, body: bytes) -> None:
        """A message of this layer came. Raises CodecError."""
        ...

    def local_state(self) -> bytes:
        """What to add to the state that is exchanged."""
        ...

    def merge_state(self, state: bytes) -> None:
        """The other side's. Raises CodecError."""
        ...


class Swim:
    """One node's view. Everything it does goes through its context."""

    def __init__(
        self,
        context: Context,
        profile: Profile,
        above: Above,
        *,
        name: str,
        address: Address,
        versions: bytes,
        meta: bytes,
        encrypted: Callable[[], bool],
    ) -> None:
        self._context = context
        self._profile = profile
        self._above = above
        self.nodes = Nodes(context.rng)
        self.me = Node(name, address, meta, versions)
        self.awareness = Awareness(profile.awareness_max)
        self.outlet = Outlet(context, profile, self.nodes, name, above, encrypted)
        self._prober = Prober(
            context,
            profile,
            self.nodes,
            self.outlet,
            self.awareness,
            self.me,
            suspect=lambda node: self._suspect(Suspect(node.incarnation, node.name, name)),
            answered=above.answered,
            payload=above.ack_payload,
        )
        self._leaving = False

    def start(self) -> None:
        """Be there."""
        self.nodes.add(self.me)
        self.announce()
        self._above.joined(self.me)
        self._prober.start()
        self._context.after(self._context.rng.randrange(self._profile.push_pull_interval), self._push_pull)

    def set_meta(self, meta: bytes) -> None:
        """Tell everybody other meta data, at most MAX_META bytes."""
        self.me.meta = meta
        self.announce()
        self._above.updated(self.me)

    def leave(self, done: Callable[[], None]) -> None:
        """Tell everybody that this node goes. `done` is called when that was passed on, or nobody is there."""
        self._leaving = True
        gone = Dead(self.me.incarnation, self.me.name, self.me.name)
        self.me.state, self.me.changed = NodeState.LEFT, self._context.now
        self._above.left(self.me)
        if self.others_alive():
            self.outlet.broadcast(gone, self.me.name, done)
        else:
            done()

    def others_alive(self) -> bool:
        """Whether there is anybody to talk to."""
        return any(not node.gone and node is not self.me for node in self.nodes)

    # ---- messages

    def receive(self, message: Message, sender: Address) -> None:
        """A message of a datagram. Raises CodecError for one that makes no sense."""
        match message:
            case Ping():
                self._prober.on_ping(message, sender)
            case IndirectPing():
                self._prober.on_indirect_ping(message, sender)
            case Ack():
                self._prober.on_ack(message)
            case Nack():
                self._prober.on_nack(message)
            case Suspect():
                self._suspect(message)
            case Alive():
                self._alive(message, self._checked(message))
            case Dead():
                self._dead(message)
            case User():
                self._above.receive(message.body)

    def on_stream_ack(self, seq_no: int) -> None:
        """A node answered over TCP."""
        self._prober.on_stream_ack(seq_no)

    # ---- the whole state

    def state(self, *, join: bool) -> PushPull:
        """What this side sends in an exchange."""
        nodes = [
            PushPullNode(
                node.name,
                ip_bytes(node.address.host),
                node.address.port,
                node.meta,
                node.incarnation,
                node.state,
                node.versions,
            )
            for node in self.nodes
        ]
        return PushPull(nodes, self._above.local_state(), join)

    def merge(self, remote: PushPull) -> None:
        """What the other side sent. Raises CodecError, with nothing of it taken over, if it makes no sense or some
        node speaks no version that all understand."""
        heard: list[tuple[PushPullNode, Alive, Address]] = []
        for node in remote.nodes:
            if node.state not in _STATES:
                raise CodecError(f"{node.name} is in the unknown state {node.state}")
            alive = Alive(node.incarnation, node.name, node.addr, node.port, node.meta, node.vsn)
            heard.append((node, alive, self._checked(alive)))
        check_versions(remote.nodes, self.nodes)
        for node, alive, address in heard:
            match node.state:
                case NodeState.ALIVE:
                    self._alive(alive, address)
                case NodeState.LEFT:
                    self._dead(Dead(node.incarnation, node.name, node.name))
                case _:  # also a dead one may object first
                    self._suspect(Suspect(node.incarnation, node.name, self.me.name))
        if remote.user_state:
            self._above.merge_state(remote.user_state)

    def _push_pull(self) -> None:
        for node in self.nodes.some(1, lambda node: node is not self.me and node.state is NodeState.ALIVE):
            self._context.emit(Exchange(node.address))
        interval = push_pull_interval(self._profile.push_pull_interval, len(self.nodes))
        self._context.after(interval, self._push_pull)

    # ---- nodes

    def _checked(self, alive: Alive) -> Address:
        """The node's address. Raises CodecError if something can't be."""
        if not alive.node:
            raise CodecError("a node has no name")
        if len(alive.meta) > MAX_META:
            raise CodecError(f"{alive.node} has {len(alive.meta)} bytes of tags, more than {MAX_META}")
        if alive.vsn:
            if len(alive.vsn) < VERSIONS:
                raise CodecError(f"{alive.node} tells no versions")
            least, greatest = alive.vsn[0], alive.vsn[1]
            if not 0 < least <= greatest:
                raise CodecError(f"{alive.node} speaks versions {least} to {greatest}")
        return Address(ip_text(alive.addr), alive.port or self.me.address.port)

    def _alive(self, alive: Alive, address: Address) -> None:
        if alive.node == self.me.name:
            self._heard_of_me(alive, address)
            return
        node = self.nodes.get(alive.node)
        reclaimed = False
        if node is None:
            if len(self.nodes) >= MAX_NODES:
                log.warning("there are too many nodes; %s is not taken in", alive.node)
                return
            node = Node(alive.node, address, alive.meta)
            self.nodes.add(node)
            fresh = True
        else:
            fresh = False
            if node.address != address:
                if not self._may_move(node):
                    self._above.conflict(node, address)
                    return
                log.info("%s is back at %s, it was at %s", node.name, address, node.address)
                reclaimed = True
        if alive.incarnation <= node.incarnation and not reclaimed and not fresh:
            return
        self._unsuspect(node)
        self.outlet.broadcast(alive, node.name)
        was, meta = node.state, node.meta
        if alive.vsn:
            node.versions = alive.vsn[:VERSIONS]
        node.incarnation, node.meta, node.address = alive.incarnation, alive.meta, address
        if was is not NodeState.ALIVE:
            node.state, node.changed = NodeState.ALIVE, self._context.now
        if fresh or was in (NodeState.DEAD, NodeState.LEFT):
            self._above.joined(node)
        elif meta != node.meta:
            self._above.updated(node)

    def _may_move(self, node: Node) -> bool:
        """Whether another address may take the name."""
        if node.state is NodeState.LEFT:
            return True
        return node.state is NodeState.DEAD and self._context.now - node.changed > self._profile.reclaim_after

    def _heard_of_me(self, alive: Alive, address: Address) -> None:
        me = self.me
        if self._leaving:
            return
        if address != me.address:
            self._above.conflict(me, address)
            return
        if alive.incarnation < me.incarnation:
            return
        same = alive.meta == me.meta and alive.vsn == me.versions
        if alive.incarnation > me.incarnation or not same:  # from before a restart
            self._refute(alive.incarnation)

    def _suspect(self, suspect: Suspect) -> None:
        node = self.nodes.get(suspect.node)
        if node is None or suspect.incarnation < node.incarnation:
            return
        if node.suspicion is not None:
            self._confirm(node, node.suspicion, suspect)
        elif node.state is not NodeState.ALIVE:
            return
        elif node is self.me:
            self._refute(suspect.incarnation)
        else:
            self.outlet.broadcast(suspect, node.name)
            node.incarnation = suspect.incarnation
            node.state, node.changed = NodeState.SUSPECT, self._context.now
            self._begin_suspicion(node, suspect.from_)

    def _begin_suspicion(self, node: Node, by: str) -> None:
        """The node has `least` if others confirm, or none are there who could; else up to `most`."""
        count = len(self.nodes)
        expected = self._profile.suspicion_mult - 2
        if count - 2 < expected:  # without this node and the suspected
            expected = 0
        least = suspicion_timeout(self._profile.suspicion_mult, count, self._profile.probe_interval)
        most = self._profile.suspicion_max_mult * least
        timer = self._context.after(most if expected else least, lambda: self._not_refuted(node))
        node.suspicion = Suspicion(self._context.now, expected, least, most, {by}, timer)
        log.info("%s suspects %s", by, node.name)

    def _confirm(self, node: Node, suspicion: Suspicion, suspect: Suspect) -> None:
        if suspicion.confirmations >= suspicion.expected or suspect.from_ in suspicion.by:
            return
        suspicion.by.add(suspect.from_)
        self.outlet.broadcast(suspect, node.name)
        left = suspicion_left(
            suspicion.confirmations,
            suspicion.expected,
            self._context.now - suspicion.since,
            suspicion.least,
            suspicion.most,
        )
        suspicion.timer.cancel()
        suspicion.timer = self._context.after(max(left, 0), lambda: self._not_refuted(node))

    def _not_refuted(self, node: Node) -> None:
        self._dead(Dead(node.incarnation, node.name, self.me.name))

    def _unsuspect(self, node: Node) -> None:
        if node.suspicion is not None:
            node.suspicion.timer.cancel()
            node.suspicion = None

    def _dead(self, dead: Dead) -> None:
        node = self.nodes.get(dead.node)
        if node is None or dead.incarnation < node.incarnation:
            return
        if node is self.me:
            if not self._leaving:
                self._refute(dead.incarnation)
            return
        self._unsuspect(node)
        if node.gone:
            return
        self.outlet.broadcast(dead, node.name)
        node.incarnation = dead.incarnation
        node.state = NodeState.LEFT if dead.from_ == dead.node else NodeState.DEAD
        node.changed = self._context.now
        self._above.left(node)

    def _refute(self, accused: int) -> None:
        """Object to what is said of this node, and doubt its own health: others don't hear from it."""
        self.me.incarnation = max(self.me.incarnation, accused)
        self.awareness.change(1)
        self.announce()

    def announce(self) -> None:
        """Say again that this node is there."""
        me = self.me
        me.state = NodeState.ALIVE
        me.incarnation = min(me.incarnation + 1, _LAST_INCARNATION)
        self.outlet.broadcast(
            Alive(me.incarnation, me.name, ip_bytes(me.address.host), me.address.port, me.meta, me.versions), me.name
        )
