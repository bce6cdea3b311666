"""MessagePack, LZW, encryption, packets and streams; and that nothing a stranger sends does harm."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.gossip.codec import lzw
from dkronpy.gossip.codec.keyring import Keyring, KeyringError
from dkronpy.gossip.codec.messages import (
    Ack,
    Message,
    Nack,
    Ping,
    PushPullNode,
    Refusal,
    Suspect,
    User,
    encode_message,
)
from dkronpy.gossip.codec.msgpack import MAX_DEPTH, MAX_VALUES, CodecError, Incomplete, pack, unpack
from dkronpy.gossip.codec.packet import MAX_PACKET, MAX_PARTS, compressed, make_compound, make_packet, read_packet
from dkronpy.gossip.codec.serf_messages import decode_serf
from dkronpy.gossip.codec.stream import MAX_STREAM, PushPull, StreamMessage, StreamReader, make_stream
from tests.conftest import FULL
from tests.support.datagrams import mutated

KEYS = [bytes(16), bytes(range(24)), bytes(range(32))]
PING = Ping(7, "n1", b"\x7f\0\0\1", 8946, "n2")
NODES = [PushPullNode(f"n{i}", b"\x7f\0\0\1", 8946, b"\xff\x80", i, i % 4, b"\1\5\2\2\5\4") for i in range(20)]
STREAMS: list[StreamMessage] = [
    PushPull(NODES, b"\x02" * 5000, True),
    PushPull([], b"", False),
    PING,
    Ack(7, b"payload"),
    User(b"x" * 70_000),
    Refusal("no"),
]
PACKET: list[Message] = [PING, Nack(3), Suspect(1, "n1", "n2"), User(b"\x04hello")]


# ---- MessagePack

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
    max_leaves=50,
)


def _read_back(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.encode(): _read_back(part) for key, part in value.items()}
    return [_read_back(part) for part in value] if isinstance(value, list) else value


def _depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(_depth, parts), default=0)


@given(values)
def test_values_are_read_as_written(value: Any) -> None:
    data = pack(value)
    if _depth(value) > MAX_DEPTH:
        with pytest.raises(CodecError, match="nested"):
            unpack(data)
    else:
        assert unpack(data) == (_read_back(value), len(data))


@given(values, st.data())
def test_values_cut_off_are_incomplete(value: Any, data: st.DataObject) -> None:
    wire = pack(value)
    with pytest.raises(Incomplete if _depth(value) <= MAX_DEPTH else CodecError):
        unpack(wire[: data.draw(st.integers(0, len(wire) - 1))])


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("d9026869", b"hi"),
        ("c4026869", b"hi"),
        ("c500026869", b"hi"),
        ("c6000000026869", b"hi"),
        ("db000000026869", b"hi"),
        ("ca3fc00000", 1.5),
        ("d0ff", -1),
        ("d1ff00", -256),
        ("ff", -1),
        ("dd0000000101", [1]),
        ("df00000001a16101", {b"a": 1}),
        ("de0001da00016101", {b"a": 1}),
    ],
)
def test_every_form_of_a_value_is_read(wire: str, value: Any) -> None:
    assert unpack(bytes.fromhex(wire)) == (value, len(wire) // 2)


@pytest.mark.parametrize(
    ("wire", "wrong"),
    [
        ("c1", "no value begins with byte 0xc1"),
        ("c7010000", "no value begins with byte 0xc7"),
        ("810101", "the key of a map is not text"),
        ("8190c0", "nested"),
        ("9191919191919191c0", None),
        ("919191919191919191c0", "nested deeper than 8"),
        ("ddffffffff", "too many values"),
        ("dfffffffff", "too many values"),
        ("dbffffffff", "cut off"),
        ("", "cut off"),
    ],
)
def test_what_no_peer_writes_is_refused(wire: str, wrong: str | None) -> None:
    if wrong is None:
        unpack(bytes.fromhex(wire))
        return
    with pytest.raises(CodecError, match=wrong):
        unpack(bytes.fromhex(wire))


def test_the_number_of_values_is_bounded_over_all_containers() -> None:
    lists = b"\xdc\x03\xff" + b"\x90" * 0x3FF
    unpack(bytes((0x90 | MAX_VALUES // 0x400,)) + lists * (MAX_VALUES // 0x400))
    with pytest.raises(CodecError, match="too many values"):
        unpack(bytes((0x90 | MAX_VALUES // 0x400 + 1,)) + lists * (MAX_VALUES // 0x400 + 1))


def test_what_has_no_form_on_the_wire_is_a_mistake_here() -> None:
    with pytest.raises(TypeError, match="set has no form"):
        pack({"a": set()})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="64 bits"):
        pack(2**64)


# ---- LZW

GO_LZW = {
    b"": "000302",
    b"a": "00c30404",
    b"TOBEORNOTTOBEORTOBEORNOT": "00a93c1152e48914274fa80824687061c183090302",
}
"""What Go's compress/lzw makes of it."""


