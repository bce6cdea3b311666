"""Datagrams as strangers send them: valid messages, and what becomes of them when they are damaged."""

from __future__ import annotations

import random

from dkronpy.gossip.codec.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    PushPullNode,
    Suspect,
    User,
    encode_message,
)
from dkronpy.gossip.codec.packet import compressed, make_compound, make_packet
from dkronpy.gossip.codec.serf_messages import (
    JoinIntent,
    LeaveIntent,
    Query,
    Response,
    SerfState,
    UserEvent,
    encode_relay,
    encode_serf,
)
from dkronpy.gossip.codec.stream import PushPull, make_stream

_NODES = [PushPullNode(f"n{i}", b"\x7f\0\0\1", 8946, b"\xff\x80", i, i % 4, b"\1\5\2\2\5\4") for i in range(3)]
_SINGLE = [
    encode_message(Ping(7, "n1", b"\x7f\0\0\1", 8946, "n2")),
    encode_message(IndirectPing(1, b"\x7f\0\0\1", 1, "n1", True, b"\x7f\0\0\1", 2, "n2")),
    encode_message(Ack(7, b"\x01\x84")),
    encode_message(Nack(7)),
    encode_message(Suspect(7, "n1", "n2")),
    encode_message(Alive(7, "n1", b"\x7f\0\0\1", 8946, b"\xff\x81\xa1a\xa1b", b"\1\5\2\2\5\4")),
    encode_message(Dead(7, "n1", "n2")),
    encode_message(User(encode_serf(UserEvent(1, "e", b"p")))),
    encode_message(User(encode_serf(Query(1, 2, b"\x7f\0\0\1", 3, "n", (b"\0\x91\xa1n", b"\1\x81"), 1, 1, 5, "q")))),
    encode_message(User(encode_serf(LeaveIntent(9, "n1")))),
    encode_message(User(encode_serf(JoinIntent(9, "n1")))),
    encode_message(User(encode_serf(Query(2, 3, b"\x7f\0\0\1", 3, "n", (), 1, 3, 5, "_serf_conflict", b"n1")))),
    encode_message(User(encode_serf(Query(3, 4, b"\x7f\0\0\1", 3, "n", (), 1, 3, 5, "_serf_list-keys")))),
    encode_message(User(encode_relay(Address("127.0.0.1", 9), "n", encode_serf(Response(1, 2, "n1"))))),
    encode_message(User(encode_serf(Response(1, 2, "n1", 1, b"x")))),
    encode_serf(SerfState(1, {"n1": 2}, ("n2",), 3, (), 4)),
]
CORPUS = [
    *_SINGLE,
    make_compound(_SINGLE),
    compressed(make_compound(_SINGLE)),
    make_packet(_SINGLE[:3], crc=True),
    *(make_stream(message) for message in (PushPull(_NODES, _SINGLE[-1], True), User(b"xyz"))),
]
"""What mutations begin with."""


def mutated(rng: random.Random) -> bytes:
    """Random bytes, or a message with some bytes replaced, put in, left out, doubled or taken from another."""
    choice = rng.random()
    if choice < 0.1:
        return rng.randbytes(rng.randrange(80))
    if choice < 0.2:
        return bytes((rng.randrange(16),)) + rng.randbytes(rng.randrange(40))
    data = bytearray(rng.choice(CORPUS))
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                data[at : at + rng.randrange(8)] = b""
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(4))
            case 3:
                data[at:at] = data[at : at + rng.randrange(20)]
            case 4:
                data[at : at + 1] = bytes((rng.choice((0xC0, 0xCF, 0xD9, 0xDB, 0xDC, 0xDD, 0xDF, 0x80, 0x90, 0xFF)),))
            case _:
                other = rng.choice(CORPUS)
                data[at:] = other[rng.randrange(len(other)) :]
    return bytes(data)
