"""The parts of serf one by one, then nodes without a network."""

from __future__ import annotations

import base64
import contextlib
import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from dkronpy.gossip.codec.keyring import Keyring
from dkronpy.gossip.codec.messages import Address, Alive, Dead, Ping, User, decode_message, ip_bytes
from dkronpy.gossip.codec.msgpack import CodecError, pack
from dkronpy.gossip.codec.packet import make_packet, read_packet
from dkronpy.gossip.codec.serf_messages import (
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    Query,
    QueryFlags,
    Relay,
    Response,
    SerfState,
    UserEvent,
    decode_as,
    decode_serf,
    encode_relay,
    encode_serf,
)
from dkronpy.gossip.effects import (
    EventHeard,
    Exchange,
    KeyringChanged,
    LeaveDone,
    MembersChanged,
    NameLost,
    QueryAcked,
    QueryAnswered,
    QueryClosed,
    SendPacket,
)
from dkronpy.gossip.profile import LAN
from dkronpy.gossip.serf.lamport import LamportClock
from dkronpy.gossip.serf.recent import KEPT, MAX_ITEMS, Recent
from dkronpy.gossip.serf.serf import Clocks, Serf
from dkronpy.gossip.serf.tags import TagsError, decode_tags, encode_tags
from dkronpy.model.duration import SECOND
from dkronpy.model.member import MemberStatus
from tests.conftest import FULL
from tests.support.datagrams import mutated

ME = Address("10.0.0.1", 8946)
THEY = Address("10.0.1.1", 8946)
VSN = bytes((1, 5, 2, 2, 5, 4))
ALIVE, LEAVING, LEFT, FAILED = MemberStatus.ALIVE, MemberStatus.LEAVING, MemberStatus.LEFT, MemberStatus.FAILED


# ---- parts


def test_clocks_follow_what_they_see() -> None:
    clock = LamportClock()
    assert (clock.increment(), clock.time) == (1, 2)
    clock.witness(1)
    assert clock.time == 2
    clock.witness(9)
    assert clock.time == 10
    clock.witness(1 << 62)
    assert clock.time == 10, "no clock gets there"


def test_nothing_recent_is_taken_in_twice() -> None:
    recent = Recent[str](5)
    assert not recent.add(4, "before this node was there", 5)
    assert recent.add(5, "a", 6)
    assert not recent.add(5, "a", 6)
    assert recent.add(5, "b", 6)
    assert recent.add(5 + KEPT, "a", 6 + KEPT)
    assert not recent.add(5, "c", 6 + KEPT), "too old"
    assert sorted(recent) == [(5 + KEPT, ("a",))]
    assert not recent.add(5, "c", 5), "its place is taken by something newer"
    assert sum(recent.add(9, str(number), 10) for number in range(MAX_ITEMS + 5)) == MAX_ITEMS


def test_tags_fit_512_bytes() -> None:
    tags = {"role": "web", "größe": "日本"}
    assert decode_tags(encode_tags(tags)) == tags
    assert encode_tags({}) == b"\xff\x80"
    assert len(encode_tags({"a": "x" * 505})) == 512
    with pytest.raises(TagsError, match="need 513 bytes, 1 more than gossip carries: take fewer or shorter ones"):
        encode_tags({"a": "x" * 506})


@pytest.mark.parametrize(
    ("meta", "tags"),
    [
        (b"", {"role": ""}),
        (b"web", {"role": "web"}),
        (b"\xfe", {"role": "\ufffd"}),
        (b"\xff", {}),
        (b"\xff\xc1", {}),
        (b"\xff\x07", {}),
        (b"\xff" + pack({"a": b"\xff", "b": 7, "c": "d"}), {"a": "\ufffd", "c": "d"}),
    ],
)
def test_whatever_meta_data_others_send_has_tags(meta: bytes, tags: Mapping[str, str]) -> None:
    assert decode_tags(meta) == tags


# ---- a node


