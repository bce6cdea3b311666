"""Our nodes among themselves, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from dkronpy.gossip import gossip as gossip_module
from dkronpy.gossip.codec.messages import (
    Ack,
    Address,
    Alive,
    NodeState,
    Ping,
    PushPullNode,
    User,
    encode_message,
    ip_bytes,
)
from dkronpy.gossip.codec.packet import read_packet
from dkronpy.gossip.codec.stream import PushPull, Refusal, StreamReader, make_stream
from dkronpy.gossip.driver import Driver
from dkronpy.gossip.effects import SendPacket
from dkronpy.gossip.errors import GossipError, NameTakenError, UnreachableError
from dkronpy.gossip.gossip import Gossip, GossipSettings
from dkronpy.gossip.profile import LOCAL
from dkronpy.model.duration import SECOND, parse_duration
from dkronpy.model.member import MemberStatus
from tests.conftest import FULL
from tests.support.datagrams import mutated
from tests.support.machine import measured
from tests.support.serf import HOST, OurNode, eventually, our_node

PROBE = 0.2
"""Seconds between two pings."""
FAST = msgspec.structs.replace(
    LOCAL,
    probe_interval=int(PROBE * SECOND),
    probe_timeout=parse_duration("50ms"),
    gossip_interval=parse_duration("20ms"),
    reclaim_after=parse_duration("200ms"),
    broadcast_timeout=parse_duration("500ms"),
    leave_delay=parse_duration("100ms"),
    retransmit_mult=4,
)
VSN = bytes((1, 5, 2, 2, 5, 4))
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
"""Agents run on uvloop, which treats sockets and addresses otherwise."""


async def settled(nodes: Sequence[OurNode], expected: set[str]) -> None:
    """Wait until all of them see exactly those alive."""

    async def agreed() -> bool:
        return all({name for name, member in node.members().items() if member.alive} == expected for node in nodes)

    await eventually(agreed, f"not all see {expected}")


async def test_nodes_talk_over_ipv6(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(our_node(tmp_path, name, address=Address("::1", 0), profile=FAST))
            for name in ("n1", "n2")
        ]
        assert await nodes[0].gossip.join([nodes[1].address]) == 1
        await settled(nodes, {"n1", "n2"})
        assert nodes[0].members()["n2"].addr == "::1"
        result = await nodes[0].gossip.query("_serf_ping", ack=True)
        assert sorted(result.acks) == ["n1", "n2"]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"bind": Address("no-such-host.invalid", 0)}, "can't listen on no-such-host.invalid:0"),
        ({"bind": Address("192.0.2.1", 0)}, "can't listen on 192.0.2.1:0"),
        ({"tags": {"x": "y" * 600}}, "take fewer or shorter ones"),
    ],
)
async def test_a_start_that_fails_says_why(tmp_path: Path, changes: dict[str, Any], wrong: str) -> None:
    settings: dict[str, Any] = {"bind": Address(HOST, 0), "advertise": Address(HOST, 0)} | changes
    gossip = Gossip(GossipSettings(name="n1", directory=tmp_path, **settings), on_change=lambda: None)
    with pytest.raises(GossipError, match=wrong):
        await gossip.start()


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with our_node(tmp_path, "n1") as node:
        with pytest.raises(GossipError, match=f"can't listen on {node.address}: .*in use"):
            async with our_node(tmp_path, "n2", address=node.address):
                pass


async def test_names_are_resolved_anew_at_each_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(our_node(tmp_path, name, profile=FAST)) for name in ("n1", "n2")
        ]
        asked: list[str] = []

        async def resolve(host: str, port: int) -> list[Address]:
            asked.append(host)
            if len(asked) == 1:
                raise UnreachableError(f"{host} is unknown")
            return [Address(HOST, 1 if len(asked) == 2 else second.address.port)]

        monkeypatch.setattr(gossip_module, "resolve", resolve)
        await first.gossip.retry_join([("moving.example", 8946)], parse_duration("1ms"))
        assert asked == ["moving.example"] * 3
        await settled([first, second], {"n1", "n2"})


async def test_joining_is_given_up_after_so_many_tries(tmp_path: Path) -> None:
    async with our_node(tmp_path, "n1") as node:
        with pytest.raises(GossipError, match="no node could be joined in 3 tries"):
            await node.gossip.retry_join([(HOST, 1)], parse_duration("1ms"), 3)
        assert await node.gossip.join([]) == 0


@pytest.mark.parametrize("compress", [False, True])
async def test_large_states_are_exchanged(tmp_path: Path, compress: bool) -> None:
    profile = msgspec.structs.replace(LOCAL, compress=compress)
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(our_node(tmp_path, name, profile=profile, key=bytes(16)))
            for name in ("n1", "n2")
        ]
        many = [
            PushPullNode(f"x{number}", ip_bytes("192.0.2.1"), 1, b"\xff\x80" + bytes(300), 1, NodeState.ALIVE, VSN)
            for number in range(300)
        ]
        first.gossip._driver.do(lambda: first.gossip._serf.merge(PushPull(many, b"", False)))
        assert await second.gossip.join([first.address]) == 1
        assert len(second.members()) == 302


async def test_a_node_that_vanishes_fails_and_one_that_leaves_left(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(our_node(tmp_path, f"n{number}", profile=FAST)) for number in range(5)]
        for node in nodes[1:]:
            assert await node.gossip.join([nodes[0].address]) == 1
        await settled(nodes, {f"n{number}" for number in range(5)})
        await nodes[4].vanish()
        await nodes[0].sees("n4", MemberStatus.FAILED)
        await nodes[3].gossip.leave(forget=True)
        await nodes[0].sees("n3", MemberStatus.LEFT)
        assert not (tmp_path / "n3" / "members.json").exists()
        assert (tmp_path / "n2" / "members.json").exists()
        await nodes[3].vanish()
        async with our_node(tmp_path, "n3", address=nodes[3].address, profile=FAST) as again:
            await asyncio.sleep(0.2)
            assert set(again.members()) == {"n3"}, "it was to forget the others"
            assert nodes[0].members()["n3"].status is MemberStatus.LEFT


async def test_remembered_members_are_looked_for_until_one_answers(tmp_path: Path) -> None:
    profile = msgspec.structs.replace(FAST, reconnect_interval=parse_duration("100ms"))
    async with our_node(tmp_path, "n1", profile=profile) as first, our_node(tmp_path, "n2", profile=profile) as second:
        assert await first.gossip.join([second.address]) == 1
        await settled([first, second], {"n1", "n2"})
        remembered = tmp_path / "n1" / "members.json"
        await eventually(lambda: asyncio.to_thread(_holds, remembered, '"n2"'), "n2 is not remembered")
        addresses = first.address, second.address
        await first.vanish()
    async with our_node(tmp_path, "n1", address=addresses[0], profile=profile) as first:
        await asyncio.sleep(0.5)
        assert set(first.members()) == {"n1"}
        async with our_node(tmp_path / "fresh", "n2", address=addresses[1], profile=profile) as second:
            await settled([first, second], {"n1", "n2"})


def _holds(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text()


async def test_a_node_that_was_stopped_hears_first_what_waits_for_it(tmp_path: Path) -> None:
    """The answer to its ping came while it was stopped; when it goes on, the time for it is over."""
    async with our_node(tmp_path, "n1", profile=FAST) as node:
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind((HOST, 0))
            other.setblocking(False)
            alive = Alive(1, "other", ip_bytes(HOST), other.getsockname()[1], b"\xff\x80", VSN)
            other.sendto(encode_message(alive), node.address)

            answered = 0

            def answer_and_stop() -> None:
                nonlocal answered
                answered += _answer_pings(other, node.address)
                time.sleep(0.4)

            async def enough() -> bool:
                return answered >= 10

            loop = asyncio.get_running_loop()
            loop.add_reader(other, answer_and_stop)
            await eventually(enough, "there are too few pings", 60)
            loop.remove_reader(other)
        assert node.gossip._serf._swim.nodes["other"].state is NodeState.ALIVE
        assert node.gossip.stats()["health_score"] == "0"


def _answer_pings(other: socket.socket, to: Address) -> bool:
    """Whether there were any."""
    answered = False
    with contextlib.suppress(BlockingIOError):
        while True:
            for message in read_packet(other.recv(65536)):
                if isinstance(message, Ping):
                    other.sendto(encode_message(Ack(message.seq_no)), to)
                    answered = True
    return answered


async def test_of_two_nodes_with_one_name_the_newer_ends(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(our_node(tmp_path, f"n{number}", profile=FAST)) for number in range(4)]
        for node in nodes[1:]:
            assert await node.gossip.join([nodes[0].address]) == 1
        await settled(nodes, {f"n{number}" for number in range(4)})
        double = Gossip(
            GossipSettings(
                name="n3",
                bind=Address(HOST, 0),
                advertise=Address(HOST, 0),
                directory=tmp_path / "double",
                profile=FAST,
            ),
            on_change=lambda: None,
        )
        await double.start()
        running = asyncio.create_task(double.run())
        await double.join([nodes[0].address])
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(running, 60)
        assert caught.group_contains(NameTakenError, match=f"the node at {nodes[3].address} is called n3 too")
        await settled(nodes, {f"n{number}" for number in range(4)})


async def test_a_node_without_udp_is_not_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings over TCP get through."""
    send = Driver._send

    def only_to_the_others(driver: Driver, effect: SendPacket) -> None:
        if effect.to != nodes[1].address:
            send(driver, effect)

    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(our_node(tmp_path, f"n{number}", profile=FAST)) for number in range(2)]
        assert await nodes[0].gossip.join([nodes[1].address]) == 1
        await settled(nodes, {"n0", "n1"})
        monkeypatch.setattr(Driver, "_send", only_to_the_others)
        for _ in range(20):
            with measured() as machine:
                await asyncio.sleep(3)
            if nodes[0].members()["n1"].status is MemberStatus.ALIVE:
                break
            # Who stands still can't be heard in time, and the one without UDP does not hear that it is suspected.
            assert machine.stall > PROBE / 4, "it is taken for dead"
            await settled(nodes, {"n0", "n1"})
        else:
            pytest.fail("the machine never went on for 3 s")


