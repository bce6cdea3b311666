"""The leader: turns inputs and the clock into steps, commits them one by one, and only then acts on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import unquote

from dkronpy.catalog.jobs import JobError
from dkronpy.catalog.mirror import Change, Held
from dkronpy.dispatch.archive import Archive
from dkronpy.dispatch.commit import Committer
from dkronpy.dispatch.figures import FigureKeeper
from dkronpy.dispatch.lane import Lane
from dkronpy.dispatch.parts import Parts
from dkronpy.dispatch.purge import delete_history, purge_job
from dkronpy.dispatch.snapshot import snapshot, unadopted
from dkronpy.leadership.claim import Deposed
from dkronpy.metrics import Lead
from dkronpy.model.execution import Execution, parse_execution_id
from dkronpy.model.lane import (
    Ask,
    Attach,
    Inventory,
    Orders,
    OutputPart,
    Recorded,
    Refused,
    Renew,
    Stored,
    ToLeader,
)
from dkronpy.model.records import Epoch
from dkronpy.model.run import Ended, Key, Started
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.exclusions import Exclusions
from dkronpy.scheduling.planning import plan
from dkronpy.scheduling.step import Step
from dkronpy.store.contract import StoreError

log = logging.getLogger(__name__)
L = TypeVar("L", bound=Lane)

LONGEST_SLEEP = 0.5
"""Seconds after which the clock is looked at again, however far the next fire is: the wall clock may be set."""
STARTS_FIRST = 0.25
"""Seconds that results wait at most while orders have not started: starts are what people see as late, and need the
processor."""
MEETING = 0.2
"""Seconds a new leader waits at most for sessions with all members before it decides."""
LOOK = 1.0
"""Seconds between two looks for nodes that have been out of contact for too long, and at the watch."""
BEHIND = 10.0
"""Seconds that the watch may be behind this leader's own commits: edits and requests are unseen meanwhile."""


