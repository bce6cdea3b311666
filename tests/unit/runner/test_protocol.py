"""Messages on the socket, however they are cut into pieces."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.execution import State
from dkronpy.model.run import Ended, Grown, RunSpec, RunStatus, Started
from dkronpy.runner.protocol import (
    LONGEST,
    Ack,
    Channel,
    Events,
    FromAgent,
    FromRunner,
    Hello,
    Kill,
    Refused,
    Reply,
    Start,
    Welcome,
    agree,
)

KEY = ("job", 1, 2, "node")
ENDED = Ended(KEY, State.TIMED_OUT, 1, 2, 137, "too long", 9, "00ff", 0, b"\0out\xff")
FROM_AGENT = [Hello((1, 2)), Start(1, [RunSpec(*KEY, "shell", {"a": "b"}, {"C": "d"})]), Kill(2, KEY), Ack(3, [KEY])]
FROM_RUNNER = [
    Welcome(1, "spool", 7, [RunStatus(KEY, None, 3), RunStatus(KEY, 1, 9, ENDED)]),
    Refused("no"),
    Reply(1, [(KEY, "known")]),
    Events([Started(KEY, 5, 6), Grown(KEY, 7), ENDED]),
]


class Wire(asyncio.Transport):
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.aborted = False

    def write(self, data) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def channel(incoming: object) -> tuple[Channel, Wire, list[object]]:
    heard: list[object] = []
    wire = Wire()
    made = Channel(incoming, lambda _, message: heard.append(message), lambda _: heard.append("closed"))
    made.connection_made(wire)
    return made, wire, heard


@pytest.mark.parametrize(("incoming", "messages"), [(FromAgent, FROM_AGENT), (FromRunner, FROM_RUNNER)])
@given(data=st.data())
def test_messages_arrive_whole(incoming, messages: list, data: st.DataObject):
    sender, wire, _ = channel(incoming)
    for message in messages:
        sender.send(message)
    receiver, _, heard = channel(incoming)
    position = 0
    for end in [*sorted(data.draw(st.sets(st.integers(1, len(wire.sent)), max_size=20))), len(wire.sent)]:
        receiver.data_received(wire.sent[position:end])
        position = end
    assert heard == messages


@given(st.binary())
def test_garbage_never_raises(garbage: bytes):
    receiver, _, _ = channel(FromAgent)
    receiver.data_received(garbage)


def test_after_garbage_it_hangs_up():
    receiver, wire, heard = channel(FromAgent)
    receiver.data_received(b"\0\0\0\1\xc0")
    assert wire.aborted
    receiver.data_received(b"\0\0\0\1\xc0")
    assert heard == []
    receiver, wire, _ = channel(FromAgent)
    receiver.data_received((LONGEST + 1).to_bytes(4, "big"))
    assert wire.aborted


def test_what_a_later_release_adds_to_a_message_is_passed_over():
    encoded = msgspec.msgpack.encode(["hello", [1, 9], "more", 3])
    receiver, _, heard = channel(FromAgent)
    receiver.data_received(len(encoded).to_bytes(4, "big") + encoded)
    assert heard == [Hello((1, 9))]


def test_the_highest_common_version_is_agreed_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dkronpy.runner.protocol.VERSIONS", (1, 2, 3))
    assert agree((1, 2)) == 2
    assert agree((3, 4, 1)) == 3
    assert agree((4,)) is None
    assert agree(()) is None
