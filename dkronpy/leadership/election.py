"""Raft among the servers, to know quickly whom the lead falls to. It carries no data and promises nothing: being
elected only permits a server to claim the lead in the store, whose epoch makes it certain.

The algorithm is pysyncobj's; this module gives it a transport of plain dictionaries, and four rules of its own:
- a vote request is not heard while a leader is (so that a server that was cut off does not depose a good leader when
it comes back); - when the leader's connection drops, the first of the followers by name asks for votes at once
instead of after a timeout; - a server that may not lead (it can't reach the store, its clock is off) asks for no
votes, and hands the leadership over; - a server that stood still itself for a moment (its process, or the whole
machine) does not take that for the silence of others: it listens for a while before it asks for votes or steps back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final, cast

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

TIMEOUT: Final = (0.2, 0.4)
"""Seconds without the leader's heartbeat after which a follower asks for votes, drawn at random."""
HEARTBEAT: Final = 0.06
FALLBACK: Final = 0.6
"""Seconds without answers of a majority after which a leader steps back."""
TICK: Final = 0.01
"""Seconds between calls of `tick`."""
STOOD_STILL, FORGIVEN = 0.1, 1.5
"""Seconds since the last call of `tick` from which on this server stood still, and up to which others are forgiven
their silence then: a leader that stood still for longer has lost its lease, or nearly."""
FORGIVEN_EACH: Final = 2.0
"""Seconds between two times that a silence is forgiven: who stands still all the time shall not wait for ever."""

_FIELDS: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "request_vote": {"term": (int,), "last_log_index": (int,), "last_log_term": (int,), "at_once": (bool,)},
    "response_vote": {"term": (int,)},
    "append_entries": {
        "term": (int,),
        "commit_index": (int,),
        "entries": (list,),
        "prevLogIdx": (int, type(None)),
        "prevLogTerm": (int, type(None)),
    },
    "next_node_idx": {"next_node_idx": (int,), "reset": (bool,), "success": (bool,)},
    "timeout_now": {"term": (int,)},
}
"""The messages that pass, with their fields. All others of pysyncobj's (commands, snapshots) would carry data."""
_NO_OP: Final = b"\x01"

# What pysyncobj tells is about a log and what was made of it ("may have diverged", say), and here both are empty.
logging.getLogger("pysyncobj").setLevel(logging.CRITICAL + 1)


class BadMessage(ValueError):
    """A peer sent what does not belong to an election."""