class Node:
    """A node whose peers are the test."""

    def __init__(self, *, keyring: Keyring | None = None, peers: int = 0, **options: Any) -> None:
        self.serf = Serf(LAN, random.Random(1), name="me", address=ME, tags={"role": "web"}, keyring=keyring, **options)
        self.now = 0
        self.serf.advance(0)
        self.serf.start()
        for number in range(1, peers + 1):
            self.hear(f"n{number}")
        self.serf.take()

    def hear(self, name: str, incarnation: int = 1) -> None:
        """Of a node."""
        address = ip_bytes(f"10.0.1.{name[1:]}")
        meta = encode_tags({"name": name})
        self.serf.handle(Alive(incarnation, name, address, 8946, meta, VSN), ME)

    def says(self, *messages: Any) -> None:
        """A message of serf comes."""
        for message in messages:
            self.serf.handle(User(encode_serf(message)), ME)

    def wait(self, seconds: float) -> list[Any]:
        """What it wants done in that time."""
        end = self.now + int(seconds * SECOND)
        effects: list[Any] = self.serf.take()
        while (deadline := self.serf.deadline()) is not None and deadline <= end:
            self.serf.advance(deadline)
            effects += self.serf.take()
        self.now = end
        self.serf.advance(end)
        return effects + self.serf.take()

    def statuses(self) -> dict[str, MemberStatus]:
        return {member.name: member.status for member in self.serf.members()}

    def replies(self) -> list[tuple[Address, Any]]:
        """The messages of serf that it sends at once."""
        return sent(self.serf.take())


def sent(effects: list[Any]) -> list[tuple[Address, Any]]:
    messages = [
        (effect.to, decode_message(wire))
        for effect in effects
        if isinstance(effect, SendPacket)
        for wire in effect.messages
    ]
    return [(to, decode_serf(message.body)) for to, message in messages if isinstance(message, User)]


def query(name: str = "_serf_ping", payload: bytes = b"", **fields: Any) -> Query:
    asked = Query(5, 7, ip_bytes(THEY.host), THEY.port, "n1", name=name, payload=payload)
    return msgspec.structs.replace(asked, **fields)


def test_members_have_tags_and_versions() -> None:
    node = Node(peers=1)
    me, other = node.serf.members()
    assert (me.name, me.addr, me.port, me.tags, me.status) == ("me", "10.0.0.1", 8946, {"role": "web"}, ALIVE)
    assert (other.name, other.tags) == ("n1", {"name": "n1"})
    assert [
        *(me.protocol_min, me.protocol_max, me.protocol_cur),
        *(me.delegate_min, me.delegate_max, me.delegate_cur),
    ] == [1, 5, 2, 2, 5, 4]
    node.serf.set_tags({"role": "other"})
    assert node.serf.members()[0].tags == {"role": "other"}
    assert MembersChanged() in node.serf.take()
    node.serf.set_tags({"role": "other"})
    assert node.serf.take() == []
    with pytest.raises(TagsError):
        node.serf.set_tags({"role": "x" * 600})


def test_who_says_that_it_goes_leaves_and_who_does_not_fails() -> None:
    node = Node(peers=3)
    node.says(LeaveIntent(5, "n1"), LeaveIntent(5, "n2"))
    assert node.statuses() == {"me": ALIVE, "n1": LEAVING, "n2": LEAVING, "n3": ALIVE}
    node.says(JoinIntent(4, "n1"), JoinIntent(6, "n2"))
    assert node.statuses() == {"me": ALIVE, "n1": LEAVING, "n2": ALIVE, "n3": ALIVE}, "the newest word holds"
    for name, by in (("n1", "n2"), ("n2", "n1"), ("n3", "n3")):
        node.serf.handle(Dead(1, name, by), ME)
    assert node.statuses() == {"me": ALIVE, "n1": LEFT, "n2": FAILED, "n3": LEFT}
    node.says(LeaveIntent(9, "n2"))
    assert node.statuses()["n2"] is LEFT, "somebody had it removed"
    node.hear("n2", 2)
    assert node.statuses()["n2"] is ALIVE
    node.says(LeaveIntent(20, "n2", True))
    assert node.statuses()["n2"] is LEAVING
    node.wait(7)
    assert "n2" not in node.statuses(), "pruned"


