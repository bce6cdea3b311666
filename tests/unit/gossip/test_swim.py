"""The parts of SWIM one by one, then one node that hears from others."""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
import pytest

from dkronpy.gossip.codec.messages import (
    Ack,
    Address,
    Alive,
    Dead,
    IndirectPing,
    Message,
    Nack,
    NodeState,
    Ping,
    PushPullNode,
    Suspect,
    decode_message,
    ip_bytes,
)
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.stream import PushPull
from dkronpy.gossip.context import Context
from dkronpy.gossip.effects import Effect, Exchange, SendPacket, StreamPing
from dkronpy.gossip.profile import LAN
from dkronpy.gossip.swim.awareness import Awareness
from dkronpy.gossip.swim.broadcasts import Broadcasts
from dkronpy.gossip.swim.nodes import Node, Nodes
from dkronpy.gossip.swim.scaling import push_pull_interval, retransmits, suspicion_left, suspicion_timeout
from dkronpy.gossip.swim.swim import Swim
from dkronpy.model.duration import SECOND

VSN = bytes((1, 5, 2, 2, 5, 4))
ME = Address("10.0.0.1", 8946)


# ---- parts


def test_times_and_counts_are_those_of_memberlist() -> None:
    assert [retransmits(4, nodes) for nodes in (0, 1, 9, 10, 99, 100)] == [0, 4, 4, 8, 8, 12]
    assert [suspicion_timeout(4, nodes, 1000) for nodes in (1, 10, 50, 100, 1000)] == [4000, 4000, 6792, 8000, 12000]
    assert [push_pull_interval(30, nodes) for nodes in (1, 32, 33, 64, 65, 128, 129)] == [30, 30, 60, 60, 90, 90, 120]


def test_a_suspected_node_has_less_time_the_more_confirm() -> None:
    left = [suspicion_left(confirmations, 3, 2000, 2000, 30000) for confirmations in range(4)]
    assert left == [28000, 14000, 5810, 0]
    assert suspicion_left(3, 3, 5000, 2000, 30000) == -3000


def test_health_is_bounded() -> None:
    awareness = Awareness(8)
    assert awareness.scaled(100) == 100
    awareness.change(3)
    assert awareness.scaled(100) == 400
    awareness.change(50)
    assert awareness.score == 7
    awareness.change(-50)
    assert awareness.score == 0


def test_timers_go_off_in_order_and_only_if_not_cancelled() -> None:
    context, done = Context(random.Random(1)), list[str]()
    context.advance(100)
    context.after(50, lambda: done.append("second"))
    context.after(50, lambda: done.append("third"))
    context.after(20, lambda: done.append("first"))
    cancelled = context.after(10, lambda: done.append("never"))
    assert context.deadline() == 110
    cancelled.cancel()
    assert context.deadline() == 120
    context.advance(149)
    assert done == ["first"]

    def again() -> None:
        context.after(0, lambda: done.append("at once"))

    context.after(0, again)
    context.advance(140)
    assert (context.now, done) == (149, ["first", "at once"])
    context.advance(150)
    assert done == ["first", "at once", "second", "third"]
    assert context.deadline() is None


def test_news_is_passed_on_so_often_and_the_least_told_first() -> None:
    queue, done = Broadcasts(), list[str]()
    queue.add(b"a" * 100, "a", lambda: done.append("a"))
    queue.add(b"b" * 100, "b", lambda: done.append("b"))
    assert queue.take(110, 2, 2) == [b"b" * 100], "the newer"
    assert queue.take(110, 2, 2) == [b"a" * 100], "the one that was not told yet"
    assert queue.take(300, 2, 2) == [b"a" * 100, b"b" * 100]
    assert sorted(done) == ["a", "b"]
    assert not queue
    assert queue.take(300, 2, 2) == []


def test_small_news_goes_beside_large() -> None:
    queue = Broadcasts()
    for size in (600, 50, 900):
        queue.add(bytes(size), str(size))
    assert [len(message) for message in queue.take(1000, 2, 5)] == [900, 50]
    assert [len(message) for message in queue.take(1000, 2, 5)] == [600, 50]


def test_newer_news_of_a_node_replaces_the_older() -> None:
    queue, done = Broadcasts(), list[str]()
    queue.add(b"old" * 20, "n1", lambda: done.append("old"))
    queue.take(100, 2, 4)
    queue.add(b"new" * 20, "n1")
    queue.add(b"unnamed" * 10)
    queue.add(b"unnamed" * 10)
    assert done == ["old"]
    assert len(queue) == 3
    assert sorted(queue.take(1000, 2, 4)) == [b"new" * 20, b"unnamed" * 10, b"unnamed" * 10]


