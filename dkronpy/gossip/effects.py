"""What the state machines want done: they do nothing themselves."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from dkronpy.gossip.codec.messages import Address, Ping


class SendPacket(msgspec.Struct, frozen=True):
    """Send these messages in one datagram; with a checksum if the receiver knows it."""

    to: Address
    messages: tuple[bytes, ...]
    crc: bool


class StreamPing(msgspec.Struct, frozen=True):
    """Ping over TCP; an Ack that comes before `deadline` is to be reported as `stream_ack`."""

    to: Address
    ping: Ping
    deadline: int


class Exchange(msgspec.Struct, frozen=True):
    """Exchange the whole state with that node over TCP, and `merge` what it sends."""

    to: Address


class MembersChanged(msgspec.Struct, frozen=True):
    """A member came, went, or changed its tags, address or state."""


class NameLost(msgspec.Struct, frozen=True):
    """Most members say that another node has this one's name: it must stop."""

    address: Address


class KeyringChanged(msgspec.Struct, frozen=True):
    """A key was installed, removed or made the primary."""


class EventHeard(msgspec.Struct, frozen=True):
    """An event of the cluster, also one of this node."""

    name: str
    payload: bytes


class QueryAcked(msgspec.Struct, frozen=True):
    """That member has this node's query."""

    id: int
    member: str


class QueryAnswered(msgspec.Struct, frozen=True):
    """That member's answer."""

    id: int
    member: str
    payload: bytes


class QueryClosed(msgspec.Struct, frozen=True):
    """No more answers will be taken."""

    id: int


class LeaveDone(msgspec.Struct, frozen=True):
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