def test_compression_is_that_of_go() -> None:
    for plain, wire in GO_LZW.items():
        assert lzw.compress(plain).hex() == wire
        assert lzw.decompress(bytes.fromhex(wire), 100) == plain


@given(st.binary(max_size=3000) | st.text("ab", max_size=20_000).map(str.encode))
def test_what_is_compressed_is_read_back(plain: bytes) -> None:
    assert lzw.decompress(lzw.compress(plain), len(plain)) == plain


def test_tables_are_cleared_when_they_are_full() -> None:
    plain = random.Random(1).randbytes(50_000) + bytes(50_000)
    wire = lzw.compress(plain)
    assert lzw.decompress(wire, len(plain)) == plain
    with pytest.raises(CodecError, match="more than 99999 bytes"):
        lzw.decompress(wire, len(plain) - 1)


@pytest.mark.parametrize(("wire", "wrong"), [("", "cut off"), ("00c304", "cut off"), ("00ff07", "not made yet")])
def test_what_no_compressor_writes_is_refused(wire: str, wrong: str) -> None:
    with pytest.raises(CodecError, match=wrong):
        lzw.decompress(bytes.fromhex(wire), 100)


# ---- keys


def test_any_of_the_keys_opens_what_was_sealed() -> None:
    for key in KEYS:
        assert Keyring([KEYS[0], key]).open(Keyring([key]).seal(b"plain", b"head"), b"head") == b"plain"
    sealed = Keyring([KEYS[0]]).seal(b"plain")
    for wrong in (Keyring([KEYS[1]]), Keyring([KEYS[2]])):
        with pytest.raises(CodecError, match="no key"):
            wrong.open(sealed)
    with pytest.raises(CodecError, match="no key"):
        Keyring([KEYS[0]]).open(sealed, b"other head")


@pytest.mark.parametrize("plain", [b"", b"x", b"y" * 16, b"z" * 100])
def test_what_memberlists_first_protocol_sealed_is_opened(plain: bytes) -> None:
    padding = 16 - len(plain) % 16
    nonce = bytes(range(12))
    sealed = AESGCM(KEYS[0]).encrypt(nonce, plain + bytes((padding,)) * padding, b"aad")
    assert Keyring([KEYS[0]]).open(b"\0" + nonce + sealed, b"aad") == plain


@pytest.mark.parametrize("plain", [b"", b"\0", b"\x11" * 16, b"\x05\x05"])
def test_wrong_padding_is_refused(plain: bytes) -> None:
    nonce = bytes(range(12))
    with pytest.raises(CodecError, match="padding"):
        Keyring([KEYS[0]]).open(b"\0" + nonce + AESGCM(KEYS[0]).encrypt(nonce, plain, None))


@pytest.mark.parametrize("data", [b"", b"\x01" * 28, b"\x02" * 100])
def test_what_is_not_sealed_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError, match="not encrypted"):
        Keyring([KEYS[0]]).open(data)


def test_keys_are_changed_as_serf_does() -> None:
    ring = Keyring([KEYS[0]])
    with pytest.raises(KeyringError, match="not in the keyring"):
        ring.use(KEYS[1])
    ring.add(KEYS[1])
    ring.add(KEYS[0])
    assert ring.keys == (KEYS[0], KEYS[1])
    ring.use(KEYS[1])
    assert ring.primary == KEYS[1]
    with pytest.raises(KeyringError, match="primary"):
        ring.remove(KEYS[1])
    ring.remove(KEYS[0])
    ring.remove(KEYS[0])
    assert ring.keys == (KEYS[1],)
    with pytest.raises(KeyringError, match="15 bytes"):
        ring.add(bytes(15))
    with pytest.raises(KeyringError, match="needs a key"):
        Keyring([])


# ---- packets

LAYERS = [
    {"crc": crc, "compress": compress, "keyring": keyring}
    for crc, compress, keyring in itertools.product((False, True), (False, True), (None, Keyring(KEYS[:1])))
]


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("count", [1, 4, MAX_PARTS])
def test_packets_are_read_as_made(layers: dict[str, Any], count: int) -> None:
    messages = list(itertools.islice(itertools.cycle(PACKET), count))
    wire = make_packet([encode_message(message) for message in messages], **layers)
    assert read_packet(wire, layers["keyring"]) == messages


def test_packets_are_compressed_only_where_that_helps() -> None:
    user = encode_message(User(bytes(1000)))
    assert len(make_packet([user], compress=True)) < 100
    assert make_packet([encode_message(Nack(1))], compress=True) == encode_message(Nack(1))


def test_packets_that_are_damaged_are_refused_whole() -> None:
    messages = [encode_message(message) for message in PACKET]
    wire = make_packet(messages, crc=True)
    with pytest.raises(CodecError, match="checksum"):
        read_packet(wire[:-1] + b"x")
    with pytest.raises(CodecError, match="cut off"):
        read_packet(make_packet(messages)[:-1])
    with pytest.raises(CodecError, match="cut off"):
        read_packet(b"\x07")
    with pytest.raises(CodecError, match="cut off"):
        read_packet(b"\x07\x02\x00\x01\x00")
    with pytest.raises(CodecError, match="compression 1 is unknown"):
        read_packet(b"\x09" + pack({"Algo": 1, "Buf": b"x"}))
    with pytest.raises(CodecError, match="empty"):
        read_packet(b"")
    with pytest.raises(CodecError, match="more than 16384 bytes"):
        read_packet(b"\x08" * 16385)
    with pytest.raises(CodecError, match="not encrypted"):
        read_packet(make_packet(messages), Keyring(KEYS))
    with pytest.raises(ValueError, match="128 messages"):
        make_compound([b"\x0b"] * 128)