def test_a_queue_that_is_too_long_loses_what_was_told_most() -> None:
    queue, done = Broadcasts(), list[int]()
    for number in range(10):
        queue.add(bytes((number,)) * 50, str(number), lambda number=number: done.append(number))
    queue.take(160, 2, 5)  # the newest three
    queue.prune(5)
    assert sorted(done) == [0, 1, 7, 8, 9]
    assert len(queue) == 5


def test_every_node_is_probed_once_a_round() -> None:
    nodes = Nodes(random.Random(1))
    for number in range(20):
        nodes.add(Node(f"n{number}", ME, b"", VSN, 1, NodeState.ALIVE))
    first = [nodes.next(lambda _: True, lambda _: True) for _ in range(20)]
    second = [nodes.next(lambda _: True, lambda _: True) for _ in range(20)]
    assert {node.name for node in first if node} == {f"n{number}" for number in range(20)}
    assert set(first) == set(second)
    assert first != second
    third = [nodes.next(lambda node: node.name != "n3", lambda node: node.name != "n5") for _ in range(18)]
    assert {node.name for node in third if node} == {f"n{number}" for number in range(20)} - {"n3", "n5"}
    assert nodes.get("n5") is None
    assert nodes.next(lambda _: False, lambda _: True) is None
    assert nodes.get("n3") is not None
    assert len(nodes) == 19


def test_some_nodes_are_chosen_at_random() -> None:
    nodes = Nodes(random.Random(2))
    for number in range(10):
        nodes.add(Node(f"n{number}", ME, b""))
    chosen = [nodes.some(3, lambda node: node.name != "n0") for _ in range(100)]
    assert all(len(set(some)) == 3 for some in chosen)
    assert {node.name for some in chosen for node in some} == {f"n{number}" for number in range(1, 10)}
    assert nodes.some(3, lambda _: False) == []


# ---- one node


class Above:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def joined(self, node: Node) -> None:
        self.told.append(("joined", node.name))

    def left(self, node: Node) -> None:
        self.told.append(("left", node.name, node.state))

    def updated(self, node: Node) -> None:
        self.told.append(("updated", node.name, node.meta))

    def conflict(self, node: Node, address: Address) -> None:
        self.told.append(("conflict", node.name, address.host))

    def answered(self, node: Node, round_trip: int, payload: bytes) -> None:
        self.told.append(("answered", node.name, round_trip, payload))

    def ack_payload(self) -> bytes:
        return b"payload"

    def receive(self, body: bytes) -> None:
        self.told.append(("message", body))

    def local_state(self) -> bytes:
        return b"state"

    def merge_state(self, state: bytes) -> None:
        self.told.append(("state", state))

    def take_news(self, limit: int, overhead: int) -> list[bytes]:
        return []

    def has_news(self) -> bool:
        return False

    def take(self) -> list[tuple[Any, ...]]:
        told, self.told = self.told, []
        return told


class Lonely:
    """A node whose peers are the test."""

    def __init__(self, peers: int = 0) -> None:
        self.above = Above()
        self.context = Context(random.Random(7))
        self.swim = Swim(
            self.context,
            LAN,
            self.above,
            name="me",
            address=ME,
            versions=VSN,
            meta=b"mine",
            encrypted=lambda: False,
        )
        self.swim.start()
        for number in range(peers):
            self.hear(alive(f"n{number}"))
        self.above.take()
        self.context.take()
        self.effects: list[Effect] = []
        """All that it wanted done while the test waited."""

    def hear(self, *messages: Message, sender: Address = ME) -> None:
        for message in messages:
            self.swim.receive(message, sender)

    def wait(self, time: int, until: type | None = None) -> list[tuple[Address, Message]]:
        """What it sends in that time, or until it sends such a message."""
        end = self.context.now + time
        sent: list[tuple[Address, Message]] = []
        while True:
            deadline = self.context.deadline()
            assert deadline is not None
            if deadline > end or (until is not None and any(isinstance(message, until) for _, message in sent)):
                self.context.advance(end if until is None else self.context.now)
                return sent
            self.context.advance(deadline)
            effects = self.context.take()
            self.effects += effects
            for effect in effects:
                if isinstance(effect, SendPacket):
                    sent += [(effect.to, message) for wire in effect.messages if (message := decode_message(wire))]

    def told(self, time: int = SECOND) -> list[Message]:
        """The news that it tells, without its pings."""
        probing = (Ping, IndirectPing, Ack, Nack)
        return list(dict.fromkeys(message for _, message in self.wait(time) if not isinstance(message, probing)))

    def dies(self, name: str) -> int:
        """When a suspected node is taken for dead."""
        suspicion = self.swim.nodes[name].suspicion
        assert suspicion is not None
        return suspicion.timer.when

    def state(self, name: str) -> NodeState:
        return self.swim.nodes[name].state


