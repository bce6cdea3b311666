"""Messages against bytes that Go's codec wrote."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dkronpy.gossip.codec.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    IndirectPing,
    Kind,
    Nack,
    NodeState,
    Ping,
    PushPullHeader,
    PushPullNode,
    Suspect,
    User,
    decode_message,
    encode_message,
    ip_bytes,
    ip_text,
)
from dkronpy.gossip.codec.msgpack import CodecError, pack
from dkronpy.gossip.codec.records import MAX_TEXT, Record, decode, encode, go_name
from dkronpy.gossip.codec.serf_messages import (
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    PastEvent,
    PastEvents,
    Query,
    QueryFlags,
    Relay,
    Response,
    SerfState,
    WireMember,
    decode_as,
    decode_serf,
    encode_relay,
    encode_serf,
)

IP = bytes((10, 0, 0, 7))
VSN = bytes((1, 5, 2, 2, 5, 4))

MEMBERLIST: list[tuple[str, Any]] = [
    (
        (
            "0085a44e6f6465a26e31a55365714e6fceffffffffaa536f7572636541646472a40a000007aa536f757263654e6f6465a26e32"
            "aa536f75726365506f7274cd22f2"
        ),
        Ping(2**32 - 1, "n1", IP, 8946, "n2"),
    ),
    (
        (
            "0188a44e61636bc3a44e6f6465a26e31a4506f7274cd22f2a55365714e6fcd012caa536f7572636541646472a40a000007"
            "aa536f757263654e6f6465a26e32aa536f75726365506f727446a6546172676574a40a000007"
        ),
        IndirectPing(300, IP, 8946, "n1", True, IP, 70, "n2"),
    ),
    ("0b81a55365714e6fcc80", Nack(128)),
    ("0383a446726f6da26e32ab496e6361726e6174696f6eccc8a44e6f6465a26e31", Suspect(200, "n1", "n2")),
    (
        "0486a441646472b0fe800000000000000000000000000001ab496e6361726e6174696f6e03a44d657461da012c" + "ff" * 300 + ""
        "a44e6f6465a76772c3b6c39f65a4506f7274cd22f2a356736ea6010502020504",
        Alive(3, "größe", ip_bytes("fe80::1"), 8946, b"\xff" * 300, VSN),
    ),
]
"""Bytes, and the message that is written so."""

ONLY_READ: list[tuple[str, Any]] = [
    ("0082a44e6f6465a26e31a55365714e6f07", Ping(7, "n1")),
    ("0282a75061796c6f6164c0a55365714e6fce00011170", Ack(70000)),
]
"""With fields that are missing or nil."""

SERF: list[tuple[str, Any]] = [
    ("0182a54c54696d65cf0000010000000000a44e6f6465a26e31", JoinIntent(1 << 40, "n1")),
    ("0083a54c54696d6505a44e6f6465a26e31a55072756e65c3", LeaveIntent(5, "n1", True)),
]

SERF_ONLY_READ: list[tuple[str, Any]] = [
    (
        (
            "048ba441646472a40a000007a746696c7465727391a50091a26e31a5466c61677301a249444da54c54696d650ca44e616d65"
            "aa5f736572665f70696e67a75061796c6f6164c0a4506f7274cd22f2ab52656c6179466163746f7202aa536f757263654e6f6465"
            "a26e31a754696d656f7574cf000000037e11d600"
        ),
        Query(12, 77, IP, 8946, "n1", (b"\x00\x91\xa2n1",), QueryFlags.ACK, 2, 15_000_000_000, "_serf_ping"),
    ),
    ("0585a5466c61677301a446726f6da26e31a249444da54c54696d650ca75061796c6f6164c0", Response(12, 77, "n1", 1)),
    (
        (
            "0982a8446573744164647283a24950b000000000000000000000ffff0a000007a4506f7274cd22f2a45a6f6e65a0"
            "a8446573744e616d65a26e3107"
        ),
        Relay(Address("10.0.0.7", 8946), "n1", b"\x07"),
    ),
]


@pytest.mark.parametrize(("wire", "message"), MEMBERLIST)
def test_messages_are_those_of_memberlist(wire: str, message: Any) -> None:
    assert decode_message(bytes.fromhex(wire)) == message
    assert encode_message(message).hex() == wire


@pytest.mark.parametrize(("wire", "message"), ONLY_READ)
def test_what_is_missing_or_nil_is_zero(wire: str, message: Any) -> None:
    assert decode_message(bytes.fromhex(wire)) == message
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize(("wire", "message"), SERF)
def test_messages_are_those_of_serf(wire: str, message: Any) -> None:
    assert decode_serf(bytes.fromhex(wire)) == message
    assert encode_serf(message).hex() == wire


@pytest.mark.parametrize(("wire", "message"), SERF_ONLY_READ)
def test_messages_of_serf_are_read(wire: str, message: Any) -> None:
    assert decode_serf(bytes.fromhex(wire)) == message


def test_a_relay_names_its_destination_as_go_does() -> None:
    wire = "0982a8446573744164647283a24950a40a000007a4506f7274cd22f2a45a6f6e65a0a8446573744e616d65a26e3107"
    assert encode_relay(Address("10.0.0.7", 8946), "n1", b"\x07").hex() == wire


def test_state_of_serf_has_nil_where_there_are_no_events() -> None:
    wire = (
        "0286aa4576656e744c54696d6504a64576656e7473dc0014c0c0c082a64576656e74739182a44e616d65a66465706c6f79"
        "a75061796c6f6164a20001a54c54696d6503c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0a54c54696d6509ab4c6566744d656d62657273"
        "91a26e39aa51756572794c54696d6506ac5374617475734c54696d657381a26e3108"
    )
    state = SerfState(9, {"n1": 8}, ("n9",), 4, (PastEvents(3, (PastEvent("deploy", b"\0\x01"),)),), 6)
    assert decode_as(SerfState, bytes.fromhex(wire)) == state
    assert decode_as(SerfState, encode_serf(state)) == state
    empty = "0286aa4576656e744c54696d6500a64576656e7473c0a54c54696d6501ab4c6566744d656d62657273c0aa51756572794c54696d65"
    assert decode_as(SerfState, bytes.fromhex(empty + "00ac5374617475734c54696d6573c0")) == SerfState(1)


def test_payloads() -> None:
    member = (
        "068ba441646472a40a000007ab44656c656761746543757204ab44656c65676174654d617805ab44656c65676174654d696e02"
        "a44e616d65a26e31a4506f7274cd22f2ab50726f746f636f6c43757202ab50726f746f636f6c4d617805ab50726f746f636f6c4d696e01"
        "a653746174757301a45461677381a4726f6c65a178"
    )
    expected = WireMember("n1", IP, 8946, {"role": "x"}, 1, 1, 5, 2, 2, 5, 4)
    assert decode_as(WireMember, bytes.fromhex(member)) == expected
    assert encode_serf(expected).hex() == member
    keys = "0884a44b65797392a161a162a74d657373616765a26f6baa5072696d6172794b6579a161a6526573756c74c3"
    assert decode_as(KeyResponse, bytes.fromhex(keys)) == KeyResponse(True, "ok", ("a", "b"), "a")
    assert encode_serf(KeyResponse(True, "ok", ("a", "b"), "a")).hex() == keys
    with pytest.raises(CodecError, match="no KeyRequest"):
        decode_as(KeyRequest, bytes.fromhex(keys))


def test_streams_begin_with_a_header_and_nodes() -> None:
    header, at = decode(
        PushPullHeader, bytes.fromhex("83a44a6f696ec3a54e6f64657302ac5573657253746174654c656ece00011170")
    )
    assert (header, at) == (PushPullHeader(2, 70000, True), 32)
    node = "87a441646472a40a000007ab496e6361726e6174696f6e09a44d657461a16da44e616d65a26e31a4506f7274cd22f2a55374617465"
    expected = PushPullNode("n1", IP, 8946, b"m", 9, NodeState.LEFT, VSN)
    assert decode(PushPullNode, bytes.fromhex(node + "03a356736ea6010502020504"))[0] == expected
    assert encode(expected).hex() == node + "03a356736ea6010502020504"


def test_names_of_fields() -> None:
    assert [go_name(name) for name in ("seq_no", "ltime", "status_ltimes", "from_", "id", "cc", "dest_addr", "ip")] == [
        *("SeqNo", "LTime", "StatusLTimes", "From", "ID", "CC", "DestAddr", "IP"),
    ]


class Numbers(Record, frozen=True):
    """What serf's coordinates are like."""

    vec: tuple[float, ...] = ()
    error: float = 0.0


