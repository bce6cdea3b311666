"""Elections among servers in one process, on a clock of the test's own, with messages that travel through a list."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dkronpy.leadership.election import BadMessage, Election, check


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


clock = Clock()


@pytest.fixture(autouse=True)
def on_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysyncobj.syncobj.monotonicTime", clock)
    monkeypatch.setattr("dkronpy.leadership.election.time", SimpleNamespace(monotonic=clock))


class Servers:
    """Servers whose messages can be held back by link."""

    def __init__(self, count: int) -> None:
        self.names = [f"s{i}" for i in range(1, count + 1)]
        self.wire: list[tuple[str, str, dict[str, Any]]] = []
        self.cut: set[tuple[str, str]] = set()
        self.stopped: set[str] = set()
        self.all = {name: self._make(name) for name in self.names}
        for name in self.names:
            for other in self.names:
                if other != name:
                    self.all[name].connected(other)

    def _make(self, name: str) -> Election:
        others = [other for other in self.names if other != name]
        return Election(name, others, lambda to, message: self.wire.append((name, to, message)))

    def run(self, seconds: float) -> None:
        end = clock() + seconds
        while clock() < end:
            self.step()

    def step(self) -> None:
        for name, election in self.all.items():
            if name not in self.stopped:
                election.tick()
        wire, self.wire = self.wire, []
        for source, target, message in wire:
            if (source, target) not in self.cut and not {source, target} & self.stopped:
                self.all[target].receive(source, message)
        clock.now += 0.002

    def leaders(self) -> list[str]:
        return [name for name, election in self.all.items() if election.elected and name not in self.stopped]

    def wait_for_leader(self, seconds: float = 5) -> float:
        """How long until one of the running servers leads."""
        begun = clock()
        while len(self.leaders()) != 1:
            assert clock() - begun < seconds, "no leader"
            self.step()
        return clock() - begun

    def kill(self, name: str, *, noticed: bool) -> None:
        self.stopped.add(name)
        if noticed:
            for other, election in self.all.items():
                if other != name:
                    election.disconnected(name)


def test_one_of_three_is_elected_and_stays() -> None:
    servers = Servers(3)
    servers.wait_for_leader()
    (leader,) = servers.leaders()
    servers.run(0.3)
    term = servers.all[leader].term
    clock.now += 0.65  # as when the whole machine stands still, which nobody is blamed for
    servers.run(0.5)
    assert servers.leaders() == [leader]
    assert servers.all[leader].term == term
    assert {election.leader for election in servers.all.values()} == {leader}


def test_a_dropped_connection_elects_at_once() -> None:
    took = []
    for _ in range(3):
        servers = Servers(3)
        servers.wait_for_leader()
        servers.run(0.3)
        servers.kill(servers.leaders()[0], noticed=True)
        took.append(servers.wait_for_leader())
    assert max(took) < 0.15


def test_a_silent_leader_is_replaced() -> None:
    servers = Servers(3)
    servers.wait_for_leader()
    servers.run(0.3)
    servers.kill(servers.leaders()[0], noticed=False)
    assert servers.wait_for_leader() < 2


def test_a_server_that_comes_back_does_not_depose_the_leader() -> None:
    servers = Servers(3)
    servers.wait_for_leader()
    servers.run(0.3)
    (leader,) = servers.leaders()
    follower = next(name for name in servers.names if name != leader)
    links = {(follower, other) for other in servers.names} | {(other, follower) for other in servers.names}
    servers.cut |= links
    servers.run(1)
    term = servers.all[leader].term
    servers.cut.clear()
    servers.run(0.15)
    assert servers.all[leader].elected
    assert servers.all[leader].term == term


def test_one_that_may_not_lead_hands_over_and_asks_for_no_votes() -> None:
    servers = Servers(3)
    servers.wait_for_leader()
    servers.run(0.3)
    (leader,) = servers.leaders()
    servers.all[leader].eligible = False
    begun = clock()
    while servers.leaders() in ([leader], []):
        assert clock() - begun < 3
        servers.step()
    servers.run(1)
    assert leader not in servers.leaders()


def test_a_single_server_elects_itself() -> None:
    servers = Servers(1)
    assert servers.wait_for_leader() < 1


HEARTBEAT = {"type": "append_entries", "term": 1, "commit_index": 1, "entries": [], "prevLogIdx": 1, "prevLogTerm": 1}


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"type": "apply_command", "command": b"x"},
        {**HEARTBEAT, "entries": [(b"\x00evil", 1, 1)]},
        {"type": "append_entries", "term": 1, "commit_index": 1, "serialized": b"x"},
        {"type": "request_vote", "term": True, "last_log_index": 1, "last_log_term": 1},
        {"type": "request_vote", "term": -1, "last_log_index": 1, "last_log_term": 1},
        {"type": ["request_vote"]},
    ],
)  # fmt: skip
def test_messages_that_carry_data_are_refused(message: object) -> None:
    with pytest.raises(BadMessage):
        check(message)