@LOOPS
def test_addresses_that_can_not_be_reached_do_no_harm(tmp_path: Path, loop: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_unreachable(tmp_path))


async def _unreachable(tmp_path: Path) -> None:
    async with our_node(tmp_path, "n1", profile=FAST) as node:
        with socket.socket(type=socket.SOCK_DGRAM) as stranger:
            for name, ip, port in (("v6", "2001:db8::1", 8946), ("zero", "0.0.0.0", 0), ("many", "255.255.255.255", 9)):
                alive = Alive(1, name, ip_bytes(ip), port, b"\xff\x80", VSN)
                stranger.sendto(encode_message(alive), node.address)
        for name in ("v6", "zero", "many"):
            await node.sees(name, MemberStatus.FAILED)
        assert not node.running.done()


async def test_what_the_owner_does_wrong_is_not_hidden(tmp_path: Path) -> None:
    settings = GossipSettings(name="n1", bind=Address(HOST, 0), advertise=Address(HOST, 0), directory=tmp_path)
    gossip = Gossip(settings, on_change=lambda: {}["x"])
    await gossip.start()
    with pytest.raises(ExceptionGroup) as caught:
        await gossip.run()
    assert caught.group_contains(KeyError)


# ---- strangers


@LOOPS
@pytest.mark.timeout(1800)
def test_noise_stops_nobody(tmp_path: Path, loop: Callable[[], Any]) -> None:
    """A million datagrams with --full, and damaged streams beside them."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_noise(tmp_path))


async def _noise(tmp_path: Path) -> None:
    rng = random.Random(1)
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(our_node(tmp_path, f"n{number}", key=key, profile=LOCAL))
            for number, key in ((0, None), (1, bytes(16)))
        ]
        with socket.socket(type=socket.SOCK_DGRAM) as stranger:
            for number in range(1_000_000 if FULL else 6_000):
                data = mutated(rng)
                for node in nodes:
                    stranger.sendto(data, node.address)
                if number % 20 == 0:
                    await asyncio.sleep(0)
                if number % 200 == 0:
                    for node in nodes:
                        if node.running.done():
                            node.running.result()
                        await _stream(node.address, data)
        for node in nodes:
            result = await node.gossip.query("_serf_ping", ack=True, enough=lambda result: bool(result.acks))
            assert result.acks == [node.gossip._settings.name]
            assert not node.running.done()
        assert set(nodes[1].members()) == {"n1"}, "without the key nothing gets in"


async def _stream(address: Address, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except OSError:  # it was refused
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_streams_that_are_refused_are_told_why(tmp_path: Path) -> None:
    async with our_node(tmp_path, "n1", profile=FAST) as node:
        answer = StreamReader().feed(await _stream(node.address, b"\x05"))
        assert answer == Refusal("no stream is of kind 5")
        assert await _stream(node.address, make_stream(Ping(1, "another"))) == b""
        assert await _stream(node.address, make_stream(Ping(1, "n1"))) != b""
        assert await _stream(node.address, make_stream(User(b"\x03\x80"))) == b""
        assert StreamReader().feed(await _stream(node.address, make_stream(Refusal("x")))) == Refusal(
            "nobody asked for this Refusal"
        )


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (make_stream(Refusal("go away")), "refuses: go away"),
        (make_stream(Ping(1)), "something else than its state"),
        (b"\x05", "is not understood: no stream is of kind 5"),
        (b"\x06", "hangs up"),
        (b"", "hangs up without a word"),
        (make_stream(PushPull([PushPullNode("")], b"", False)), "is refused: a node has no name"),
        (None, "doesn't answer in time"),
    ],
)
async def test_who_answers_wrong_is_not_joined(
    tmp_path: Path, answer: bytes | None, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        served.set()

    profile = msgspec.structs.replace(FAST, stream_timeout=parse_duration("100ms" if answer is None else "30s"))
    server = await asyncio.start_server(serve, HOST, 0)
    async with server, our_node(tmp_path, "n1", profile=profile) as node:
        assert await node.gossip.join([server.sockets[0].getsockname()]) == 0
        assert wrong in caplog.text
        await served.wait()


async def test_connections_that_say_nothing_are_bounded_and_dropped(tmp_path: Path) -> None:
    profile = msgspec.structs.replace(FAST, stream_timeout=parse_duration("2s"))
    async with our_node(tmp_path, "n1", profile=profile) as node:
        idle = [await asyncio.open_connection(*node.address) for _ in range(128)]

        async def refused() -> bool:
            return await _stream(node.address, make_stream(Ping(1, "n1"))) == b""

        async def served() -> bool:
            return not await refused()

        try:
            while not await refused():  # a slow machine has dropped the first before it has made the last
                idle.append(await asyncio.open_connection(*node.address))
            await eventually(served, "idle connections are kept", 30)
        finally:
            for _, writer in idle:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for _, writer in idle), return_exceptions=True)


async def test_one_that_is_still_starting_hangs_up_and_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server listens before its store is open; others try again."""
    here = Address(HOST, 0)
    settings = GossipSettings(
        name="n1", bind=here, advertise=here, directory=tmp_path, tags={}, profile=LOCAL, key=None
    )
    gossip = Gossip(settings, on_change=lambda: None, on_event=lambda *_: None, rng=random.Random(1))
    await gossip.start()
    try:
        reader, writer = await asyncio.open_connection(*gossip.address)
        assert await reader.read() == b""
        writer.close()
    finally:
        gossip.close()
    assert caplog.messages == []
