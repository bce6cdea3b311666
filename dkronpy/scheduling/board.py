"""The leader's board: jobs, states, groups in flight, requests and reports, as one in-memory image that plans are
made from.

The board is loaded from the store when a server takes the lead and dropped when it loses it. Inputs (edits, requests,
reports) are only noted; `planning.plan` turns what is noted and what is due into a step. The plan changes the board
at once: the board is ahead of the store by exactly the step being committed, which is repeated until it is committed
or the lead is lost.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from dkronpy.model.backfill import Backfill
from dkronpy.model.calendar import CalendarRecord
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, State
from dkronpy.model.job import Edit, Job, JobState
from dkronpy.model.member import Member
from dkronpy.model.records import Cursor, Pause, TriggerRecord
from dkronpy.model.run import Ended, Key, RunStatus, Started
from dkronpy.scheduling.definitions import Definitions
from dkronpy.scheduling.exclusions import Exclusions
from dkronpy.scheduling.groups import Folded, Group
from dkronpy.scheduling.targeting import Candidates
from dkronpy.scheduling.waiting import Waiting

STARTED_DELAY = 100_000_000
"""ns that a report of a start waits for the report of its end, so that a short run needs one write less."""


class Snapshot(msgspec.Struct, frozen=True):
    """What the store held when the lead was taken. `edits` has, for each job whose newest revision is not adopted,
    all its edits from the adopted one on (the adopted one first, where there is one)."""

    jobs: Mapping[str, Job]
    states: Mapping[str, JobState]
    executions: Iterable[Execution]
    triggers: Mapping[tuple[str, int], TriggerRecord]
    kills: Iterable[Key]
    edits: Mapping[str, Sequence[Edit]]
    cursor: Cursor
    pause: Pause | None
    limits: Mapping[str, int] = {}
    """Places by concurrency group."""
    calendars: Mapping[str, CalendarRecord] = {}
    backfills: Mapping[str, Backfill] = {}
    children: Mapping[tuple[str, int], tuple[str, ...]] = {}
    """Jobs that are still to be told how a group ended, by group."""
    env: Mapping[str, str] = {}
    """The environment that every run of the cluster has."""


BACKLOG = 30 * SECOND
"""A backlog older than this, found when the lead is taken, is swept job by job beside the new fires."""


class Board(Definitions):
    """See the module. `members` are the nodes that may be ordered to run; `spools` the spool id of each node in
    contact."""

    def __init__(self, snapshot: Snapshot, *, epoch: int, rng: random.Random, now: int) -> None:
        super().__init__(snapshot.cursor, snapshot.states)
        self.epoch = epoch
        self.rng = rng
        self.pause = snapshot.pause
        self.env = snapshot.env
        self.exclusions = Exclusions(snapshot.calendars)
        self.members: Sequence[Member] = ()
        self.candidates = Candidates()
        """The nodes that tags pick from, as of the plan that is being made."""
        self.drained: Collection[str] = ()
        """Nodes that tags pick no more."""
        self.reachable: Collection[str] = ()
        """Nodes in session: gossip takes a while to know that one is dead."""
        self.spools: dict[str, str] = {}
        self.groups: dict[tuple[str, int], Group] = {}
        self.in_flight: dict[str, set[int]] = {}
        """Groups not complete, by job, but for those that wait."""
        self.by_job: dict[str, set[int]] = {}
        """Groups on the board, complete or not, by job."""
        self.waiting = Waiting(snapshot.limits)
        self.retries: list[tuple[int, Key]] = []
        self.triggers: dict[tuple[str, int], TriggerRecord] = dict(snapshot.triggers)
        self.triggers_new: deque[tuple[str, int]] = deque(sorted(snapshot.triggers, key=lambda key: key[1]))
        self.planned: list[tuple[int, str, int]] = []
        """Requests for a later time: a heap of (time, job, group), also of those cancelled since."""
        self.kills: set[Key] = set(snapshot.kills)
        self.kills_new: deque[Key] = deque(self.kills)
        self.forced: set[Key] = set()
        """Of the kills those that leave no grace."""
        self.cleared: deque[tuple[str, int]] = deque()
        """Jobs whose history was deleted up to a time (ns)."""
        self.purged: deque[str] = deque()
        self.started: dict[Key, Started] = {}
        self.ended: deque[Ended] = deque()
        self.lost: deque[tuple[Key, str]] = deque()
        self.archived: deque[tuple[str, int]] = deque()
        self.reorder: deque[Key] = deque()
        self.backfills: dict[str, Backfill] = {}
        """Those that are not over, by job."""
        self.owing: deque[tuple[str, int]] = deque()
        """Groups whose children are to be told how they ended."""
        self.unarchived: list[Execution] = []
        """Final executions that an earlier leader may not have written to the history."""
        self.folded: dict[str, Folded] = {}
        """What the history's digests hold, by job, as far as this leader knows."""
        self.doomed: dict[str, int] = {}
        """Deleted jobs whose history is to be deleted up to a group, once no such group is left on the board."""
        self._load(snapshot, now)

    def _load(self, snapshot: Snapshot, now: int) -> None:
        by_group: dict[tuple[str, int], list[Execution]] = {}
        for execution in snapshot.executions:
            by_group.setdefault((execution.job, execution.group), []).append(execution)
        for key, executions in by_group.items():
            children = snapshot.children.get(key, ())
            self.add_group(Group(executions, children))
            if children:
                self.owing.append(key)
            self.unarchived.extend(execution for execution in executions if execution.state.final)
        for name, job in snapshot.jobs.items():
            if name not in snapshot.edits:
                self.adopt(job)
        for name, edits in snapshot.edits.items():
            old = next((edit.job for edit in edits if edit.since == self.state(name).adopted), None)
            if old is not None:
                self.adopt(old)
        self.sweep(now - BACKLOG)
        for name, edits in snapshot.edits.items():
            for edit in edits:
                self.edited(name, edit)
        self.note(now)
        for name, wanted in snapshot.backfills.items():
            self.backfill_wanted(name, wanted)
        for name, state in snapshot.states.items():
            if state.purge:
                self.doomed[name] = state.purge

    @property
    def targets(self) -> Sequence[Member]:
        """The members that tags may pick."""
        if not self.drained:
            return self.members
        return [member for member in self.members if member.name not in self.drained]

    def look_at_nodes(self) -> None:
        """Find the nodes that tags match anew, if the members have changed."""
        if (targets := self.targets) != self.candidates.members:
            self.candidates = Candidates(targets)

    # ---- groups

    def add_group(self, group: Group) -> None:
        """Put a group on the board, with whatever its executions wait for."""
        self.groups[group.job, group.group] = group
        numbers = self.by_job.get(group.job)
        if numbers is None:
            self.by_job[group.job] = {group.group}
        else:
            numbers.add(group.group)
        if (placeholder := group.placeholder) is not None:
            self.waiting.add(group.job, group.group, placeholder.not_before)
        elif not group.complete:
            self.in_flight.setdefault(group.job, set()).add(group.group)
            self.waiting.take(group.concurrency_group)
        for key, execution in group.executions.items():
            if execution.state is State.QUEUED and not execution.waits:
                heapq.heappush(self.retries, (execution.not_before, key))

    def land(self, group: Group) -> None:
        """The group is complete: it is in flight no more."""
        flying = self.in_flight.get(group.job)
        if flying is None or group.group not in flying:
            return
        self.waiting.release(group.concurrency_group)
        flying.discard(group.group)
        if not flying:
            del self.in_flight[group.job]

    def placeholder(self, job: str, group: int) -> Execution:
        """What stands for a fire that waits, with the environment given for it."""
        found = self.groups[job, group].placeholder
        assert found is not None, "only groups with a placeholder wait"
        return found

    def drop_waiting(self, placeholder: Execution) -> None:
        """Its turn has come: executions take its place."""
        self.waiting.remove(placeholder.job, placeholder.group)
        self.drop_group(placeholder.job, placeholder.group)

    def wanted(self, names: Collection[str]) -> bool:
        """Whether a fire waits for a place in one of these concurrency groups."""
        waiting = (self.jobs.get(name) for name in self.waiting.by_job)
        return any(job is not None and not set(names).isdisjoint(job.concurrency_groups) for job in waiting)

    @property
    def paused(self) -> bool:
        """Whether all scheduling is paused now."""
        return self.pause is not None and self.pause.holds

    def drop_group(self, job: str, group: int) -> None:
        """The group has left the store."""
        del self.groups[job, group]
        left = self.by_job[job]
        left.discard(group)
        if not left:
            del self.by_job[job]

    def execution(self, key: Key) -> Execution | None:
        group = self.groups.get((key[0], key[1]))
        return None if group is None else group.executions.get(key)

    def job_of(self, execution: Execution) -> Job | None:
        """The job that an execution belongs to; None when that was deleted, also if its name is in use again."""
        return None if execution.group <= self.doomed.get(execution.job, -1) else self.jobs.get(execution.job)

    def ordered(self) -> Iterator[Key]:
        """The executions that a node has, or should have: ordered and not over."""
        for job, numbers in self.in_flight.items():
            for number in numbers:
                for key, execution in self.groups[job, number].executions.items():
                    if execution.state in (State.DISPATCHED, State.RUNNING):
                        yield key

    def free_group(self, job: str, wanted: int) -> int:
        """`wanted`, or the next number that no group or trigger of the job has."""
        while (job, wanted) in self.groups or (job, wanted) in self.triggers:
            wanted += 1
        return wanted

    # ---- inputs

    def folded_of(self, name: str) -> Folded:
        return self.folded.get(name, (0, 0))

    def state_given(self, name: str, state: JobState) -> None:
        """Counters came with a new job (restore). What the leader itself has written is not taken back from the
        store."""
        if not state.adopted:
            self.states.setdefault(name, state)

    def forget(self, name: str) -> None:
        """The job's deletion is adopted: what was asked of it for a later time ends with it."""
        super().forget(name)
        self.triggers_new.extend((job_name, number) for _, job_name, number in self.planned if job_name == name)

    def triggered(self, name: str, group: int, record: TriggerRecord) -> None:
        if (name, group) not in self.triggers:
            self.triggers[name, group] = record
            self.triggers_new.append((name, group))

    def backfill_wanted(self, name: str, wanted: Backfill | None) -> None:
        """Fires of the past are wanted, or are not any more. One that has ended is not taken up again."""
        progress = self.state(name).backfill
        if wanted is None:
            self.backfills.pop(name, None)
        elif progress is None or progress.since != wanted.since or not progress.ended:
            self.backfills[name] = wanted

    def kill(self, key: Key) -> None:
        if key not in self.kills:
            self.kills.add(key)
            self.kills_new.append(key)

    def kill_all(self, job: str, *, force: bool) -> None:
        """End every run of a job in flight, with `force` at once."""
        for number in self.in_flight.get(job, ()):
            for key, execution in self.groups[job, number].executions.items():
                if not execution.state.final:
                    self.kill(key)
                    if force:
                        self.forced.add(key)

    def report_started(self, report: Started) -> None:
        self.started[report.key] = report

    def report_ended(self, report: Ended) -> None:
        self.ended.append(report)

    def report_refused(self, key: Key, reason: str, now: int, *, again: bool) -> None:
        """A node did not start an order and will not: the attempt failed, or with `again` the order is repeated."""
        if again:
            self.reorder.append(key)
        else:
            self.ended.append(Ended(key, State.FAILED, None, now, error=reason))

    def report_archived(self, execution: Execution) -> None:
        """The history holds this final record; nothing is known of one that has replaced it meanwhile."""
        group = self.groups.get((execution.job, execution.group))
        if group is not None and group.executions.get(execution.key) == execution:
            group.archived.add(execution.key)
            if group.archived_whole:
                self.archived.append((group.job, group.group))

    def report_lost(self, key: Key, error: str) -> None:
        self.lost.append((key, error))

    def session(self, node: str, spool: str, runs: Iterable[RunStatus]) -> None:
        """A lane session with a node began: settle what its spool knows, and order again what can't have started.

        An order of an earlier session can no longer start, so one the spool has never seen is sent again; if the
        spool is another one (an empty disk), nobody can know, and the execution is lost. An execution decided while the
        node's spool was not known has no order yet."""
        self.part(node)
        self.spools[node] = spool
        known = set[Key]()
        for run in runs:
            known.add(run.key)
            if run.ended is not None:
                self.report_ended(run.ended)
            elif run.started is not None:
                self.report_started(Started(run.key, run.started))
        for group in self.groups.values():
            for key, execution in group.executions.items():
                if execution.node != node or execution.state not in (State.DISPATCHED, State.RUNNING) or key in known:
                    continue
                if execution.spool and execution.spool != spool:
                    self.report_lost(key, "the node came back with another spool: whether the run ended is unknown")
                elif execution.state is State.RUNNING:
                    self.report_lost(key, "the node no longer knows of the run")
                else:
                    self.reorder.append(key)
        self.kills_new.extend(key for key in self.kills if key[3] == node and key not in self.kills_new)

    def part(self, node: str) -> None:
        """The session with a node is over: the inventory of the next one tells what is to be ordered again."""
        self.spools.pop(node, None)
        self.reorder = deque(key for key in self.reorder if key[3] != node)

    def spent(self) -> list[str]:
        """Ephemeral jobs that have succeeded and are still there."""
        return [name for name, job in self.jobs.items() if job.ephemeral and self.state(name).spent]

    def wake_at(self, now: int) -> int | None:
        """When (ns) there may be something to plan; None: only after a new input."""
        inputs = (
            self.ended,
            self.lost,
            self.archived,
            self.triggers_new and not self.coming,  # those that wait for an edit have to
            self.kills_new and not self.coming,
            self.owing,
            self.debts,
            self.cleared,
            self.purged,
        )
        if any(inputs) or self.reorder or self.cursor.sweeps:
            return now
        if self.waiting.by_job and self.waiting.changed and not self.paused:
            return now
        times = [edits[0].since for edits in self.coming.values()]
        if self.planned:
            times.append(self.planned[0][0])
        if self.started:
            times.append(min(report.at for report in self.started.values()) + STARTED_DELAY)
        if self.retries:
            times.append(self.retries[0][0])
        if self.waiting.deadlines:
            times.append(self.waiting.deadlines[0][0])
        head = self.timeline.head()
        if head is not None:
            times.append(head[0])
        return min(times, default=None)