def test_word_of_unknown_members_is_kept_for_a_while() -> None:
    node = Node()
    node.says(LeaveIntent(5, "n1"), JoinIntent(4, "n1"), JoinIntent(7, "n2"), LeaveIntent(6, "n2"))
    node.hear("n1")
    node.hear("n2")
    assert node.statuses() == {"me": ALIVE, "n1": LEAVING, "n2": ALIVE}
    node.says(LeaveIntent(7, "n2"))
    assert node.statuses()["n2"] is ALIVE, "it is not newer than the join"
    node.says(LeaveIntent(50, "n3"))
    node.wait(6 * 60)
    node.hear("n3")
    assert node.statuses()["n3"] is ALIVE, "too long ago"


def test_word_of_unknown_members_is_bounded() -> None:
    node = Node()
    for number in range(2000):
        node.says(LeaveIntent(5, f"x{number}"))
    node.hear("n1")
    told = [message for _, message in sent(node.wait(10)) if isinstance(message, LeaveIntent)]
    assert len(set(told)) <= 1024


def test_it_is_refuted_that_this_node_leaves() -> None:
    node = Node(peers=1)
    node.says(LeaveIntent(5, "me"))
    assert node.statuses()["me"] is ALIVE
    assert (THEY, JoinIntent(6, "me")) in sent(node.wait(1))


def test_members_that_are_gone_are_forgotten_after_a_day() -> None:
    node = Node(peers=2)
    node.serf.handle(Dead(1, "n1", "n2"), ME)
    node.serf.handle(Dead(1, "n2", "n2"), ME)
    exchanges = [effect for effect in node.wait(24 * 3600 - 60) if isinstance(effect, Exchange)]
    assert node.statuses() == {"me": ALIVE, "n1": FAILED, "n2": LEFT}
    assert set(exchanges) == {Exchange(Address("10.0.1.1", 8946))}, "the one that failed is called"
    assert len(exchanges) > 2000
    node.wait(120)
    assert node.statuses() == {"me": ALIVE}


def test_leaving_is_told_then_done() -> None:
    node = Node(peers=2)
    node.serf.leave()
    assert node.statuses()["me"] is LEAVING
    effects = node.wait(8)
    assert LeaveIntent(1, "me") in [message for _, message in sent(effects)]
    assert effects.count(LeaveDone()) == 1
    assert node.statuses()["me"] is LEFT
    alone = Node()
    alone.serf.leave()
    assert LeaveDone() in alone.serf.take()


def test_leaving_does_not_wait_for_ever_for_news_to_be_told() -> None:
    """Nobody can be told, for all are suspected or dead and the news never gets out in time."""
    node = Node(peers=1)
    node.serf.handle(Dead(1, "n1", "me"), ME)
    node.hear("n2")
    node.serf.leave()
    assert LeaveDone() in node.wait(13)


# ---- events


def test_events_are_heard_once_and_passed_on() -> None:
    node = Node(peers=1)
    event = UserEvent(5, "deploy", b"v1")
    node.says(event, event)
    effects = node.wait(1)
    assert [effect for effect in effects if isinstance(effect, EventHeard)] == [EventHeard("deploy", b"v1")]
    assert event in [message for _, message in sent(effects)]
    node.serf.event("mine", b"x")
    effects = node.wait(1)
    assert EventHeard("mine", b"x") in effects
    assert UserEvent(6, "mine", b"x") in [message for _, message in sent(effects)]
    with pytest.raises(ValueError, match="at most 512 bytes"):
        node.serf.event("mine", bytes(510))


