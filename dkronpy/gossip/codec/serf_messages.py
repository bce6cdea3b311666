"""The messages of serf, which travel as memberlist's user messages."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import ClassVar, Final, NamedTuple, TypeAlias, TypeVar

from msgspec import field

from dkronpy.gossip.codec.messages import Address, ip_bytes, ip_text
from dkronpy.gossip.codec.msgpack import MAX_VALUES, CodecError
from dkronpy.gossip.codec.records import I64, U8, U16, U32, U63, Record, decode, encode

LTime = U63
"""A time of a Lamport clock."""

MAX_STATE_VALUES: Final = 100_000
"""Values of a SerfState: two a member, two or more an event."""


class SerfKind(IntEnum):
    """The first byte of a message of serf."""

    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    EVENT = 3
    QUERY = 4
    RESPONSE = 5
    CONFLICT_RESPONSE = 6
    """Begins the payload of an answer to the query `_serf_conflict`."""
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    """Begin the payloads of queries about keys and of their answers."""
    RELAY = 9


class QueryFlags(IntFlag):
    """What a query or an answer is like."""

    ACK = 1
    """Of a query: say that you have it. Of an answer: I have it."""
    NO_BROADCAST = 2
    """Don't pass it on."""


class FilterKind(IntEnum):
    """The first byte of a filter."""

    NODE = 0
    """Those whose names are listed."""
    TAG = 1
    """Those whose tag matches a regular expression."""


class LeaveIntent(Record, frozen=True):
    """The node leaves, or, sent by another, is to be taken as one that left; `prune`: forget it at once."""

    kind: ClassVar = SerfKind.LEAVE
    ltime: LTime = 0
    node: str = ""
    prune: bool = False


class JoinIntent(Record, frozen=True):
    """The node is there: outdates an older LeaveIntent."""

    kind: ClassVar = SerfKind.JOIN
    ltime: LTime = 0
    node: str = ""


class PastEvent(Record, frozen=True):
    """An event in a push-pull."""

    name: str = ""
    payload: bytes = b""


class PastEvents(Record, frozen=True):
    """Those of one Lamport time."""

    ltime: LTime = 0
    events: tuple[PastEvent, ...] = ()


class SerfState(Record, frozen=True):
    """What serf adds to a push-pull: its clocks, when each member last joined or left, recent events."""

    kind: ClassVar = SerfKind.PUSH_PULL
    ltime: LTime = 0
    status_ltimes: dict[str, LTime] = field(default_factory=dict[str, int])
    left_members: tuple[str, ...] = ()
    event_ltime: LTime = 0
    events: tuple[PastEvents, ...] = ()
    query_ltime: LTime = 0


class UserEvent(Record, frozen=True):
    """Something that happened, for everybody."""

    kind: ClassVar = SerfKind.EVENT
    ltime: LTime = 0
    name: str = ""
    payload: bytes = b""
    cc: bool = False


class Query(Record, frozen=True):
    """A question for everybody, or for those whom the filters leave. `timeout`: ns."""

    kind: ClassVar = SerfKind.QUERY
    ltime: LTime = 0
    id: U32 = 0
    addr: bytes = b""
    port: U16 = 0
    source_node: str = ""
    filters: tuple[bytes, ...] = ()
    flags: U32 = 0
    relay_factor: U8 = 0
    timeout: I64 = 0
    name: str = ""
    payload: bytes = b""


class Response(Record, frozen=True):
    """An answer to a query, or that it was received."""

    kind: ClassVar = SerfKind.RESPONSE
    ltime: LTime = 0
    id: U32 = 0
    from_: str = ""
    flags: U32 = 0
    payload: bytes = b""


class TagFilter(Record, frozen=True):
    """A regular expression of RE2, found anywhere in the tag's value."""

    tag: str = ""
    expr: str = ""


class UdpAddr(Record, frozen=True):
    """Go's net.UDPAddr."""

    ip: bytes = b""
    port: I64 = 0
    zone: str = ""


class RelayHeader(Record, frozen=True):
    """Who is to get the message that follows it."""

    dest_addr: UdpAddr = UdpAddr()
    dest_name: str = ""


class KeyRequest(Record, frozen=True):
    """The key to install, use or remove."""

    kind: ClassVar = SerfKind.KEY_REQUEST
    key: bytes = b""


class KeyResponse(Record, frozen=True):
    """What became of it, or the keys in base64."""

    kind: ClassVar = SerfKind.KEY_RESPONSE
    result: bool = False
    message: str = ""
    keys: tuple[str, ...] = ()
    primary_key: str = ""


class WireMember(Record, frozen=True):
    """A member as the answer to a conflict query tells it."""

    kind: ClassVar = SerfKind.CONFLICT_RESPONSE
    name: str = ""
    addr: bytes = b""
    port: U16 = 0
    tags: dict[str, str] = field(default_factory=dict[str, str])
    status: I64 = 0
    protocol_min: U8 = 0
    protocol_max: U8 = 0
    protocol_cur: U8 = 0
    delegate_min: U8 = 0
    delegate_max: U8 = 0
    delegate_cur: U8 = 0


SerfMessage: TypeAlias = LeaveIntent | JoinIntent | UserEvent | Query | Response
Payload: TypeAlias = SerfMessage | SerfState | KeyRequest | KeyResponse | WireMember
P = TypeVar("P", SerfState, KeyRequest, KeyResponse, WireMember)

_TYPES: Final[dict[int, type[SerfMessage]]] = {
    kind.kind: kind for kind in (LeaveIntent, JoinIntent, UserEvent, Query, Response)
}


class Relay(NamedTuple):
    """Pass `body`, a message of serf, on."""

    to: Address
    name: str
    body: bytes


def encode_serf(message: Payload) -> bytes:
    """The message with its kind in front."""
    return bytes((message.kind,)) + encode(message)


def encode_relay(to: Address, name: str, body: bytes) -> bytes:
    """`body`, a message of serf, with the address to which it is to be passed on."""
    header = RelayHeader(UdpAddr(ip_bytes(to.host), to.port), name)
    return bytes((SerfKind.RELAY,)) + encode(header) + body


def decode_serf(data: bytes) -> SerfMessage | Relay | None:
    """None for a kind that doesn't exist yet. Raises CodecError."""
    if not data:
        raise CodecError("a message of serf is empty")
    if data[0] == SerfKind.RELAY:
        header, at = decode(RelayHeader, data, 1)
        if header.dest_addr.port not in range(1 << 16):
            raise CodecError(f"{header.dest_addr.port} is no port")
        return Relay(Address(ip_text(header.dest_addr.ip), header.dest_addr.port), header.dest_name, data[at:])
    found = _TYPES.get(data[0])
    return None if found is None else decode(found, data, 1)[0]


def decode_as(kind: type[P], data: bytes) -> P:
    """What must be this. Raises CodecError."""
    if data[:1] != bytes((kind.kind,)):
        raise CodecError(f"no {kind.__name__}")
    return decode(kind, data, 1, MAX_STATE_VALUES if kind is SerfState else MAX_VALUES)[0]
