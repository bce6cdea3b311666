"""Queries: this node's own with their answers, and those of others that it acknowledges and answers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dkronpy.gossip.codec.messages import Address, User, ip_bytes, ip_text
from dkronpy.gossip.codec.msgpack import CodecError, pack, unpack
from dkronpy.gossip.codec.records import decode, encode
from dkronpy.gossip.codec.serf_messages import (
    FilterKind,
    Query,
    QueryFlags,
    Response,
    TagFilter,
    encode_relay,
    encode_serf,
)
from dkronpy.gossip.context import Context
from dkronpy.gossip.effects import QueryAcked, QueryAnswered, QueryClosed
from dkronpy.gossip.profile import Profile
from dkronpy.gossip.regex.program import PatternError
from dkronpy.gossip.regex.syntax import Pattern
from dkronpy.gossip.serf.lamport import LamportClock
from dkronpy.gossip.serf.members import Members
from dkronpy.gossip.serf.recent import Recent
from dkronpy.gossip.swim.broadcasts import Broadcasts
from dkronpy.gossip.swim.swim import Swim
from dkronpy.model.member import MemberStatus

log = logging.getLogger(__name__)

MAX_QUERY: Final = 1024
MAX_RESPONSE: Final = 1024
"""Bytes of these messages, which must fit a datagram."""
MAX_FILTERS: Final = 8
_MAX_RELAYS: Final = 5
_RELAY_SINCE: Final = 5
"""The memberlist protocol that comes with relays."""


Collect: TypeAlias = Callable[[dict[str, bytes]], None]
"""Takes all answers by their members, when the query is closed."""


@dataclass(eq=False, slots=True)
class _Asked:
    """A query of this node that is open."""

    id: int
    collect: Collect | None
    acks: set[str] = field(default_factory=set[str])
    answers: dict[str, bytes] = field(default_factory=dict[str, bytes])


class Queries:
    """`answer` gives this node's answer to a query that it is meant by, or None."""

    def __init__(
        self,
        context: Context,
        profile: Profile,
        swim: Swim,
        members: Members,
        clock: LamportClock,
        answer: Callable[[Query], bytes | None],
    ) -> None:
        self._context = context
        self._profile = profile
        self._swim = swim
        self._members = members
        self._clock = clock
        self._answer = answer
        self._recent = Recent[int](clock.time)
        self._open: dict[int, _Asked] = {}
        """By Lamport time."""
        self.broadcasts = Broadcasts()

    def timeout(self) -> int:
        """How long a query is open: until it has reached everybody almost surely, and they have answered."""
        alive = self._members.count(MemberStatus.ALIVE)
        return self._profile.gossip_interval * self._profile.query_mult * math.ceil(math.log10(alive + 1))

    # ---- asking

    def ask(
        self,
        name: str,
        payload: bytes = b"",
        *,
        nodes: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        relays: int = 0,
        timeout: int = 0,
        collect: Collect | None = None,
    ) -> int:
        """Ask all members, or those whose names or tags (regular expressions) fit. Returns the id that effects name.

        Each answer is also sent by `relays` other ways. Raises ValueError if the query is too large."""
        filters = [bytes((FilterKind.NODE,)) + pack(list(nodes))] if nodes else []
        filters += [bytes((FilterKind.TAG,)) + encode(TagFilter(tag, expr)) for tag, expr in (tags or {}).items()]
        me = self._swim.me
        query = Query(
            self._clock.time,
            self._context.rng.randrange(1 << 31),
            ip_bytes(me.address.host),
            me.address.port,
            me.name,
            tuple(filters),
            QueryFlags.ACK if ack else 0,
            relays,
            timeout or self.timeout(),
            name,
            payload,
        )
        wire = encode_serf(query)
        if len(wire) > MAX_QUERY:
            raise ValueError(f"the query has {len(wire)} bytes, at most {MAX_QUERY} are carried")
        self._open[query.ltime] = _Asked(query.id, collect)
        self._context.after(query.timeout, lambda: self.close(query.id))
        self.on_query(query)
        self.broadcasts.add(wire)
        self._swim.outlet.wake()
        return query.id

    def close(self, number: int) -> None:
        """Take no more answers to the query of that id."""
        for ltime, asked in self._open.items():
            if asked.id == number:
                del self._open[ltime]
                self._context.emit(QueryClosed(number))
                if asked.collect is not None:
                    asked.collect(asked.answers)
                break

    def on_response(self, response: Response) -> None:
        """An answer came; it may come several times, by relays."""
        asked = self._open.get(response.ltime)
        if asked is None or asked.id != response.id:
            log.debug("an answer of %s to no query that is open", response.from_)
        elif response.flags & QueryFlags.ACK:
            if response.from_ not in asked.acks:
                asked.acks.add(response.from_)
                self._context.emit(QueryAcked(asked.id, response.from_))
        elif response.from_ not in asked.answers:
            asked.answers[response.from_] = response.payload
            self._context.emit(QueryAnswered(asked.id, response.from_, response.payload))

    # ---- being asked

    def on_query(self, query: Query) -> bool:
        """Whether it is to be passed on."""
        self._clock.witness(query.ltime)
        if not self._recent.add(query.ltime, query.id, self._clock.time):
            return False
        if self._meant(query.filters):
            if query.flags & QueryFlags.ACK:
                self._respond(query, QueryFlags.ACK, b"")
            payload = self._answer(query)
            if payload is not None:
                self._respond(query, 0, payload)
        return not query.flags & QueryFlags.NO_BROADCAST

    def _meant(self, filters: Sequence[bytes]) -> bool:
        try:
            return len(filters) <= MAX_FILTERS and all(map(self._passes, filters))
        except (CodecError, PatternError) as error:
            log.warning("the filter of a query is not understood: %s", error)
            return False

    def _passes(self, wire: bytes) -> bool:
        """Raises CodecError and PatternError."""
        kind = wire[0] if wire else None
        if kind == FilterKind.NODE:
            names, _ = unpack(wire, 1)
            return isinstance(names, list) and self._swim.me.name.encode() in names
        if kind == FilterKind.TAG:
            tag, _ = decode(TagFilter, wire, 1)
            me = self._members.get(self._swim.me.name)
            return Pattern(tag.expr).found(me.member.tags.get(tag.tag, "") if me else "")
        raise CodecError(f"filter {kind} is unknown")

    def _respond(self, query: Query, flags: int, payload: bytes) -> None:
        response = Response(query.ltime, query.id, self._swim.me.name, flags, payload)
        wire = encode_serf(response)
        if len(wire) > MAX_RESPONSE:
            log.error("the answer to %s has %d bytes, at most %d are carried", query.name, len(wire), MAX_RESPONSE)
            return
        if query.source_node == self._swim.me.name:
            self.on_response(response)
            return
        to = Address(ip_text(query.addr), query.port)
        self._swim.outlet.send_alone(to, [User(wire)], self._swim.nodes.get(query.source_node))
        self._relay(query, to, wire)

    def _relay(self, query: Query, to: Address, wire: bytes) -> None:
        """Send it by other ways too, where there are enough."""
        count = min(query.relay_factor, _MAX_RELAYS)
        if not count or len(self._members) < count + 1:
            return
        relayed = User(encode_relay(to, query.source_node, wire))
        peers = self._swim.nodes.some(
            count,
            lambda node: node is not self._swim.me and not node.gone and node.protocol_max >= _RELAY_SINCE,
        )
        for peer in peers:
            self._swim.outlet.send_alone(peer.address, [relayed], peer)