def test_numbers_with_fractions() -> None:
    wire = "82a54572726f72cb3ff8000000000000a356656393cb0000000000000000cbbff8000000000000cb400921fb54442d18"
    numbers = Numbers((0.0, -1.5, math.pi), 1.5)
    assert decode(Numbers, bytes.fromhex(wire))[0] == numbers
    assert encode(numbers).hex() == wire
    assert decode(Numbers, pack({"Vec": [1, 2], "Error": 3}))[0] == Numbers((1.0, 2.0), 3.0)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"SeqNo": -1}, "-1 is not a number"),
        ({"SeqNo": 2**32}, "4294967296 is not a number"),
        ({"SeqNo": "7"}, "is not a number"),
        ({"SeqNo": True}, "True is not a number"),
        ({"SourcePort": 65536}, "65536 is not a number"),
        ({"Node": 7}, "text is none"),
        ({"Node": b"\xff"}, "not UTF-8"),
        ({"Node": "n" * (MAX_TEXT + 1)}, "more than 4096 bytes"),
        ({"SourceAddr": ["x"]}, "bytes are none"),
        ([1, 2], "is not a map"),
    ],
)
def test_fields_of_another_type_are_refused(fields: Any, wrong: str) -> None:
    with pytest.raises(CodecError, match=wrong):
        decode_message(bytes((Kind.PING,)) + pack(fields))


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"StatusLTimes": ["n1"]}, "a map is none"),
        ({"StatusLTimes": {"n1": 2**63}}, "is not a number"),
        ({"LeftMembers": {"n1": 1}}, "a list is none"),
        ({"Events": [7]}, "is not a map"),
    ],
)
def test_fields_of_a_state_are_checked(fields: Any, wrong: str) -> None:
    with pytest.raises(CodecError, match=wrong):
        decode_as(SerfState, b"\x02" + pack(fields))


