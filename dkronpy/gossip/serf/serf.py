"""A node of the cluster, without I/O: SWIM, and serf on top of it. Datagrams and time go in, effects come out."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from dkronpy.gossip.codec.keyring import Keyring
from dkronpy.gossip.codec.messages import Address, Kind, Message, User
from dkronpy.gossip.codec.serf_messages import (
    JoinIntent,
    LeaveIntent,
    PastEvent,
    PastEvents,
    Query,
    Relay,
    Response,
    SerfMessage,
    SerfState,
    UserEvent,
    decode_as,
    decode_serf,
    encode_serf,
)
from dkronpy.gossip.codec.stream import PushPull
from dkronpy.gossip.context import Context
from dkronpy.gossip.effects import EventHeard, Exchange, LeaveDone
from dkronpy.gossip.profile import Profile
from dkronpy.gossip.serf.conflicts import Conflicts
from dkronpy.gossip.serf.coordinates import Place
from dkronpy.gossip.serf.internal import Internal
from dkronpy.gossip.serf.lamport import LamportClock
from dkronpy.gossip.serf.members import Members
from dkronpy.gossip.serf.queries import Queries
from dkronpy.gossip.serf.recent import Recent
from dkronpy.gossip.serf.tags import encode_tags
from dkronpy.gossip.swim.broadcasts import Broadcasts
from dkronpy.gossip.swim.nodes import Node
from dkronpy.gossip.swim.scaling import retransmits
from dkronpy.gossip.swim.swim import Swim
from dkronpy.gossip.swim.versions import MEMBERLIST
from dkronpy.model.member import Member, MemberStatus

log = logging.getLogger(__name__)

PROTOCOL: Final = (2, 5, 4)
"""Least and greatest protocol of serf understood, and spoken: 4, as Dkron does."""
MAX_EVENT: Final = 512
"""Bytes of an event's name and payload."""
_MAX_QUEUE: Final = 4096
"""Messages that wait to be passed on."""
_USER: Final = bytes((Kind.USER,))


class Clocks(msgspec.Struct, frozen=True):
    """The Lamport clocks, which must not go back when a node starts again."""

    member: int = 1
    event: int = 1
    query: int = 1