def test_events_come_with_states_but_not_those_of_before() -> None:
    node = Node(clocks=Clocks(3, 10, 3))
    other = Node()
    for number in range(1, 16):
        other.says(UserEvent(number, f"e{number}", b""))
    other.serf.take()
    node.serf.merge(other.serf.state())
    heard = [effect.name for effect in node.serf.take() if isinstance(effect, EventHeard)]
    assert heard == [f"e{number}" for number in range(10, 16)]
    assert node.serf.clocks() == Clocks(3, 16, 3)


def test_states_tell_who_left() -> None:
    node, other = Node(peers=2), Node(peers=2)
    other.says(JoinIntent(8, "n1"), JoinIntent(8, "n2"))
    other.serf.handle(Dead(1, "n1", "n1"), ME)
    node.serf.handle(Dead(1, "n1", "n2"), ME)
    assert node.statuses()["n1"] is FAILED
    state = decode_as(SerfState, other.serf.state().user_state)
    assert state.left_members == ("n1",)
    assert state.status_ltimes == {"me": 0, "n1": 8, "n2": 8}
    node.serf.merge(other.serf.state())
    assert node.statuses()["n1"] is LEFT
    with pytest.raises(CodecError, match="no SerfState"):
        node.serf.merge(node.serf.state()._replace(user_state=b"\x03"))


@pytest.mark.parametrize("keyring", [None, Keyring([bytes(16)])])
def test_datagrams_are_filled_but_not_beyond_what_paths_carry(keyring: Keyring | None) -> None:
    """With everything around them."""
    node = Node(peers=200, keyring=keyring)
    for number in range(200):
        node.says(UserEvent(number + 1, f"event{number}", bytes(number)), LeaveIntent(9, f"unknown{number}"))
    sizes = [
        len(make_packet(effect.messages, crc=True, keyring=keyring))
        for effect in node.wait(5)
        if isinstance(effect, SendPacket)
    ]
    assert 1380 <= max(sizes) <= LAN.packet_size


# ---- queries


def test_queries_are_acknowledged_and_passed_on_once() -> None:
    node = Node(peers=1)
    asked = query(flags=QueryFlags.ACK)
    node.says(asked, asked)
    assert node.replies() == [(THEY, Response(5, 7, "me", QueryFlags.ACK))]
    assert asked in [message for _, message in sent(node.wait(1))]
    node.says(query(id=8, flags=QueryFlags.NO_BROADCAST))
    assert node.replies() == []
    assert [message for _, message in sent(node.wait(1)) if isinstance(message, Query) and message.id == 8] == []


@pytest.mark.parametrize(
    ("filters", "meant"),
    [
        ([b"\x00" + pack(["n1", "me"])], True),
        ([b"\x00" + pack(["n1"])], False),
        ([b"\x01" + pack({"Tag": "role", "Expr": "^w"})], True),
        ([b"\x01" + pack({"Tag": "role", "Expr": "^x"})], False),
        ([b"\x01" + pack({"Tag": "none", "Expr": "^$"})], True),
        ([b"\x01" + pack({"Tag": "role", "Expr": "^w"}), b"\x00" + pack(["n1"])], False),
        ([b"\x01" + pack({"Tag": "role", "Expr": "(("})], False),
        ([b"\x02"], False),
        ([b""], False),
        ([b"\x00" + pack("me")], False),
        ([b"\x00\xc1"], False),
        ([b"\x00" + pack(["me"])] * 9, False),
    ],
)
def test_filters_say_who_is_meant(filters: list[bytes], meant: bool) -> None:
    node = Node()
    node.says(query(flags=QueryFlags.ACK, filters=tuple(filters)))
    assert bool(node.replies()) is meant