def test_kinds_that_do_not_exist_yet_are_passed_over() -> None:
    assert decode_message(b"\x7f\x01\x02") is None
    assert decode_serf(b"\x7f\x01\x02") is None
    with pytest.raises(CodecError, match="empty"):
        decode_message(b"")
    with pytest.raises(CodecError, match="empty"):
        decode_serf(b"")


def test_unknown_fields_are_passed_over() -> None:
    assert decode_message(b"\x05" + pack({"Node": "n1", "New": [{"a": None}]})) == Dead(0, "n1")


def test_a_message_of_the_layer_above_is_any_bytes() -> None:
    assert decode_message(encode_message(User(b"\x00\xff"))) == User(b"\x00\xff")


def test_addresses() -> None:
    assert ip_text(ip_bytes("10.0.0.7")) == "10.0.0.7"
    assert ip_text(ip_bytes("::ffff:10.0.0.7")) == "10.0.0.7"
    assert ip_text(ip_bytes("fe80::1")) == "fe80::1"
    assert [str(Address("10.0.0.7", 1)), str(Address("::1", 2))] == ["10.0.0.7:1", "[::1]:2"]
    with pytest.raises(CodecError, match="5 bytes"):
        ip_text(b"12345")
    with pytest.raises(CodecError, match="no port"):
        decode_serf(b"\x09" + pack({"DestAddr": {"IP": IP, "Port": 70000}}))