def address_of(name: str) -> Address:
    return Address(f"10.0.1.{name[1:]}", 8946)


def alive(name: str, incarnation: int = 1, **fields: Any) -> Alive:
    address = ME if name == "me" else address_of(name)
    defaults: dict[str, Any] = {"addr": ip_bytes(address.host), "port": 8946, "meta": b"m", "vsn": VSN}
    return Alive(incarnation, name, **(defaults | fields))


def test_a_new_node_is_taken_in_and_told_of() -> None:
    node = Lonely()
    node.hear(alive("n1"))
    assert node.above.take() == [("joined", "n1")]
    assert alive("n1") in node.told()
    node.hear(alive("n1"), alive("n1", 2), alive("n1", 3, meta=b"new"), alive("n1", 2, meta=b"old"))
    assert node.above.take() == [("updated", "n1", b"new")]


def test_suspicion_spreads_ends_in_death_and_is_lifted_by_a_newer_life() -> None:
    node = Lonely(peers=6)
    node.hear(Suspect(1, "n1", "n2"))
    assert node.state("n1") is NodeState.SUSPECT
    assert Suspect(1, "n1", "n2") in node.told()
    node.hear(alive("n1"))
    assert node.state("n1") is NodeState.SUSPECT, "an old message doesn't lift it"
    node.hear(alive("n1", 2))
    assert node.state("n1") is NodeState.ALIVE
    node.hear(Suspect(1, "n1", "n2"))
    assert node.state("n1") is NodeState.ALIVE, "an old message doesn't bring it"
    node.hear(Suspect(2, "n1", "n2"), Suspect(2, "n1", "n3"), Suspect(2, "n1", "n4"))
    node.wait(4 * SECOND - 1)
    assert node.state("n1") is NodeState.SUSPECT
    assert Dead(2, "n1", "me") in node.told()
    assert node.state("n1") is NodeState.DEAD
    assert node.above.take()[-1] == ("left", "n1", NodeState.DEAD)


def test_who_is_suspected_by_one_has_longer() -> None:
    node = Lonely(peers=6)
    node.hear(Suspect(1, "n1", "n2"), Suspect(1, "n1", "n2"))
    since = node.context.now
    node.wait(3 * SECOND)
    assert node.dies("n1") == since + 24 * SECOND
    node.hear(Suspect(1, "n1", "n3"))
    assert node.dies("n1") == since + 11_381_404_928
    node.hear(Suspect(1, "n1", "n4"), Suspect(1, "n1", "n5"))
    assert node.dies("n1") == since + 4 * SECOND


def test_without_others_who_could_confirm_the_least_time_holds() -> None:
    node = Lonely(peers=2)
    node.hear(Suspect(1, "n1", "me"))
    assert node.dies("n1") == node.context.now + 4 * SECOND


@pytest.mark.parametrize("accusation", [Suspect(5, "me", "n1"), Dead(5, "me", "n1"), Dead(5, "me", "me")])
def test_what_is_said_of_this_node_is_refuted(accusation: Message) -> None:
    node = Lonely(peers=2)
    node.hear(accusation)
    assert node.swim.me.incarnation == 6
    assert node.swim.me.state is NodeState.ALIVE
    assert node.swim.awareness.score == 1
    assert Alive(6, "me", ip_bytes(ME.host), ME.port, b"mine", VSN) in node.told()
    node.hear(Suspect(5, "me", "n1"), Dead(2, "me", "n1"))
    assert node.swim.me.incarnation == 6


def test_what_this_node_was_before_a_restart_is_refuted() -> None:
    node = Lonely(peers=1)
    node.hear(alive("me", 1, meta=b"mine"))
    assert node.swim.me.incarnation == 1, "that is what it is"
    node.hear(alive("me", 1, meta=b"other tags"))
    assert node.swim.me.incarnation == 2
    node.hear(alive("me", 9, meta=b"mine"))
    assert node.swim.me.incarnation == 10
    assert node.above.take() == []