def test_answers_go_other_ways_too() -> None:
    node = Node(peers=4)
    node.says(query(flags=QueryFlags.ACK, relay_factor=200))
    replies = node.replies()
    ack = Response(5, 7, "me", QueryFlags.ACK)
    assert replies == [(THEY, ack)], "there are too few for five relays"
    node.says(query(id=9, flags=QueryFlags.ACK, relay_factor=2))
    direct, *relayed = node.replies()
    assert direct[0] == THEY
    assert len({to for to, _ in relayed}) == 2
    wire = encode_serf(Response(5, 9, "me", QueryFlags.ACK))
    assert all(message == Relay(THEY, "n1", wire) for _, message in relayed)
    node.serf.handle(User(encode_relay(Address("10.0.1.3", 8946), "n3", wire)), ME)
    assert node.replies() == [(Address("10.0.1.3", 8946), Response(5, 9, "me", QueryFlags.ACK))]


def test_answers_to_this_nodes_queries_are_taken_once_until_it_is_closed() -> None:
    node = Node(peers=2)
    number = node.serf.queries.ask("load", b"x", ack=True)
    assert [effect for effect in node.serf.take() if not isinstance(effect, SendPacket)] == [QueryAcked(number, "me")]
    answer, ack = Response(1, number, "n1", 0, b"a"), Response(1, number, "n1", QueryFlags.ACK)
    wrong = (Response(1, number ^ 1, "n1"), Response(2, number, "n1"))
    node.says(answer, answer, ack, ack, *wrong)
    assert node.serf.take() == [QueryAnswered(number, "n1", b"a"), QueryAcked(number, "n1")]
    effects = node.wait(3.3)
    assert effects.count(QueryClosed(number)) == 1
    node.says(Response(1, number, "n2"))
    node.serf.queries.close(number)
    assert node.serf.take() == []
    with pytest.raises(ValueError, match="at most 1024 are carried"):
        node.serf.queries.ask("load", bytes(1024))


def test_who_has_a_name_is_answered_by_others() -> None:
    node = Node(peers=1)
    for name, answers in (("n1", 1), ("me", 0), ("nobody", 0)):
        node.says(query("_serf_conflict", name.encode(), id=answers * 100 + len(name)))
        assert len(node.replies()) == answers


def test_keys_are_managed_by_queries() -> None:
    keys = [bytes(16), bytes(range(16)), bytes(range(32))]
    encoded = [base64.b64encode(key).decode() for key in keys]
    node = Node(keyring=Keyring(keys[:1]))
    asked = 0

    def ask(name: str, request: bytes = b"") -> tuple[KeyResponse, list[Any]]:
        nonlocal asked
        asked += 1
        node.says(query(name, request, ltime=asked))
        effects = node.serf.take()
        ((_, response),) = sent(effects)
        return decode_as(KeyResponse, response.payload), [effect for effect in effects if effect == KeyringChanged()]

    def change(what: str, key: bytes) -> tuple[bool, str, bool]:
        response, changed = ask(f"_serf_{what}-key", encode_serf(KeyRequest(key)))
        return response.result, response.message, bool(changed)

    assert change("install", keys[1]) == (True, "", True)
    assert change("use", keys[1]) == (True, "", True)
    assert change("use", keys[2]) == (False, "the key is not in the keyring: install it first", False)
    assert change("remove", keys[1])[0] is False
    assert change("remove", keys[0]) == (True, "", True)
    assert change("install", b"short") == (False, "a key of 5 bytes: it must have 16, 24 or 32", False)
    assert ask("_serf_use-key", b"\xc1")[0].message == "no KeyRequest"
    assert ask("_serf_list-keys")[0] == KeyResponse(True, "", (encoded[1],), encoded[1])
    for number in range(60):
        change("install", bytes((number,)) * 32)
    listed = ask("_serf_list-keys")[0]
    assert listed.message == f"truncated: the first {len(listed.keys)} of 61 keys"
    assert 15 < len(listed.keys) < 40


def test_without_encryption_there_are_no_keys() -> None:
    node = Node()
    for number, name in enumerate(("install-key", "list-keys")):
        node.says(query(f"_serf_{name}", encode_serf(KeyRequest(bytes(16))), id=number))
        ((_, response),) = node.replies()
        assert decode_as(KeyResponse, response.payload).message.startswith("this node has no keyring")