class _Lanes(Transport):
    """pysyncobj's view of the election lanes."""

    def __init__(self, send: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__(None, None, [])
        self._send_to = send
        self.at_once_until = 0.0
        """Until when vote requests say that they are to be heard although a leader is."""

    @property
    def ready(self) -> bool:
        return True

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        if message["type"] not in _FIELDS:
            return False
        if message["type"] == "request_vote":
            message = {**message, "at_once": time.monotonic() < self.at_once_until}
        self._send_to(node.id, message)
        return True

    def received(self, node: Node, message: dict[str, Any]) -> None:
        self._onMessageReceived(node, message)

    def connected(self, node: Node) -> None:
        self._onNodeConnected(node)

    def disconnected(self, node: Node) -> None:
        self._onNodeDisconnected(node)

    def addNode(self, node: Node) -> None:
        """Servers do not change within an election; another set of servers is another election."""

    def dropNode(self, node: Node) -> None:
        """See `addNode`."""

    def destroy(self) -> None:
        """The lanes belong to others."""


class Election:
    """One server's part in the election among a fixed set of servers. `send` passes a message on to a peer, and may
    lose it."""

    def __init__(self, name: str, others: Collection[str], send: Callable[[str, dict[str, Any]], None]) -> None:
        self.name = name
        self.others = frozenset(others)
        self.eligible = True
        """Whether this server may lead; see the module."""
        self._nodes = {other: Node(other) for other in others}
        self._lanes = _Lanes(send)
        self._heard = 0.0
        self._ahead_since: float | None = None
        self._connected: set[str] = set()
        self._ticked = self._forgave = float("-inf")
        self._conf = self._configured()
        self._raft = self._begin()

    def _begin(self) -> SyncObj:
        return SyncObj(Node(self.name), list(self._nodes.values()), self._conf, transport=self._lanes)

    @staticmethod
    def _configured() -> SyncObjConf:
        return SyncObjConf(
            autoTick=False,
            raftMinTimeout=TIMEOUT[0],
            raftMaxTimeout=TIMEOUT[1],
            appendEntriesPeriod=HEARTBEAT,
            leaderFallbackTimeout=FALLBACK,
            appendEntriesUseBatch=True,
            dynamicMembershipChange=False,
            logCompactionMinEntries=2**31,
            logCompactionMinTime=2**31,
            connectionTimeout=FALLBACK,
        )

    @property
    def leader(self) -> str | None:
        """The server that this one takes for elected."""
        node = self._raft._getLeader()
        return None if node is None else node.id

    @property
    def elected(self) -> bool:
        """Whether this server holds the leadership of a majority."""
        return self._raft._isLeader()

    @property
    def term(self) -> int:
        """Grows with every election."""
        return self._raft.raftCurrentTerm

    def tick(self) -> None:
        """Let time pass; to be called every `TICK` seconds."""
        listening = self._forgive(time.monotonic())
        if self.elected or (self.eligible and not listening):
            self._raft.doTick(0)
        if self.elected and not self.eligible:
            self.hand_over()

    def _forgive(self, now: float) -> bool:
        """Whether this server stood still a moment ago, and first has to hear whether the others are there."""
        away, self._ticked = now - self._ticked, now
        if STOOD_STILL < away < FORGIVEN and now - self._forgave > FORGIVEN_EACH:
            self._forgave = now
            self._conf.leaderFallbackTimeout = FALLBACK + away
        listening = now - self._forgave < TIMEOUT[0]
        if not listening:
            self._conf.leaderFallbackTimeout = FALLBACK
        return listening

    def hand_over(self) -> None:
        """Ask another server to take the leadership at once; nothing happens when this one does not hold it."""
        if self.elected:
            self._raft.transferLeadership()

    def connected(self, peer: str) -> None:
        """Messages can reach this peer from now on."""
        if peer in self._nodes:
            self._connected.add(peer)
            self._lanes.connected(self._nodes[peer])

    def disconnected(self, peer: str) -> None:
        """The connection to this peer is lost."""
        if peer not in self._nodes:
            return
        self._connected.discard(peer)
        self._lanes.disconnected(self._nodes[peer])
        if peer != self.leader:
            return
        self._heard = 0.0
        if self.eligible and self.name == min([self.name, *self._connected]):
            self._ask_at_once(self._nodes[peer], {"type": "timeout_now", "term": self.term})

    def receive(self, peer: str, message: object) -> None:
        """A peer's message. Raises BadMessage, and then changes nothing."""
        node = self._nodes.get(peer)
        if node is None:
            return
        checked = check(message)
        kind = checked["type"]
        now = time.monotonic()
        if kind == "append_entries":
            if checked["term"] >= self.term:
                self._heard, self._ahead_since = now, None
            else:
                self._fall_back(now)
        if kind == "timeout_now":
            self._ask_at_once(node, checked)
            return
        heard = self.elected or (self.leader not in (None, peer) and now - self._heard < TIMEOUT[0])
        if kind != "request_vote" or checked["at_once"] or not heard:
            self._lanes.received(node, checked)

    def _ask_at_once(self, leader: Node, message: dict[str, Any]) -> None:
        """The leader goes, or is gone: ask for votes now, and be heard by those who have not noticed."""
        self._lanes.at_once_until = time.monotonic() + TIMEOUT[1]
        self._lanes.received(leader, message)
        self._raft.doTick(0)

    def _fall_back(self, now: float) -> None:
        """A leader of a lower term is alive: this server counted terms on its own while it was cut off, and nobody
        hears its requests for votes. Begin anew at term 0, since there is no log to keep."""
        if self._ahead_since is None:
            self._ahead_since = now
        elif now - self._ahead_since > HEARTBEAT and not self.elected:
            self._ahead_since = None
            self._raft.destroy()
            self._raft = self._begin()
            for peer in self._connected:
                self._lanes.connected(self._nodes[peer])

    def close(self) -> None:
        """Take no more part."""
        self._raft.destroy()


def check(message: object) -> dict[str, Any]:
    """A received message with just the fields it may have. Raises BadMessage."""
    if not isinstance(message, dict):
        raise BadMessage("an election message is a map")
    given = cast("dict[object, object]", message)
    kind = given.get("type")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None or not isinstance(kind, str):
        raise BadMessage(f"unknown election message {str(kind)[:40]!r}")
    found: dict[str, Any] = {"type": kind}
    for name, types in fields.items():
        value = given.get(name)
        if type(value) not in types or (isinstance(value, int) and not 0 <= value < 2**53):
            raise BadMessage(f"{kind}: bad {name}")
        found[name] = value
    if kind == "append_entries":
        entries: list[object] = found["entries"]
        found["entries"] = [_entry(entry) for entry in entries[:1000]]
    return found


def _entry(entry: object) -> tuple[bytes, int, int]:
    """A log entry: only the empty one that an election appends."""
    match entry:
        case [bytes(command), int(index), int(term)] if command == _NO_OP and 0 <= index < 2**53 and 0 <= term < 2**53:
            return command, index, term
        case _:
            raise BadMessage("append_entries: an entry that carries data")
