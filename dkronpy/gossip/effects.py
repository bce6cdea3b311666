"""What the state machines want done: they do nothing themselves."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dkronpy.gossip.codec.messages import Address, Ping


class SendPacket(NamedTuple):
    """Send these messages in one datagram; with a checksum if the receiver knows it."""

    to: Address
    messages: tuple[bytes, ...]
    crc: bool


class StreamPing(NamedTuple):
    """Ping over TCP; an Ack that comes before `deadline` is to be reported as `stream_ack`."""

    to: Address
    ping: Ping
    deadline: int


class Exchange(NamedTuple):
    """Exchange the whole state with that node over TCP, and `merge` what it sends."""

    to: Address


class MembersChanged(NamedTuple):
    """A member came, went, or changed its tags, address or state."""


class NameLost(NamedTuple):
    """Most members say that another node has this one's name: it must stop."""

    address: Address


class KeyringChanged(NamedTuple):
    """A key was installed, removed or made the primary."""


class EventHeard(NamedTuple):
    """An event of the cluster, also one of this node."""

    name: str
    payload: bytes


class QueryAcked(NamedTuple):
    """That member has this node's query."""

    id: int
    member: str


class QueryAnswered(NamedTuple):
    """That member's answer."""

    id: int
    member: str
    payload: bytes


class QueryClosed(NamedTuple):
    """No more answers will be taken."""

    id: int


class LeaveDone(NamedTuple):
    """The others know that this node goes, or enough time has passed."""


Effect: TypeAlias = (
    SendPacket
    | StreamPing
    | Exchange
    | MembersChanged
    | NameLost
    | KeyringChanged
    | EventHeard
    | QueryAcked
    | QueryAnswered
    | QueryClosed
    | LeaveDone
)