class Serf:
    """One node. Call `advance` (or, before `handle`, `look`) before anything else, and do what `take` returns after it.
    Time is ns on any clock that never goes back."""

    def __init__(
        self,
        profile: Profile,
        rng: random.Random,
        *,
        name: str,
        address: Address,
        tags: Mapping[str, str],
        keyring: Keyring | None = None,
        clocks: Clocks = Clocks(),  # noqa: B008
    ) -> None:
        """Raises TagsError if the tags don't fit."""
        context = Context(rng)
        self.profile = profile
        self._context = context
        self.look, self.advance, self.deadline, self.take = (
            context.look,
            context.advance,
            context.deadline,
            context.take,
        )
        self._clock = LamportClock(clocks.member)
        self._event_clock = LamportClock(clocks.event)
        self._query_clock = LamportClock(clocks.query)
        self._intents = Broadcasts()
        self._events = Broadcasts()
        self._recent = Recent[PastEvent](clocks.event)
        self._keyring = keyring
        self._place = Place(rng)
        self._swim = Swim(
            context,
            profile,
            self,
            name=name,
            address=address,
            versions=bytes(MEMBERLIST + PROTOCOL),
            meta=encode_tags(tags),
            encrypted=lambda: keyring is not None,
        )
        self._members = Members(context, profile, name, self._clock, self.announce_join, self._place.forget)
        internal = Internal(context, name, self._members, keyring)
        self.queries = Queries(context, profile, self._swim, self._members, self._query_clock, internal.answer)
        self._conflicts = Conflicts(context, profile, self._swim, self.queries)

    def start(self) -> None:
        """Be there."""
        self._swim.start()
        self._every(self.profile.reap_interval, self._reap)
        self._every(self.profile.reconnect_interval, self._reconnect)

    def _every(self, interval: int, action: Callable[[], None]) -> None:
        def act() -> None:
            action()
            self._context.after(interval, act)

        self._context.after(interval, act)

    # ---- what this node does

    def members(self) -> list[Member]:
        """All that are known, this node among them, by name."""
        return sorted((known.member for known in self._members), key=lambda member: member.name)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Raises TagsError if they don't fit."""
        meta = encode_tags(tags)
        if meta != self._swim.me.meta:
            self._swim.set_meta(meta)

    def announce_join(self) -> None:
        """Say that this node is there and doesn't leave: after a join, and against what was said before."""
        join = JoinIntent(self._clock.time, self._swim.me.name)
        self._members.join_intent(join)
        self._pass_on(self._intents, encode_serf(join))

    def event(self, name: str, payload: bytes) -> None:
        """Tell everybody. Raises ValueError if it is too large."""
        if len(name.encode()) + len(payload) > MAX_EVENT:
            raise ValueError(f"an event's name and payload have at most {MAX_EVENT} bytes")
        event = UserEvent(self._event_clock.increment(), name, payload)
        self._on_event(event)
        self._pass_on(self._events, encode_serf(event))

    def leave(self) -> None:
        """Tell everybody that this node goes; LeaveDone follows."""
        self._members.leaving = True
        leave = LeaveIntent(self._clock.increment(), self._swim.me.name)
        self._members.leave_intent(leave)
        if not self._swim.others_alive():
            self._swim.leave(lambda: self._context.emit(LeaveDone()))
            return
        gone = self._once(lambda: self._swim.leave(self._once(self._left)))
        self._intents.add(encode_serf(leave), done=gone)
        self._swim.outlet.wake()

    def _once(self, action: Callable[[], None]) -> Callable[[], None]:
        """Do it when it is called, or after the broadcast timeout; in its own turn, for it may change what is sent."""
        timer = self._context.after(self.profile.broadcast_timeout, action)

        def early() -> None:
            if timer.action is not None:
                timer.cancel()
                self._context.after(0, action)

        return early

    def _left(self) -> None:
        self._context.after(self.profile.leave_delay, lambda: self._context.emit(LeaveDone()))

    # ---- what comes in; all raise CodecError for what makes no sense

    def handle(self, message: Message, sender: Address) -> None:
        """A message of a datagram."""
        self._swim.receive(message, sender)

    def on_stream_ack(self, seq_no: int) -> None:
        """A node answered a StreamPing."""
        self._swim.on_stream_ack(seq_no)

    def state(self, *, join: bool = False) -> PushPull:
        """What this side sends in an exchange of states."""
        return self._swim.state(join=join)

    def merge(self, remote: PushPull) -> None:
        """What the other side sent."""
        self._swim.merge(remote)

    @property
    def name(self) -> str:
        return self._swim.me.name

    @property
    def address(self) -> Address:
        return self._swim.me.address

    # ---- time

    def _reap(self) -> None:
        self._members.reap()
        for queue in (self._intents, self._events, self.queries.broadcasts):
            queue.prune(_MAX_QUEUE)

    def _reconnect(self) -> None:
        """Try to reach a failed member, so often that all nodes together try each about once an interval."""
        failed = self._members.of(MemberStatus.FAILED)
        alive = self._members.count(MemberStatus.ALIVE) or 1
        if failed and self._context.rng.random() <= len(failed) / alive:
            self._context.emit(Exchange(self._context.rng.choice(failed).address))

    # ---- serf's messages

    def receive(self, body: bytes) -> None:
        """See Above."""
        message = decode_serf(body)
        if isinstance(message, Relay):
            self._swim.outlet.send_alone(message.to, [User(message.body)], self._swim.nodes.get(message.name))
        elif message is not None:
            queue = self._take_in(message)
            if queue is not None:
                self._pass_on(queue, body)

    def _take_in(self, message: SerfMessage) -> Broadcasts | None:
        """The queue in which it is to be passed on, if it is news."""
        match message:
            case LeaveIntent():
                return self._intents if self._members.leave_intent(message) else None
            case JoinIntent():
                return self._intents if self._members.join_intent(message) else None
            case UserEvent():
                return self._events if self._on_event(message) else None
            case Query():
                return self.queries.broadcasts if self.queries.on_query(message) else None
            case Response():
                self.queries.on_response(message)
                return None

    def _on_event(self, event: UserEvent) -> bool:
        self._event_clock.witness(event.ltime)
        if not self._recent.add(event.ltime, PastEvent(event.name, event.payload), self._event_clock.time):
            return False
        self._context.emit(EventHeard(event.name, event.payload))
        return True

    def _pass_on(self, queue: Broadcasts, message: bytes) -> None:
        queue.add(message)
        self._swim.outlet.wake()

    # ---- Above: what SWIM asks of its upper layer

    def take_news(self, limit: int, overhead: int) -> list[bytes]:
        """See NewsSource."""
        news: list[bytes] = []
        transmits = retransmits(self.profile.retransmit_mult, len(self._members))
        for queue in (self._intents, self.queries.broadcasts, self._events):
            taken = queue.take(limit, overhead + len(_USER), transmits)
            limit -= sum(len(body) + overhead + len(_USER) for body in taken)
            news += (_USER + body for body in taken)
        return news

    def has_news(self) -> bool:
        """See NewsSource."""
        return bool(self._intents or self._events or self.queries.broadcasts)

    def joined(self, node: Node) -> None:
        """See Above."""
        self._members.joined(node)

    def left(self, node: Node) -> None:
        """See Above."""
        self._members.left(node)

    def updated(self, node: Node) -> None:
        """See Above."""
        self._members.updated(node)

    def conflict(self, node: Node, address: Address) -> None:
        """See Above."""
        self._conflicts.heard(node, address)

    def answered(self, node: Node, round_trip: int, payload: bytes) -> None:
        """See Above."""
        self._place.observe(node.name, round_trip, payload)

    def ack_payload(self) -> bytes:
        """See Above."""
        return self._place.payload()

    def local_state(self) -> bytes:
        """See Above."""
        return encode_serf(
            SerfState(
                self._clock.time,
                {known.member.name: known.ltime for known in self._members},
                tuple(known.member.name for known in self._members.of(MemberStatus.LEFT)),
                self._event_clock.time,
                tuple(PastEvents(ltime, events) for ltime, events in self._recent),
                self._query_clock.time,
            )
        )

    def merge_state(self, state: bytes) -> None:
        """See Above. Those that left come first, so that their leaving isn't outdated by the time it was joined."""
        remote = decode_as(SerfState, state)
        for clock, time in (
            (self._clock, remote.ltime),
            (self._event_clock, remote.event_ltime),
            (self._query_clock, remote.query_ltime),
        ):
            clock.witness(time - 1)
        for name in remote.left_members:  # when it left isn't said, but it was after it joined
            self._members.leave_intent(LeaveIntent(remote.status_ltimes.get(name, 0) + 1, name))
        for name, ltime in remote.status_ltimes.items():
            self._members.join_intent(JoinIntent(ltime, name))
        for events in remote.events:
            for event in events.events:
                self._on_event(UserEvent(events.ltime, event.name, event.payload))

    # ---- for others to see

    def clocks(self) -> Clocks:
        """To be given to this node when it starts again."""
        return Clocks(self._clock.time, self._event_clock.time, self._query_clock.time)

    def stats(self) -> dict[str, str]:
        """Serf's figures of itself, all as text."""
        members = self._members
        figures = {
            "members": len(members),
            "failed": members.count(MemberStatus.FAILED),
            "left": members.count(MemberStatus.LEFT),
            "health_score": self._swim.awareness.score,
            "member_time": self._clock.time,
            "event_time": self._event_clock.time,
            "query_time": self._query_clock.time,
            "intent_queue": len(self._intents),
            "event_queue": len(self._events),
            "query_queue": len(self.queries.broadcasts),
            "coordinate_resets": self._place.resets,
        }
        encrypted = "true" if self._keyring is not None else "false"
        return {name: str(value) for name, value in figures.items()} | {"encrypted": encrypted}