def test_the_last_incarnation_is_not_passed() -> None:
    node = Lonely(peers=1)
    node.hear(Suspect((1 << 32) - 1, "me", "n1"))
    assert node.swim.me.incarnation == (1 << 32) - 1
    node.told()


def test_who_says_so_itself_has_left() -> None:
    node = Lonely(peers=2)
    node.hear(Dead(1, "n0", "n0"), Dead(1, "n1", "n0"))
    assert node.above.take() == [("left", "n0", NodeState.LEFT), ("left", "n1", NodeState.DEAD)]
    node.hear(Dead(9, "n0", "n1"), Dead(9, "unknown", "n1"), Suspect(9, "unknown", "n1"), Suspect(9, "n0", "n1"))
    assert node.above.take() == []
    node.hear(alive("n0", 2))
    assert node.above.take() == [("joined", "n0")]


def test_a_name_belongs_to_an_address_until_its_node_is_dead_for_a_while() -> None:
    node = Lonely(peers=2)
    moved = alive("n1", 1, addr=ip_bytes("10.9.9.9"))
    node.hear(moved)
    assert node.above.take() == [("conflict", "n1", "10.9.9.9")]
    node.hear(Dead(4, "n1", "n0"))
    node.wait(LAN.reclaim_after)
    node.above.take()
    node.hear(moved)
    assert node.above.take() == [("conflict", "n1", "10.9.9.9")]
    node.wait(SECOND)
    node.above.take()
    node.hear(moved)
    assert node.above.take() == [("joined", "n1")]
    assert node.swim.nodes["n1"].address.host == "10.9.9.9"
    node.hear(Dead(1, "n1", "n1"), alive("n1"))
    assert node.above.take()[-1] == ("joined", "n1"), "who left may come back anywhere at once"


def test_another_node_with_this_ones_name_is_a_conflict() -> None:
    node = Lonely()
    node.hear(alive("me", 7, addr=ip_bytes("10.9.9.9")))
    assert node.above.take() == [("conflict", "me", "10.9.9.9")]
    assert node.swim.me.incarnation == 1


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"node": ""}, "no name"),
        ({"meta": bytes(513)}, "513 bytes of tags"),
        ({"addr": b"\x7f"}, "1 bytes"),
        ({"vsn": b"\1\5\2"}, "tells no versions"),
        ({"vsn": b"\0\5\2\2\5\4"}, "versions 0 to 5"),
        ({"vsn": b"\4\3\3\2\5\4"}, "versions 4 to 3"),
    ],
)
def test_nodes_that_can_not_be_are_refused(fields: dict[str, Any], wrong: str) -> None:
    node = Lonely()
    defaults: dict[str, Any] = {"node": "n1", "addr": ip_bytes("10.0.1.1"), "port": 8946, "vsn": VSN}
    with pytest.raises(CodecError, match=wrong):
        node.hear(Alive(1, **(defaults | fields)))
    assert node.above.take() == []


def test_a_node_without_port_and_versions_is_an_old_one() -> None:
    node = Lonely()
    node.hear(alive("n1", port=0, vsn=b""))
    assert node.swim.nodes["n1"].address.port == ME.port
    assert node.swim.nodes["n1"].protocol_max == 0


# ---- probes


def test_a_probe_that_is_answered_says_how_far_the_node_is() -> None:
    node = Lonely(peers=1)
    node.swim.awareness.change(2)
    to, ping = next((to, message) for to, message in node.wait(2 * SECOND, Ping) if isinstance(message, Ping))
    assert to == address_of("n0")
    assert (ping.node, ping.source_node, ping.source_addr, ping.source_port) == ("n0", "me", ip_bytes(ME.host), ME.port)
    node.context.advance(node.context.now + 1234)
    node.hear(Ack(ping.seq_no + 1, b"x"), Ack(ping.seq_no, b"x"), Ack(ping.seq_no, b"x"))
    assert node.above.take() == [("answered", "n0", 1234, b"x")]
    assert node.swim.awareness.score == 1