def test_little_does_not_become_much() -> None:
    with pytest.raises(CodecError, match=f"more than {MAX_PACKET} bytes"):
        read_packet(compressed(encode_message(User(bytes(MAX_PACKET)))))
    bomb = compressed(encode_message(User(bytes(MAX_PACKET - 1))))
    assert len(bomb) < 1000
    assert read_packet(make_compound([bomb, make_compound([bomb])])) == [], "layers within layers are not opened"


# ---- streams


def read_stream(wire: bytes, keyring: Keyring | None, size: int) -> StreamMessage | None:
    reader = StreamReader(keyring)
    for at in range(0, len(wire), size):
        message = reader.feed(wire[at : at + size])
        if message is not None:
            assert at + size >= len(wire), "more was sent than is read"
            return message
    return None


@pytest.mark.parametrize("message", STREAMS)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("keyring", [None, Keyring(KEYS)])
def test_streams_are_read_as_made(message: StreamMessage, compress: bool, keyring: Keyring | None) -> None:
    wire = make_stream(message, compress=compress, keyring=keyring)
    for size in (len(wire), 4096) if len(wire) > 20_000 else (len(wire), 4096, 7, 1):
        assert read_stream(wire, keyring, size) == message
    assert read_stream(wire[:-1], keyring, 4096) is None


@pytest.mark.parametrize(
    ("wire", "wrong"),
    [
        (make_stream(PING), "not encrypted, but this cluster is"),
        (make_stream(PING, keyring=Keyring([bytes(32)])), "no key decrypts"),
        (b"\x0a\xff\xff\xff\xff", "more than"),
    ],
)
def test_a_cluster_with_a_key_takes_only_what_is_encrypted(wire: bytes, wrong: str) -> None:
    with pytest.raises(CodecError, match=wrong):
        StreamReader(Keyring(KEYS[:1])).feed(wire)


@pytest.mark.parametrize(
    ("wire", "wrong"),
    [
        (make_stream(PING, keyring=Keyring(KEYS)), "this node has no key"),
        (b"\x05", "no stream is of kind 5"),
        (b"\x06" + pack({"Nodes": 1 << 40}), "a cluster of"),
        (b"\x06" + pack({"Nodes": -1}), "a cluster of"),
        (b"\x06" + pack({"UserStateLen": 1 << 40}), "a state of"),
        (b"\x08" + pack({"UserMsgLen": -1}), "a state of"),
        (compressed(make_stream(STREAMS[0])[:-1]), "ends within its message"),
        (compressed(b""), "ends within its message"),
        (b"\x00\xc1", "no value"),
    ],
)
def test_streams_that_no_peer_sends_are_refused(wire: bytes, wrong: str) -> None:
    with pytest.raises(CodecError, match=wrong):
        StreamReader().feed(wire)


def test_streams_are_bounded() -> None:
    reader = StreamReader()
    assert reader.feed(b"\x08" + pack({"UserMsgLen": MAX_STREAM})) is None
    with pytest.raises(CodecError, match=f"more than {MAX_STREAM} bytes"):
        reader.feed(bytes(MAX_STREAM))
    inside = Keyring(KEYS).seal(b"")
    with pytest.raises(CodecError, match="ends within"):
        StreamReader(Keyring(KEYS)).feed(_sealed_stream(b"", inside))


def _sealed_stream(plain: bytes, inside: bytes) -> bytes:
    head = b"\x0a" + len(inside).to_bytes(4, "big")
    return head + Keyring(KEYS).seal(plain, head)


# ---- strangers


def _take(data: bytes) -> Iterator[None]:
    for message in read_packet(data):
        if isinstance(message, User):
            decode_serf(message.body)
        yield


@pytest.mark.timeout(1800)
def test_random_datagrams_and_streams_raise_nothing_else() -> None:
    """A million with --full."""
    rng = random.Random(20260101)
    accepted = 0
    for _ in range(1_000_000 if FULL else 20_000):
        data = mutated(rng)
        with contextlib.suppress(CodecError):
            accepted += sum(1 for _ in _take(data))
        with contextlib.suppress(CodecError):
            StreamReader().feed(data)
    assert accepted, "nothing got past the first look"


@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_else(data: bytes) -> None:
    for take in (read_packet, decode_serf, StreamReader().feed, lambda data: read_packet(data, Keyring(KEYS))):
        try:
            take(data)
        except CodecError:
            continue


def test_floats_that_are_no_numbers_pass_the_codec() -> None:
    value, _ = unpack(pack(math.inf))
    assert value == math.inf