class Leader:
    """One term of leadership, from its claim until `run` is cancelled or raises Deposed."""

    def __init__(self, parts: Parts, epoch: Held[Epoch]) -> None:
        self._parts = parts
        self._epoch = epoch
        self._board: Board | None = None
        self._lanes: dict[str, Lane] = {}
        self._wake = asyncio.Event()
        self._archive = Archive(
            parts.history, parts.feed, archived=self._archived, recorded=self._recorded, stored=self._stored
        )
        self._committer: Committer | None = None
        self._figures: FigureKeeper | None = None
        self._chores: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._stopping = False
        self._gaps = 0
        """Of the mirror, when the board was loaded."""
        self._absent: dict[str, float] = {}
        """Nodes that have runs in flight and no session, with since when."""
        self._starting: dict[Key, float] = {}
        """Runs ordered and not heard of, oldest first, with when (on the loop's clock) they were ordered."""
        self.ready = asyncio.Event()
        """Set once the board is loaded."""

    @property
    def epoch(self) -> int:
        return self._epoch.value.epoch

    @property
    def faults(self) -> list[str]:
        """What keeps this leader from writing, in words."""
        found: list[str] = []
        if self._committer is not None and self._committer.failing is not None:
            found.append(f"the store can't be written: {self._committer.failing}")
        if self._archive.failing is not None:
            found.append(f"the history can't be written: {self._archive.failing}")
        return found

    def attach(self, node: str, connect: Callable[[Attach], L]) -> L:
        """Open a session with a node; `connect` makes the lane, and what it raises is raised."""
        session = f"{self.epoch}-{node}-{self._parts.now()}"
        lane = connect(Attach(session, self.epoch, self._epoch.value.node))
        self._part(node)
        self._lanes[node] = lane
        self._absent.pop(node, None)
        self._wake.set()
        return lane

    def detach(self, lane: Lane) -> None:
        """The session is over. What was ordered in it and is not known to have started waits for the next one."""
        if self._lanes.get(lane.node) is lane:
            del self._lanes[lane.node]
            self._part(lane.node)

    def _part(self, node: str) -> None:
        assert self._board is not None, "nodes attach to a loaded board"
        self._board.part(node)
        for key in [key for key in self._starting if key[3] == node]:
            del self._starting[key]

    def stop(self) -> None:
        """Decide nothing more; `run` returns when the step at hand is committed and carried out."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Lead. Returns after `stop`; raises Deposed."""
        parts = self._parts
        await self._seen(self._epoch.revision)
        edits = await unadopted(parts.mirror, parts.jobs)
        now = parts.now()
        self._board = Board(snapshot(parts.mirror, edits, now), epoch=self.epoch, rng=parts.rng, now=now)
        self._committer = Committer(
            parts.store, parts.keys, self._epoch, parts.mirror.cursor, parts.metrics.commit_seconds.observe
        )
        self._figures = FigureKeeper(
            parts.history, parts.metrics.text.quantiles, self._board.states, self._board.folded.__setitem__
        )
        self._gaps = parts.mirror.gaps
        unsubscribe = parts.mirror.subscribe(self._changed)
        for name in parts.mirror.clears:
            self._chore_clear(name)
        for execution in self._board.unarchived:
            self._archive.result(execution, None)
        for name in self._board.spent():
            self._chore_delete(name)
        log.info("leading: %d jobs", len(self._board.jobs), extra={"epoch": self.epoch})
        self.ready.set()
        try:
            async with asyncio.TaskGroup() as group:
                works = (
                    self._archive.run,
                    self._figures.run,
                    self._find_lost,
                    self._do_chores,
                    self._look_at_watch,
                )
                helpers = [group.create_task(work()) for work in works]
                parts.metrics.lead = Lead(self._board, self._figures, parts.now)
                await self._lead(self._board, self._committer, self._figures)
                for task in helpers:
                    task.cancel()
        finally:
            parts.metrics.lead = None
            unsubscribe()
            for lane in self._lanes.values():
                lane.close()

    async def _meet_nodes(self) -> None:
        """Wait a moment for the first sessions: the fires that are due at once shall not go to nodes that are gone."""
        end = asyncio.get_running_loop().time() + MEETING
        while (left := end - asyncio.get_running_loop().time()) > 0 and not self._stopping:
            if all(member.name in self._lanes for member in self._parts.members() if member.alive):
                return
            self._wake.clear()
            await self._sleep(left)

    async def _lead(self, board: Board, committer: Committer, figures: FigureKeeper) -> None:
        parts = self._parts
        await self._meet_nodes()
        while not self._stopping:
            self._wake.clear()
            now = parts.now()
            if (wait := self._starts_first(board, now)) > 0:
                await self._sleep(wait)
                continue
            board.members, board.reachable = parts.members(), self._lanes.keys()
            board.drained = parts.mirror.drains.keys()
            lanes = dict(self._lanes)
            step = plan(board, now)
            if step is not None:
                await committer.commit(step)
                self._carry_out(step, lanes)
                figures.committed(step.states)
                parts.metrics.stepped(step)
                continue
            wake_at = board.wake_at(now)
            wait = LONGEST_SLEEP if wake_at is None else min(max(wake_at - parts.now(), 0) / 1e9, LONGEST_SLEEP)
            await self._sleep(wait)

    def _starts_first(self, board: Board, now: int) -> float:
        """How long (seconds) to leave the processor to runs that are being started, when no fire is due."""
        expired = asyncio.get_running_loop().time() - STARTS_FIRST
        while self._starting and (oldest := next(iter(self._starting.items())))[1] <= expired:
            del self._starting[oldest[0]]
        head = board.timeline.head()
        if not self._starting or (head is not None and head[0] <= now):
            return 0.0
        wait = next(iter(self._starting.values())) - expired
        return wait if head is None else min(wait, (head[0] - now) / 1e9)

    async def _sleep(self, seconds: float) -> None:
        """Wait for an input, or so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    # ---- after a commit

    def _carry_out(self, step: Step, lanes: Mapping[str, Lane]) -> None:
        """Act on a committed step that was planned with these lanes."""
        by_lane: dict[tuple[str, str], list[int]] = {}
        for index, order in enumerate(step.orders):
            by_lane.setdefault((order.run.node, order.spool), []).append(index)
        for (node, spool), indices in by_lane.items():
            lane = self._lanes.get(node)
            # A node whose session has not told its spool, or is another by now, gets its orders once its inventory
            # shows that it lacks them: never the same order twice.
            if spool and lane is not None and lane is lanes.get(node):
                runs = tuple(step.orders[index].run for index in indices)
                lane.send(Orders(spool, runs))
                self._starting.update(dict.fromkeys((run.key for run in runs), asyncio.get_running_loop().time()))
        for kill in step.kills:
            if (lane := self._lanes.get(kill.key[3])) is not None:
                lane.send(kill)
        for execution, report in step.archive:
            self._archive.result(execution, report)
        for report in step.strays:
            self._archive.stray(report)
        for name in step.spent:
            self._chore_delete(name)
        for name, until in step.purge:
            self._chore_purge(name, until)

    def _archived(self, executions: list[Execution]) -> None:
        assert self._board is not None, "the archive runs only under a loaded board"
        for execution in executions:
            self._board.report_archived(execution)
        self._wake.set()

    def _recorded(self, keys: list[Key]) -> None:
        by_node: dict[str, list[Key]] = {}
        for key in keys:
            by_node.setdefault(key[3], []).append(key)
        for node, recorded in by_node.items():
            if (lane := self._lanes.get(node)) is not None:
                lane.send(Recorded(tuple(recorded)))

    def _stored(self, key: Key, offset: int) -> None:
        if (lane := self._lanes.get(key[3])) is not None:
            lane.send(Stored(key, offset))

    # ---- inputs

    def receive(self, lane: Lane, message: ToLeader) -> None:
        """A message of the node at the other end; one of a session that is over is not heard."""
        board = self._board
        assert board is not None, "nodes attach to a loaded board"
        if self._lanes.get(lane.node) is not lane:
            return
        match message:
            case Ended(key):
                self._starting.pop(key, None)
                board.report_ended(message)
            case Started(key):
                self._starting.pop(key, None)
                board.report_started(message)
            case OutputPart(key, offset, data):
                self._archive.output(key, offset, data)
                return
            case Inventory(spool, runs):
                board.session(lane.node, spool, runs)
            case Ask(at):
                if self._parts.holds():
                    lane.send(Renew(at))
                return
            case Refused(key, reason, again):
                self._starting.pop(key, None)
                board.report_refused(key, reason, self._parts.now(), again=again)
        self._wake.set()

    def _changed(self, changes: Sequence[Change]) -> None:
        board = self._board
        assert board is not None, "changes are taken once the board is loaded"
        for change in changes:
            match change.kind:
                case "edits":
                    board.edited(change.name, change.new)
                case "triggers" if change.new is not None:
                    board.triggered(change.name, int(change.key), change.new)
                case "kills" if change.new is not None:
                    board.kill((change.name, *parse_execution_id(change.key)))
                case "clears" if change.new is not None:
                    self._chore_clear(change.name)
                case "backfills":
                    board.backfill_wanted(change.name, change.new)
                case "pause":
                    board.pause = change.new
                case "settings":
                    board.env = {} if change.new is None else change.new.env
                case "groups":
                    board.waiting.limit(unquote(change.name), None if change.new is None else change.new.max)
                case "calendars" if change.new is not None:
                    board.exclusions = Exclusions({**board.exclusions.records, change.name: change.new})
                case "states" if change.new is not None:
                    board.state_given(change.name, change.new)
                case _:
                    continue
            self._wake.set()

    # ---- beside the steps

    async def _find_lost(self) -> None:
        """Give up the runs of nodes that have been out of contact for too long. By then no order of theirs can still
        start."""
        assert self._board is not None, "there is a board once one leads"
        clock = asyncio.get_running_loop().time
        while True:
            for key in self._board.ordered():
                if key[3] in self._lanes:
                    continue
                if clock() - self._absent.setdefault(key[3], clock()) > self._parts.lost_after / 1e9:
                    self._board.report_lost(
                        key, "its node was out of contact for too long: whether the run ended is unknown"
                    )
                    self._wake.set()
            await asyncio.sleep(LOOK)

    async def _look_at_watch(self) -> None:
        """Raises Deposed where the watch lags: better that another server leads; and where it has left edits out, which
        are found when the board is loaded anew."""
        assert self._committer is not None, "there is a committer once one leads"
        while True:
            await self._seen(self._committer.revision)
            if self._parts.mirror.gaps != self._gaps:
                raise Deposed("the watch of the store was resumed too late to tell of every edit")
            await asyncio.sleep(LOOK)

    async def _seen(self, revision: int) -> None:
        try:
            async with asyncio.timeout(BEHIND):
                await self._parts.mirror.reached(revision)
        except TimeoutError:
            raise Deposed(f"the watch of the store has been behind for {BEHIND:.0f} s") from None

    async def _do_chores(self) -> None:
        """What is slow and can wait, one after the other."""
        while True:
            await (await self._chores.get())()

    def _chore_clear(self, name: str) -> None:
        async def chore() -> None:
            held = self._parts.mirror.clears.get(name)
            if held is not None and self._board is not None:
                await self._delete_history(name, held.value.until)
                self._board.cleared.append((name, held.value.until))
                self._wake.set()

        self._chores.put_nowait(chore)

    async def _delete_history(self, name: str, until: int) -> None:
        assert self._figures is not None, "chores are done once one leads"
        async with self._figures.writing:
            await delete_history(self._parts.history, name, until)

    def _chore_purge(self, name: str, until: int) -> None:
        async def chore() -> None:
            parts = self._parts
            await self._delete_history(name, until)
            await purge_job(parts.store, parts.keys, name, until)
            if self._board is not None:
                self._board.purged.append(name)
                self._wake.set()

        self._chores.put_nowait(chore)

    def _chore_delete(self, name: str) -> None:
        async def chore() -> None:
            try:
                await self._parts.jobs.delete(name, by="ephemeral")
            except JobError as error:
                log.warning("an ephemeral job that has succeeded stays: %s", error, extra={"job": name})
            except StoreError as error:
                log.warning("an ephemeral job could not be deleted, trying again: %s", error, extra={"job": name})
                await asyncio.sleep(1)
                self._chore_delete(name)

        self._chores.put_nowait(chore)
