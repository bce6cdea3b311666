"""The messages of memberlist: how nodes find out which of them are alive."""

from __future__ import annotations

import ipaddress
from enum import IntEnum
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple, TypeAlias

from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.records import I64, U8, U16, U32, Record, decode, encode


class Kind(IntEnum):
    """The first byte of a message."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    """Only as a stream: the state of both sides."""
    COMPOUND = 7
    """Wraps several."""
    USER = 8
    """A message of the layer above: here serf's."""
    COMPRESS = 9
    """Wraps one."""
    ENCRYPT = 10
    """Wraps a stream; an encrypted packet has no such byte."""
    NACK = 11
    CRC = 12
    """Wraps a packet."""
    ERROR = 13
    """Only as a stream: why the other side refused."""


class NodeState(IntEnum):
    """What a node is to its peers."""

    ALIVE = 0
    SUSPECT = 1
    """It didn't answer; it may still say that it lives."""
    DEAD = 2
    LEFT = 3
    """It said that it goes."""


class Address(NamedTuple):
    """Where a node is reached: an IP address as text, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@lru_cache(4096)
def ip_bytes(host: str) -> bytes:
    """4 or 16 bytes. Raises ValueError for what is no IP address."""
    return ipaddress.ip_address(host).packed


@lru_cache(4096)
def ip_text(ip: bytes) -> str:
    """An IPv4 address in 16 bytes, as Go may write it, is the IPv4 address. Raises CodecError."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        raise CodecError(f"an IP address of {len(ip)} bytes") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


class Ping(Record, frozen=True):
    """Answer with an Ack to the source, if you are that node."""

    kind: ClassVar = Kind.PING
    seq_no: U32 = 0
    node: str = ""
    source_addr: bytes = b""
    source_port: U16 = 0
    source_node: str = ""


class IndirectPing(Record, frozen=True):
    """Ping the target for me, and pass its Ack on; send a Nack if none comes."""

    kind: ClassVar = Kind.INDIRECT_PING
    seq_no: U32 = 0
    target: bytes = b""
    port: U16 = 0
    node: str = ""
    nack: bool = False
    source_addr: bytes = b""
    source_port: U16 = 0
    source_node: str = ""


class Ack(Record, frozen=True):
    """The answer to a Ping; the payload belongs to the layer above."""

    kind: ClassVar = Kind.ACK
    seq_no: U32 = 0
    payload: bytes = b""


class Nack(Record, frozen=True):
    """The answer to an IndirectPing whose target is silent: so it isn't the asker who is cut off."""

    kind: ClassVar = Kind.NACK
    seq_no: U32 = 0


class Suspect(Record, frozen=True):
    """`from_` got no answer from the node."""

    kind: ClassVar = Kind.SUSPECT
    incarnation: U32 = 0
    node: str = ""
    from_: str = ""


class Dead(Record, frozen=True):
    """The node is dead; if it says so of itself, it has left."""

    kind: ClassVar = Kind.DEAD
    incarnation: U32 = 0
    node: str = ""
    from_: str = ""


class Alive(Record, frozen=True):
    """The node lives. `vsn`: least, greatest and spoken version of memberlist's protocol, then of serf's."""

    kind: ClassVar = Kind.ALIVE
    incarnation: U32 = 0
    node: str = ""
    addr: bytes = b""
    port: U16 = 0
    meta: bytes = b""
    vsn: bytes = b""


class User(NamedTuple):
    """A message of the layer above."""

    body: bytes


class PushPullHeader(Record, frozen=True):
    """What follows on the stream: so many PushPullNodes, so many bytes of the layer above."""

    nodes: I64 = 0
    user_state_len: I64 = 0
    join: bool = False


class PushPullNode(Record, frozen=True):
    """A node as the sender knows it."""

    name: str = ""
    addr: bytes = b""
    port: U16 = 0
    meta: bytes = b""
    incarnation: U32 = 0
    state: U8 = 0
    vsn: bytes = b""


class UserHeader(Record, frozen=True):
    """Before a message of the layer above on a stream."""

    user_msg_len: I64 = 0


class Refusal(Record, frozen=True):
    """Why a stream was refused."""

    kind: ClassVar = Kind.ERROR
    error: str = ""


class Compressed(Record, frozen=True):
    """Algorithm 0 is LZW."""

    kind: ClassVar = Kind.COMPRESS
    algo: U8 = 0
    buf: bytes = b""


Message: TypeAlias = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User
"""What a packet may hold."""

_TYPES: Final[dict[int, type[Record]]] = {
    kind.kind: kind for kind in (Ping, IndirectPing, Ack, Nack, Suspect, Alive, Dead)
}


def encode_message(message: Message | Refusal | Compressed) -> bytes:
    """The message with its kind in front."""
    if isinstance(message, User):
        return bytes((Kind.USER,)) + message.body
    return bytes((message.kind,)) + encode(message)


def decode_message(data: bytes) -> Message | None:
    """None for a kind that doesn't exist yet: a newer peer may send it. Raises CodecError."""
    if not data:
        raise CodecError("a message is empty")
    if data[0] == Kind.USER:
        return User(data[1:])
    found = _TYPES.get(data[0])
    return None if found is None else decode(found, data, 1)[0]  # type: ignore[return-value]
