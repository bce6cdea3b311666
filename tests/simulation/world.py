"""A cluster of one leader and some nodes on a virtual clock, without I/O: the real board and plans over a store that
is a dictionary.

Everything that may go wrong between a plan and its effects is drawn from one seed: the leader dies before or after
its commit or before it acts on it, reports come late or twice, nodes lose their session, edits are seen late.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from dkronpy.history.rules import deleted
from dkronpy.model.backfill import Backfill
from dkronpy.model.calendar import Calendar, CalendarRecord, CalendarRevision
from dkronpy.model.execution import Execution, State
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.member import Member
from dkronpy.model.records import Cursor, GroupRecord, Pause, TriggerRecord
from dkronpy.model.run import Ended, Key, RunStatus, Started
from dkronpy.scheduling.board import Board, Snapshot
from dkronpy.scheduling.exclusions import Exclusions
from dkronpy.scheduling.planning import plan
from dkronpy.scheduling.step import MAX_CHANGES, Step

SECOND = 1_000_000_000


@dataclass
class Records:
    """The store."""

    jobs: dict[str, Job] = field(default_factory=dict)
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    states: dict[str, JobState] = field(default_factory=dict)
    groups: dict[tuple[str, int], GroupRecord] = field(default_factory=dict)
    triggers: dict[tuple[str, int], TriggerRecord] = field(default_factory=dict)
    kills: set[Key] = field(default_factory=set)
    cursor: Cursor | None = None
    pause: Pause | None = None
    limits: dict[str, int] = field(default_factory=dict)
    calendars: dict[str, CalendarRecord] = field(default_factory=dict)
    backfills: dict[str, Backfill] = field(default_factory=dict)


@dataclass
class SimulatedNode:
    """A node with a spool: it never starts a key twice, and keeps what is not recorded."""

    name: str
    starts: dict[Key, int] = field(default_factory=dict)
    running: dict[Key, int] = field(default_factory=dict)
    """Keys of runs in flight, and when they end."""
    killed: set[Key] = field(default_factory=set)
    ended: dict[Key, Ended] = field(default_factory=dict)
    recorded: set[Key] = field(default_factory=set)


class World:
    """`now` moves only by `advance`. `history` holds what was archived; it must agree with the oracle when all is
    quiet."""

    def __init__(self, seed: int, *, nodes: int = 1, faults: bool = True, start: int = 1_800_000_000) -> None:
        self.rng = random.Random(seed)
        self.now = start * SECOND
        self.store = Records()
        self.history: dict[Key, Execution] = {}
        self.nodes = {f"n{i}": SimulatedNode(f"n{i}") for i in range(1, nodes + 1)}
        self.faults = faults
        self.drained: set[str] = set()
        self.board: Board | None = None
        self.unseen: list[tuple[int, Callable[[Board], None]]] = []
        """Edits and requests in the store that the leader's watch has not delivered, with when it may."""
        self.lag = 0
        """How long (ns) the watch is held back, at most."""
        self.clock_off = 0
        """How far (ns) the leader's clock is ahead."""
        self.skew = 0
        """How far (ns) the clocks of the servers that write may be off."""
        self.epoch = 0
        self.fail_rate = 0.3
        self.duration = 3 * SECOND
        self.leaders = 0

    # ---- what users do

    def put(self, job: Job) -> Job:
        """Write a definition, as the API does."""
        old = self.store.jobs.get(job.name)
        edits = self.store.edits.get(job.name)
        since = max(self._skewed(), edits[-1].since + 1 if edits else 0)
        job = msgspec.structs.replace(job, since=since, created=since if old is None else old.created)
        self.store.jobs[job.name] = job
        self._edit(job.name, Edit(since, job=job))
        return job

    def delete(self, name: str) -> None:
        old = self.store.jobs.pop(name)
        self.store.states.setdefault(name, JobState())
        self._edit(name, Edit(max(self._skewed(), old.since + 1)))

    def _skewed(self) -> int:
        return self.now + (self.rng.randint(-self.skew, self.skew) if self.skew else 0)

    def _edit(self, name: str, edit: Edit) -> None:
        self.store.edits.setdefault(name, []).append(edit)
        self._watched(lambda board: board.edited(name, edit))

    def _watched(self, tell: Callable[[Board], None]) -> None:
        """Something was written: the leader's watch will tell the board of it, in order."""
        seen = self.now + (self.rng.randrange(self.lag) if self.lag else 0)
        self.unseen.append((max(seen, self.unseen[-1][0] if self.unseen else 0), tell))

    def trigger(self, name: str, at: int | None = None, **fields: Any) -> int:
        """Ask for a run now, or at a time to come; returns its group."""
        group = self.now if at is None else at + self.rng.randrange(1, 1_000_000)
        while (name, group) in self.store.triggers or (name, group) in self.store.groups:
            group += 1
        record = TriggerRecord(self.now if at is None else at, asked=self.now, **fields)
        self.store.triggers[name, group] = record
        self._watched(lambda board: board.triggered(name, group, record))
        return group

    def cancel(self, name: str, group: int) -> None:
        """Ask for the end of a request that is not carried out yet."""
        key = (name, group, 0, "")
        self.store.kills.add(key)
        self._watched(lambda board: board.kill(key))

    def limit(self, group: str, places: int) -> None:
        """Define a concurrency group."""
        self.store.limits[group] = places
        if self.board is not None:
            self.board.waiting.limit(group, places)

    def pause(self, on: bool) -> None:
        old = self.store.pause
        if on:
            self.store.pause = Pause(self.now)
        elif old is not None:
            self.store.pause = msgspec.structs.replace(old, until=self.now)
        if self.board is not None:
            self.board.pause = self.store.pause

    def backfill(self, name: str, wanted: Backfill) -> None:
        """Ask for a backfill, or change the one that is there."""
        self.store.backfills[name] = wanted
        if self.board is not None:
            self.board.backfill_wanted(name, wanted)

    def calendar(self, name: str, calendar: Calendar | None) -> None:
        held = self.store.calendars.get(name)
        revisions = () if held is None else held.revisions
        since = self.now if not revisions else max(self.now, revisions[-1].since + 1)
        revision = CalendarRevision(since, calendar=calendar)
        self.store.calendars[name] = CalendarRecord((*revisions, revision))
        if self.board is not None:
            self.board.exclusions = Exclusions(dict(self.store.calendars))

    # ---- leaders

    def take_lead(self) -> None:
        store = self.store
        self.epoch += 1
        self.leaders += 1
        edits: dict[str, list[Edit]] = {}
        for name in {*store.jobs, *store.states}:
            adopted = store.states.get(name, JobState()).adopted
            job = store.jobs.get(name)
            if job is None or job.since != adopted:
                owed = [edit for edit in store.edits.get(name, []) if edit.since >= adopted]
                if owed and owed[-1].since > adopted:
                    edits[name] = owed
        self.unseen.clear()
        executions = [execution for record in store.groups.values() for execution in record.unpacked()]
        board = Board(
            Snapshot(
                jobs=dict(store.jobs),
                states=dict(store.states),
                executions=executions,
                triggers=dict(store.triggers),
                kills=list(store.kills),
                edits=edits,
                cursor=store.cursor or Cursor(self.leader_now),
                pause=store.pause,
                limits=dict(store.limits),
                calendars=dict(store.calendars),
                backfills=dict(store.backfills),
                children={key: record.children for key, record in store.groups.items() if record.children},
            ),
            epoch=self.epoch,
            rng=self.rng,
            now=self.leader_now,
        )
        board.members, board.reachable = self.members(), set(self.nodes)
        board.drained = self.drained
        self.board = board
        for execution in board.unarchived:
            self._archive(execution)
        for node in self.nodes.values():
            self._attach(node)

    @property
    def leader_now(self) -> int:
        return self.now + self.clock_off

    def crash(self) -> None:
        """The leader is gone; the store and the nodes stay."""
        self.board = None

    def members(self) -> list[Member]:
        return [Member(name, "127.0.0.1", 8946, {"node": name}) for name in self.nodes]

    def _attach(self, node: SimulatedNode) -> None:
        assert self.board is not None
        runs = [RunStatus(key, node.starts[key], 0, None) for key in node.running]
        runs += [
            RunStatus(key, ended.started, 0, ended) for key, ended in node.ended.items() if key not in node.recorded
        ]
        self.board.session(node.name, f"spool-{node.name}", runs)

    # ---- time

    def settle(self, limit: int = 100_000) -> None:
        """Let the leader do all that can be done now."""
        for _ in range(limit):
            if not self.step():
                return
        raise AssertionError("the leader finds no rest")

    def step(self) -> bool:
        """One plan, its commit and its effects; false when there was nothing to do. A fault may end the leader at any
        point."""
        if self.board is None:
            return False
        board = self.board
        while self.unseen and self.unseen[0][0] <= self.now and self.rng.random() < (0.7 if self.faults else 1.0):
            self.unseen.pop(0)[1](board)
        step = plan(board, self.leader_now)
        if step is None:
            return False
        assert step.changes <= MAX_CHANGES
        if self._chance(0.02):
            self.crash()  # before the commit
            return False
        self._commit(step)
        if self._chance(0.02):
            self.crash()  # after the commit, before its effects
            return False
        self._carry_out(step)
        return True

    def advance(self, ns: int, tick: int = 250_000_000) -> None:
        """Let time pass in ticks, with runs ending and the leader working."""
        end = self.now + ns
        while self.now < end:
            self.now = min(self.now + tick, end)
            self._nodes_work()
            while self.step():
                pass

    def _chance(self, probability: float) -> bool:
        return self.faults and self.rng.random() < probability

    def _commit(self, step: Step) -> None:
        store = self.store
        _apply(store.groups, step.groups)
        _apply(store.states, step.states)
        _apply(store.triggers, step.triggers)
        store.kills -= step.kills_done
        assert step.cursor is not None
        if store.cursor is not None:
            assert step.cursor.commit == store.cursor.commit + 1
            assert (step.cursor.time, step.cursor.job) >= (store.cursor.time, store.cursor.job), "the cursor went back"
        store.cursor = step.cursor
        self.committed()

    def committed(self) -> None:
        """Called after every commit."""

    def _carry_out(self, step: Step) -> None:
        assert self.board is not None
        for order in step.orders:
            node = self.nodes[order.run.node]
            key = order.run.key
            assert order.spool == f"spool-{node.name}"
            if key in node.starts:
                assert key in node.running or key in node.ended, (
                    "an order for a key whose run was recorded and forgotten"
                )
                continue
            node.starts[key] = self.now
            node.running[key] = self.now + self.rng.randrange(0, 2 * self.duration + 1)
            self.board.report_started(Started(key, self.now))
        for kill in step.kills:
            node = self.nodes[kill.key[3]]
            if kill.key in node.running:
                node.killed.add(kill.key)
                node.running[kill.key] = self.now if kill.force else min(node.running[kill.key], self.now + SECOND)
        for execution, _ in step.archive:
            self._archive(execution)
        for report in step.strays:
            self._record(report.key)
        for name, until in step.purge:
            self._purge(name, until)

    def _archive(self, execution: Execution) -> None:
        assert self.board is not None
        old = self.history.get(execution.key)
        if old is not None and old.state is not State.LOST:
            assert old == execution, f"history rewritten: {old} by {execution}"
        self.history[execution.key] = execution
        self._record(execution.key)
        self.board.report_archived(execution)

    def _record(self, key: Key) -> None:
        if key[3] and not self._chance(0.05):
            self.nodes[key[3]].recorded.add(key)

    def _purge(self, name: str, until: int) -> None:
        assert self.board is not None
        for key, execution in list(self.history.items()):
            if key[0] == name and deleted(execution, until):
                self.purged(self.history.pop(key))
        self.store.edits[name] = [edit for edit in self.store.edits[name] if edit.since > until]
        self.board.purged.append(name)

    def purged(self, execution: Execution) -> None:
        """Called with every execution that goes with its job."""

    def _nodes_work(self) -> None:
        for node in self.nodes.values():
            for key, end in list(node.running.items()):
                if end > self.now:
                    continue
                del node.running[key]
                failed = State.KILLED if key in node.killed else State.FAILED
                state = failed if key in node.killed or self.rng.random() < self.fail_rate else State.SUCCESS
                node.ended[key] = Ended(key, state, node.starts[key], end, 0 if state is State.SUCCESS else 1)
                self._report(node.ended[key])
                if self._chance(0.1):
                    self._report(node.ended[key])
            if self.board is not None and self._chance(0.02):
                self._attach(node)

    def _report(self, ended: Ended) -> None:
        if self.board is not None and not self._chance(0.02):
            self.board.report_ended(ended)


K = TypeVar("K")
V = TypeVar("V")


def _apply(table: dict[K, V], changes: dict[K, V | None]) -> None:
    for key, record in changes.items():
        if record is None:
            table.pop(key, None)
        else:
            table[key] = record
