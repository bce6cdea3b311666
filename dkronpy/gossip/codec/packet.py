"""Datagrams: messages in a compound, compressed, with a checksum, encrypted; each layer but the first is optional."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from dkronpy.gossip.codec import lzw
from dkronpy.gossip.codec.keyring import Keyring
from dkronpy.gossip.codec.messages import Compressed, Kind, Message, decode_message, encode_message
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.records import decode

MAX_PACKET: Final = 1 << 14
"""Bytes of a datagram, and of what it holds once it is decompressed; memberlist sends 1,400, or a single message of
some more."""
MAX_PARTS: Final = 127
"""Messages in a compound we make: memberlist before 0.3 misreads more."""
COMPOUND_HEAD: Final = 2
COMPOUND_PART: Final = 2
"""Bytes that a compound adds, at all and for each message."""
CRC_HEAD: Final = 5
_COMPRESS: Final = bytes((Kind.COMPRESS,))
_COMPOUND: Final = bytes((Kind.COMPOUND,))
_LZW: Final = 0


def make_packet(
    messages: Sequence[bytes], *, crc: bool = False, compress: bool = False, keyring: Keyring | None = None
) -> bytes:
    """The datagram of at least one and at most MAX_PARTS messages."""
    data = messages[0] if len(messages) == 1 else make_compound(messages)
    if compress:
        data = min(data, compressed(data), key=len)
    if crc:
        data = bytes((Kind.CRC,)) + zlib.crc32(data).to_bytes(4, "big") + data
    return data if keyring is None else keyring.seal(data)


def make_compound(messages: Sequence[bytes]) -> bytes:
    """Several messages as one."""
    if len(messages) > MAX_PARTS:
        raise ValueError(f"{len(messages)} messages in one datagram")
    lengths = b"".join(len(message).to_bytes(2, "big") for message in messages)
    return bytes((Kind.COMPOUND, len(messages))) + lengths + b"".join(messages)


def compressed(data: bytes) -> bytes:
    """A message that wraps another."""
    return encode_message(Compressed(_LZW, lzw.compress(data)))


def read_packet(data: bytes, keyring: Keyring | None = None) -> list[Message]:
    """The messages of a datagram; kinds that don't exist yet are left out. Raises CodecError: then nothing of it is to
    be trusted.

    Layers come in this order only, each at most once, as every memberlist makes them: so little can't become much."""
    if len(data) > MAX_PACKET:
        raise CodecError(f"a datagram of more than {MAX_PACKET} bytes")
    if keyring is not None:
        data = keyring.open(data)
    if len(data) >= CRC_HEAD and data[0] == Kind.CRC:
        if zlib.crc32(data[CRC_HEAD:]) != int.from_bytes(data[1:CRC_HEAD], "big"):
            raise CodecError("the checksum is wrong")
        data = data[CRC_HEAD:]
    if data[:1] == _COMPRESS:
        data, _ = decompressed(data, 1, MAX_PACKET)
    parts = _split(data) if data[:1] == _COMPOUND else (data,)
    return [message for message in map(decode_message, parts) if message is not None]


def decompressed(data: bytes, at: int, limit: int) -> tuple[bytes, int]:
    """What the Compressed at `at` holds, at most `limit` bytes, and where it ends. Raises CodecError."""
    found, at = decode(Compressed, data, at)
    if found.algo != _LZW:
        raise CodecError(f"compression {found.algo} is unknown")
    return lzw.decompress(found.buf, limit), at


def _split(data: bytes) -> Iterator[bytes]:
    if len(data) < COMPOUND_HEAD:
        raise CodecError("a compound is cut off")
    at = COMPOUND_HEAD + COMPOUND_PART * data[1]
    for head in range(COMPOUND_HEAD, at, COMPOUND_PART):
        end = at + int.from_bytes(data[head : head + COMPOUND_PART], "big")
        if end > len(data):
            raise CodecError("a compound is cut off")
        yield data[at:end]
        at = end
