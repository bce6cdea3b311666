"""The rules and promises of firing, and the state of its model: servers, store, history, nodes, and what is on its way
between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Rule(StrEnum):
    """What keeps the promises; without any one of them the search finds a promise broken."""

    EPOCH_GUARD = "every commit is guarded by the epoch"
    CURSOR_GUARD = "every commit is guarded by the cursor's revision"
    TRIED_AGAIN = "a commit whose outcome is unknown is tried again, not taken for written"
    COMMIT_NUMBER = "after a conflict the cursor's commit number tells whether an earlier try was written"
    COMMIT_FIRST = "orders go out only after the commit"
    SESSION = "an order starts only within the session it was sent in"
    ONE_ORDER = "an order made for one session is not sent in the next, whose inventory has it made again"
    NEW_INVENTORY = "an inventory begins a session: a node whose runner is another ends the session it has"
    SPOOL = "the record of an order names the spool it is for"
    START_LEASE = "a node starts an order only while its start lease lasts"
    FROM_ASKING = "the start lease counts from when the node asked for it"
    STEP_DOWN = "a leader that could not renew for a while gives no start leases"
    EPOCH_ON_DISK = "a node keeps the highest epoch on its disk"
    DURABLE_KEY = "the runner makes a key durable before it starts the process"
    HISTORY_KNOWS = "a result whose record has moved to the history changes nothing"
    TRUE_RESULT = "the history does not replace a true result by a loss"
    SAME_RECORD = "a record leaves the store only when the history has it as it is"
    ACK_ANSWERS = "a node is told that its report is recorded, never that its loss is"


class Promise(StrEnum):
    """What must never be seen."""

    TWICE = "a fire started twice"
    UNRECORDED = "a run started that no record tells of"
    LATE = "a run started after its outcome was recorded"
    DEPOSED = "a deposed leader wrote"
    POACHED = "a node went back from its leader to one that was deposed"
    UNDONE = "a recorded outcome was undone"
    FOLLOWED = "what follows a result was done twice"
    THROWN_AWAY = "a node gave up a result that is recorded nowhere"


DISPATCHED, OK, LOST, GONE = "dispatched", "ok", "lost", "gone"  # states of a record; GONE: moved to the history
STARTING, RUNNING, ENDED, ACKED = "starting", "running", "ended", "acked"  # in a journal; STARTING is not yet durable
TOLD = "told"  # in a journal: running, and already taken for recorded
UNORDERED = "without an order"
RENEWAL = (-1, -1)


class Record(NamedTuple):
    state: str
    node: int
    spool: int  # -1: no order was made yet


class Step(NamedTuple):
    """What a leader commits: one record, and with it the cursor. Then it sends the order, if it is one."""

    epoch: int
    upto: int
    fire: int
    record: Record
    order: bool
    number: int  # its commit number, relative to the one in the store; -2 for all that are further behind
    current: bool  # whether the cursor still has the revision that guards this
    committed: bool = False


class Leader(NamedTuple):
    epoch: int
    upto: int
    records: tuple[Record | None, ...]  # as it thinks they are, its own step included
    job: bool
    spools: tuple[int, ...]  # of the nodes in session, -1 of others
    inputs: frozenset[tuple[str, int]] = frozenset()
    queue: tuple[tuple[int, str, bool], ...] = ()  # for the history: (fire, outcome, whether it answers a report)
    archived: frozenset[int] = frozenset()
    step: Step | None = None
    current: bool = True  # whether it knows the cursor's newest revision
    expired: bool = False  # so long superseded that it would have stepped down, if it looked at its clock


class Node(NamedTuple):
    journal: tuple[str, ...]
    spool: int = 0
    epoch: int = 0
    followed: int = 0  # the highest epoch that it was in session with, whether it remembers or not
    session: int = 0  # the epoch of the leader it is in session with
    lease: bool = False
    inbox: tuple[tuple[int, int], ...] = ()  # on their way: orders (fire, spool), and RENEWAL


class World(NamedTuple):
    """The store (epoch, cursor `upto`, records, whether the job exists), the history, and all others."""

    epoch: int
    upto: int
    records: tuple[Record | None, ...]
    job: bool
    history: tuple[str, ...]
    leaders: tuple[Leader, ...]
    nodes: tuple[Node, ...]
    starts: tuple[int, ...]
    wiped: tuple[bool, ...]  # fires whose run was on a disk that was emptied
    faults: int
    late: Step | None = None  # a commit that is still on its way to the store
    stuck: tuple[int, int, int] | None = None  # an order of a session that is over: (node, fire, spool)
    broken: str = ""

    def leader(self, epoch: int) -> Leader | None:
        return next((leader for leader in self.leaders if leader.epoch == epoch), None)

    def lead(self, leader: Leader, **changes: Any) -> World:
        new = leader._replace(**changes)
        return self._replace(leaders=tuple(new if old.epoch == new.epoch else old for old in self.leaders))

    def leave(self, leader: Leader) -> World:
        return self._replace(leaders=tuple(old for old in self.leaders if old.epoch != leader.epoch))

    def in_session(self, leader: Leader, number: int) -> bool:
        return leader.spools[number] >= 0 and self.nodes[number].session == leader.epoch

    def node(self, number: int, **changes: Any) -> World:
        return self._replace(nodes=put(self.nodes, number, self.nodes[number]._replace(**changes)))

    def journal(self, number: int, fire: int, state: str) -> World:
        return self.node(number, journal=put(self.nodes[number].journal, fire, state))

    def send(self, number: int, message: tuple[int, int]) -> World:
        return self.node(number, inbox=(*self.nodes[number].inbox, message))


def put(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index + 1 :])


def behind(step: Step, number: int) -> Step:
    """The step after the cursor moved on by so many commits."""
    return step._replace(current=False, number=max(step.number - number, -2))
