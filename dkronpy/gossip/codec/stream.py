"""Streams: one message each way over TCP. Plain ones don't say how long they are, so they are read as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from dkronpy.gossip.codec.keyring import OVERHEAD, Keyring
from dkronpy.gossip.codec.messages import (
    Ack,
    Kind,
    Ping,
    PushPullHeader,
    PushPullNode,
    Refusal,
    User,
    UserHeader,
    encode_message,
)
from dkronpy.gossip.codec.msgpack import CodecError, Incomplete
from dkronpy.gossip.codec.packet import compressed, decompressed
from dkronpy.gossip.codec.records import decode, encode

MAX_STREAM: Final = 8 << 20
"""Bytes of a stream, and of what it holds once it is decompressed: 20,000 nodes with all the tags they may have."""
MAX_NODES: Final = 20_000
_SEALED_HEAD: Final = 5
_PUSH_PULL: Final = bytes((Kind.PUSH_PULL,))


class PushPull(NamedTuple):
    """The whole state of a side: nodes, and what the layer above adds."""

    nodes: Sequence[PushPullNode]
    user_state: bytes
    join: bool


StreamMessage: TypeAlias = PushPull | Ping | Ack | User | Refusal
"""What a stream may hold."""


def make_stream(message: StreamMessage, *, compress: bool = False, keyring: Keyring | None = None) -> bytes:
    """All bytes to send."""
    data = _plain(message)
    if compress:
        data = compressed(data)
    if keyring is None:
        return data
    head = bytes((Kind.ENCRYPT,)) + (len(data) + OVERHEAD).to_bytes(4, "big")
    return head + keyring.seal(data, head)


def _plain(message: StreamMessage) -> bytes:
    if isinstance(message, PushPull):
        header = PushPullHeader(len(message.nodes), len(message.user_state), message.join)
        return b"".join((_PUSH_PULL, encode(header), *map(encode, message.nodes), message.user_state))
    if isinstance(message, User):
        return bytes((Kind.USER,)) + encode(UserHeader(len(message.body))) + message.body
    return encode_message(message)


class StreamReader:
    """Takes what arrives until the message is whole. Raises CodecError from `feed`; then the stream is to be closed."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self._keyring = keyring
        self._data = b""
        self._at = 0
        """Up to here it is read; 0 as long as there may be layers around the message."""
        self._whole = False
        """A layer has said that this is all."""
        self._header: PushPullHeader | None = None
        self._nodes: list[PushPullNode] = []

    def feed(self, data: bytes) -> StreamMessage | None:
        """The message, once it is whole; what may follow it is of no interest."""
        self._data += data
        if len(self._data) > MAX_STREAM:
            raise CodecError(f"a stream of more than {MAX_STREAM} bytes")
        try:
            if not self._at:
                self._unwrap()
            return self._message()
        except Incomplete:
            if self._whole:
                raise CodecError("a stream ends within its message") from None
            return None

    def _unwrap(self) -> None:
        """Take off the layers around the message. Raises Incomplete while they are not all there."""
        if _kind(self._data) == Kind.ENCRYPT:
            self._data = self._opened()
            self._whole = True
        elif self._keyring is not None:
            raise CodecError("the stream is not encrypted, but this cluster is")
        if _kind(self._data) == Kind.COMPRESS:
            self._data, _ = decompressed(self._data, 1, MAX_STREAM)
            self._whole = True
        _kind(self._data)
        self._at = 1

    def _opened(self) -> bytes:
        if self._keyring is None:
            raise CodecError("the stream is encrypted, but this node has no key")
        head = self._data[:_SEALED_HEAD]
        end = _SEALED_HEAD + int.from_bytes(head[1:], "big")
        if len(head) < _SEALED_HEAD:
            raise Incomplete("the length is cut off")
        if end > MAX_STREAM:
            raise CodecError(f"a stream of {end} bytes, more than {MAX_STREAM}")
        if len(self._data) < end:
            raise Incomplete("the stream is cut off")
        return self._keyring.open(self._data[_SEALED_HEAD:end], head)

    def _message(self) -> StreamMessage:
        match self._data[0]:
            case Kind.PUSH_PULL:
                return self._push_pull()
            case Kind.PING:
                return decode(Ping, self._data, self._at)[0]
            case Kind.ACK:
                return decode(Ack, self._data, self._at)[0]
            case Kind.USER:
                header, at = decode(UserHeader, self._data, self._at)
                return User(self._rest(at, header.user_msg_len))
            case Kind.ERROR:
                return decode(Refusal, self._data, self._at)[0]
            case kind:
                raise CodecError(f"no stream is of kind {kind}")

    def _push_pull(self) -> PushPull:
        if self._header is None:
            self._header, self._at = decode(PushPullHeader, self._data, self._at)
            if not 0 <= self._header.nodes <= MAX_NODES:
                raise CodecError(f"a cluster of {self._header.nodes} nodes, more than {MAX_NODES}")
        while len(self._nodes) < self._header.nodes:
            node, self._at = decode(PushPullNode, self._data, self._at)
            self._nodes.append(node)
        return PushPull(self._nodes, self._rest(self._at, self._header.user_state_len), self._header.join)

    def _rest(self, at: int, length: int) -> bytes:
        if not 0 <= length <= MAX_STREAM:
            raise CodecError(f"a state of {length} bytes, more than {MAX_STREAM}")
        if len(self._data) < at + length:
            raise Incomplete("the state is cut off")
        return self._data[at : at + length]


def _kind(data: bytes) -> int:
    if not data:
        raise Incomplete("no message yet")
    return data[0]