# ---- conflicts


@pytest.mark.parametrize(("mine", "theirs", "stays"), [(2, 1, True), (1, 2, False), (1, 1, False), (0, 0, True)])
def test_the_majority_says_whose_name_it_is(mine: int, theirs: int, stays: bool) -> None:
    node = Node(peers=3)
    other = Address("10.9.9.9", 8946)
    node.serf.handle(Alive(7, "me", ip_bytes(other.host), other.port, b"", VSN), ME)
    voters = [Node() for _ in range(mine + theirs)]
    for number, voter in enumerate(voters):
        address = ME if number < mine else other
        voter.serf.handle(Alive(1, "other", ip_bytes(address.host), address.port, b"", VSN), ME)
    asked = [message for _, message in sent(node.wait(15.5)) if isinstance(message, Query)]
    assert {(message.name, message.payload) for message in asked} == {("_serf_conflict", b"me")}
    for number, voter in enumerate(voters):
        voter.says(query("_serf_conflict", b"other"))
        ((_, response),) = voter.replies()
        node.says(Response(asked[0].ltime, asked[0].id, f"n{number}", 0, response.payload))
    lost = [effect for effect in node.wait(10) if isinstance(effect, NameLost)]
    assert lost == ([] if stays else [NameLost(other)])


def test_a_vote_that_can_not_be_read_is_none_for_this_node() -> None:
    node = Node(peers=3)
    node.serf.handle(Alive(7, "me", ip_bytes("10.9.9.9"), 1, b"", VSN), ME)
    asked = [message for _, message in sent(node.wait(15.5)) if isinstance(message, Query)]
    node.says(Response(asked[0].ltime, asked[0].id, "n1", 0, b"\x06\xc1"))
    assert NameLost(Address("10.9.9.9", 1)) in node.wait(10)


# ---- all of it


def test_figures_are_those_of_serf() -> None:
    node = Node(peers=3, keyring=Keyring([bytes(16)]))
    node.serf.handle(Dead(1, "n1", "n2"), ME)
    node.serf.handle(Dead(1, "n2", "n2"), ME)
    node.serf.event("e", b"")
    node.says(query(ltime=40), LeaveIntent(50, "n3"))
    assert node.serf.stats() == {
        "members": "4",
        "failed": "1",
        "left": "1",
        "health_score": "0",
        "member_time": "51",
        "event_time": "2",
        "query_time": "41",
        "intent_queue": "1",
        "event_queue": "1",
        "query_queue": "1",
        "coordinate_resets": "0",
        "encrypted": "true",
    }


def test_answers_to_pings_tell_where_the_node_is() -> None:
    node = Node()
    node.serf.handle(Ping(1, "me"), THEY)
    (effect,) = node.serf.take()
    ack: Any = decode_message(effect.messages[0])  # type: ignore[union-attr]
    assert ack.payload.startswith(b"\x01\x84")


@pytest.mark.parametrize("seed", range(50 if FULL else 3))
def test_strangers_do_no_harm(seed: int) -> None:
    """Damaged datagrams of all kinds raise nothing but CodecError, and the node lives on."""
    rng = random.Random(seed)
    node = Node(peers=3)
    for _ in range(20_000 if FULL else 4_000):
        node.serf.advance(node.now)
        with contextlib.suppress(CodecError):
            for message in read_packet(mutated(rng)):
                with contextlib.suppress(CodecError):
                    node.serf.handle(message, THEY)
        node.now += rng.randrange(SECOND // 100)
        for effect in node.serf.take():
            if isinstance(effect, SendPacket):
                for wire in effect.messages:
                    decode_message(wire)
    assert node.statuses()["me"] is ALIVE
    node.serf.handle(Ping(1, "me"), THEY)
    assert any(isinstance(effect, SendPacket) for effect in node.serf.take())