def test_nodes_are_probed_an_interval_apart_whether_they_answer_or_not() -> None:
    node = Lonely(peers=3)
    times = list[int]()
    for number in range(12):
        ping = next(message for _, message in node.wait(5 * SECOND, Ping) if isinstance(message, Ping))
        times.append(node.context.now)
        if number % 3:
            node.wait(SECOND // 10)
            node.hear(Ack(ping.seq_no))
            node.swim.awareness.change(-8)
    assert [after - before for before, after in itertools.pairwise(times)] == [SECOND] * 11


def test_a_probe_that_is_not_answered_goes_other_ways() -> None:
    node = Lonely(peers=5)
    node.context.take()
    ping = next(message for _, message in node.wait(2 * SECOND, Ping) if isinstance(message, Ping))
    begun = node.context.now
    asked = [(to, message) for to, message in node.wait(SECOND, IndirectPing) if isinstance(message, IndirectPing)]
    assert node.context.now - begun == LAN.probe_timeout
    assert len({to for to, _ in asked}) == 3
    assert all((message.seq_no, message.node, message.nack) == (ping.seq_no, ping.node, True) for _, message in asked)
    assert [effect for effect in node.effects if isinstance(effect, StreamPing)] == [
        StreamPing(address_of(ping.node), ping, begun + SECOND)
    ]
    node.wait(SECOND // 2 - 1)
    assert node.state(ping.node) is NodeState.ALIVE
    node.wait(1)
    assert node.state(ping.node) is NodeState.SUSPECT


@pytest.mark.parametrize(
    ("answers", "score", "state"),
    [
        ([], 5, NodeState.SUSPECT),
        (["nack"], 4, NodeState.SUSPECT),
        (["nack", "nack", "nack"], 2, NodeState.SUSPECT),
        (["nack", "ack"], 1, NodeState.ALIVE),
        (["stream"], 1, NodeState.ALIVE),
        (["stream", "nack", "nack", "nack"], 1, NodeState.ALIVE),
    ],
)
def test_missing_answers_make_a_node_doubt_itself(answers: list[str], score: int, state: NodeState) -> None:
    """It begins with a score of 2, so it waits three times as long."""
    node = Lonely(peers=5)
    node.swim.awareness.change(2)
    ping = next(message for _, message in node.wait(2 * SECOND, Ping) if isinstance(message, Ping))
    node.wait(2 * SECOND)
    for answer in answers:
        match answer:
            case "nack":
                node.hear(Nack(ping.seq_no))
            case "ack":
                node.hear(Ack(ping.seq_no))
            case _:
                node.swim.on_stream_ack(ping.seq_no)
    assert node.state(ping.node) is NodeState.ALIVE
    node.wait(SECOND)
    assert node.swim.awareness.score == score
    assert node.state(ping.node) is state
    assert not any(told[0] == "answered" for told in node.above.take()), "a late answer tells no distance"


def test_a_suspected_node_is_told_with_the_ping() -> None:
    node = Lonely(peers=1)
    node.hear(Suspect(1, "n0", "n9"))
    sent = node.wait(2 * SECOND, Ping)
    at = next(number for number, (_, message) in enumerate(sent) if isinstance(message, Ping))
    assert sent[at + 1] == (address_of("n0"), Suspect(1, "n0", "me"))


def test_pings_are_answered_where_the_asker_wants_it() -> None:
    node = Lonely()
    sender = Address("10.0.7.7", 999)
    for ping, to in (
        (Ping(5, "me"), sender),
        (Ping(5), sender),
        (Ping(5, "me", ip_bytes("10.0.8.8"), 77, "n1"), Address("10.0.8.8", 77)),
    ):
        node.hear(ping, sender=sender)
        (effect,) = node.context.take()
        assert isinstance(effect, SendPacket)
        assert (effect.to, decode_message(effect.messages[0])) == (to, Ack(5, b"payload"))
    node.hear(Ping(5, "another"), sender=sender)
    assert node.context.take() == []


def test_others_are_pinged_for_those_who_ask() -> None:
    node = Lonely(peers=2)
    sender = address_of("n0")
    asked = IndirectPing(9, ip_bytes(address_of("n1").host), 8946, "n1", True, ip_bytes(sender.host), 8946, "n0")
    for answered in (True, False):
        node.hear(asked, sender=sender)
        (effect,) = node.context.take()
        assert isinstance(effect, SendPacket)
        ping = decode_message(effect.messages[0])
        assert isinstance(ping, Ping)
        assert (effect.to, ping.node) == (address_of("n1"), "n1")
        if answered:
            node.hear(Ack(ping.seq_no, b"far away"))
            (effect,) = node.context.take()
            assert isinstance(effect, SendPacket)
            assert (effect.to, decode_message(effect.messages[0])) == (sender, Ack(9))
        sent = [(to, message) for to, message in node.wait(SECOND) if isinstance(message, Ack | Nack)]
        assert sent == ([] if answered else [(sender, Nack(9))])


@pytest.mark.parametrize("wrong", [{"target": b"x"}, {"source_addr": b"x"}])
def test_nobody_is_pinged_for_those_who_have_no_address(wrong: dict[str, bytes]) -> None:
    node = Lonely()
    asked = IndirectPing(9, ip_bytes("10.0.1.1"), 8946, "n1", True, ip_bytes("10.0.1.2"), 8946, "n2")
    with pytest.raises(CodecError, match="1 bytes"):
        node.hear(msgspec.structs.replace(asked, **wrong))
    assert [message for _, message in node.wait(SECOND) if isinstance(message, Ping | Nack)] == []


# ---- states


def test_states_are_exchanged() -> None:
    node = Lonely(peers=1)
    node.hear(Dead(1, "n0", "n0"))
    node.above.take()
    state = node.swim.state(join=True)
    assert {(of.name, of.state) for of in state.nodes} == {("me", NodeState.ALIVE), ("n0", NodeState.LEFT)}
    assert (state.user_state, state.join) == (b"state", True)

    def remote(name: str, state: int) -> PushPullNode:
        return PushPullNode(name, ip_bytes(address_of(name).host), 8946, b"m", 3, state, VSN)

    states = [remote("n1", 0), remote("n2", 0), remote("n3", 0), remote("n4", 2)]
    node.swim.merge(PushPull(states, b"theirs", False))
    assert node.above.take() == [("joined", "n1"), ("joined", "n2"), ("joined", "n3"), ("state", b"theirs")]
    node.swim.merge(PushPull([remote("n1", 1), remote("n2", 2), remote("n3", 3)], b"", False))
    assert [node.state(f"n{number}") for number in (1, 2, 3)] == [NodeState.SUSPECT, NodeState.SUSPECT, NodeState.LEFT]
    with pytest.raises(CodecError, match="unknown state 4"):
        node.swim.merge(PushPull([remote("n6", 0), remote("n5", 4)], b"", False))
    assert node.swim.nodes.get("n6") is None, "nothing of it was taken over"


def test_states_are_exchanged_with_somebody_now_and_then() -> None:
    node = Lonely(peers=1)
    for _ in range(360):
        pings = [message for _, message in node.wait(SECOND // 4) if isinstance(message, Ping)]
        node.hear(*(Ack(ping.seq_no) for ping in pings))
    exchanges = [effect for effect in node.effects if isinstance(effect, Exchange)]
    assert set(exchanges) == {Exchange(address_of("n0"))}
    assert 2 <= len(exchanges) <= 4


@pytest.mark.parametrize(
    ("versions", "wrong"),
    [
        ((1, 5, 2, 2, 5, 4), None),
        ((1, 5, 5, 2, 5, 2), None),
        ((3, 5, 3, 2, 5, 4), "me speaks version 2 of memberlist's protocol, but all nodes understand only 3 to 5"),
        ((1, 5, 2, 5, 9, 5), "me speaks version 4 of serf's protocol, but all nodes understand only 5 to 5"),
        ((1, 9, 6, 2, 5, 4), "n1 speaks version 6"),
    ],
)
def test_a_cluster_takes_in_only_who_understands_it(versions: tuple[int, ...], wrong: str | None) -> None:
    node = Lonely()
    other = PushPullNode("n1", ip_bytes("10.0.1.1"), 8946, b"", 1, NodeState.ALIVE, bytes(versions))
    if wrong is None:
        node.swim.merge(PushPull([other], b"", True))
        assert node.above.take() == [("joined", "n1")]
    else:
        with pytest.raises(CodecError, match=wrong):
            node.swim.merge(PushPull([other], b"", True))
        assert node.above.take() == []


def test_a_node_that_leaves_says_so_and_stays_gone() -> None:
    node = Lonely(peers=2)
    done = list[int]()
    node.swim.leave(lambda: done.append(node.context.now))
    assert node.above.take() == [("left", "me", NodeState.LEFT)]
    assert Dead(1, "me", "me") in node.told()
    assert len(done) == 1
    node.hear(Suspect(5, "me", "n1"), Dead(5, "me", "n1"), alive("me", 9))
    assert node.swim.me.state is NodeState.LEFT
    alone = Lonely()
    alone.swim.leave(lambda: done.append(0))
    assert len(done) == 2
