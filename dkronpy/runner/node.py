"""The agent's end of the work lane: guards what a leader orders, and streams what the runner tells up to the leader.

A node has one session at a time, that of the leader with the highest epoch it has seen. The epoch is kept on disk, so
that a node that starts again refuses the orders of a leader that was superseded while it was away.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dkronpy.model.executors import ConfigError, ShellConfig, parse
from dkronpy.model.lane import (
    START_LEASE,
    Ask,
    Attach,
    Inventory,
    Kill,
    Orders,
    OutputPart,
    Recorded,
    Refused,
    Renew,
    Stored,
    ToLeader,
    ToNode,
)
from dkronpy.model.run import Ended, Grown, Key, RunSpec, RunStatus, Started
from dkronpy.runner.client import RunnerClient
from dkronpy.runner.launch import RunnerError
from dkronpy.runner.protocol import KNOWN

log = logging.getLogger(__name__)

PART = 256_000
"""Bytes of output in one message; a run has one such message on its way at a time, so that a slow store holds the
node back."""
ASKING = 1.0
"""Seconds between two times that a node asks for a start lease."""
RECONNECT_FIRST, RECONNECT_MAX = 0.2, 5.0
"""Seconds between tries to start a runner."""


class StaleEpoch(Exception):
    """A leader with a lower epoch than one this node has seen tried to attach."""


@dataclass(slots=True)
class _Run:
    """What the node knows of a run that is not acknowledged. Offsets and sizes in bytes."""

    size: int = 0
    started: int | None = None
    ended: Ended | None = None
    sent: int = 0
    stored: int = 0
    recorded: bool = False
    ends_with_agent: bool = False


class Node:
    """One node's runs. `monotonic` gives ns of a clock that never jumps, `now` ns since the epoch; runs
    with a directory of their own find `trigger_dir` in their environment."""

    def __init__(
        self,
        name: str,
        spool_dir: Path,
        *,
        now: Callable[[], int],
        monotonic: Callable[[], int],
        trigger_dir: Path | None = None,
    ) -> None:
        self.name = name
        self._spool_dir = spool_dir
        self._trigger_dir = trigger_dir
        self._now = now
        self._monotonic = monotonic
        self._runs: dict[Key, _Run] = {}
        self._runner: RunnerClient | None = None
        self.session = ""
        """The session in force; empty when there is none."""
        self._send: Callable[[ToLeader], None] | None = None
        self._ended: Callable[[], None] | None = None
        self._epoch = 0
        self._lease_end = 0
        self._orders: asyncio.Queue[RunSpec] = asyncio.Queue()
        self._acks: set[Key] = set()
        self._wake_acks = asyncio.Event()
        self._lost = asyncio.Event()
        self.fault: str | None = None
        """Why this node can't run anything at the moment."""

    @property
    def spool(self) -> str:
        """The id of the spool."""
        return self._client.spool

    @property
    def running(self) -> int:
        """Runs in flight on this node."""
        return sum(1 for run in self._runs.values() if run.ended is None)

    @property
    def _client(self) -> RunnerClient:
        assert self._runner is not None, "the node is open"
        return self._runner

    async def open(self) -> None:
        """Connect to the runner, starting one if none answers."""
        self._epoch = _read_epoch(self._spool_dir / "epoch")
        await self._connect()

    async def _connect(self) -> None:
        self._lost.clear()
        self._runner = await RunnerClient.connect(self._spool_dir, self._on_event, self._lost.set)
        # What an earlier runner was given and this one does not know was never started, or is acknowledged.
        self._runs = {status.key: self._runs.get(status.key, _Run()) for status in self._runner.known}
        for status in self._runner.known:
            run = self._runs[status.key]
            run.size, run.started, run.ended = max(run.size, status.size), status.started, status.ended
            run.ends_with_agent = status.ends_with_agent

    async def run(self) -> None:
        """Start what is ordered and acknowledge what is recorded, until cancelled; connect again when the runner is
        gone."""
        while True:
            async with asyncio.TaskGroup() as group:
                parts = (self._start_orders, self._send_acks, self._ask_for_leases)
                tasks = [group.create_task(part()) for part in parts]
                await self._lost.wait()
                for task in tasks:
                    task.cancel()
            log.warning("the runner is gone; starting another", extra={"node": self.name})
            await self._reconnect()
            # An inventory begins a session: orders made before it must not meet those that it calls for.
            self._end_session()

    async def _reconnect(self) -> None:
        delay = RECONNECT_FIRST
        while True:
            try:
                await self._connect()
            except (RunnerError, OSError) as error:
                self.fault = f"no runner can be started: {error}"
                log.error("%s; trying again in %.1f s", self.fault, delay, extra={"node": self.name})
                await asyncio.sleep(delay)
                delay = min(delay * 2, RECONNECT_MAX)
            else:
                self.fault = None
                return

    async def end_runs(self) -> None:
        """End the runs that are not to outlive this agent: TERM, and KILL after their grace, when it may be gone."""
        ending = [key for key, run in self._runs.items() if run.ends_with_agent and run.ended is None]
        try:
            await asyncio.gather(*(self._client.kill(key) for key in ending))
        except ConnectionError as error:
            log.warning("runs could not be ended with their agent: %s", error, extra={"node": self.name})

    async def close(self) -> None:
        """Let go of the runner; its runs go on."""
        if self._runner is not None:
            await self._runner.close()

    # ---- the lane

    def attach(self, message: Attach, send: Callable[[ToLeader], None], ended: Callable[[], None]) -> None:
        """Begin a session; what is ordered in an earlier one and not yet started will not start, and its `ended` is
        called.

        Raises StaleEpoch; OSError when the epoch can't be noted on the disk, and then nothing has changed."""
        if message.epoch < self._epoch:
            raise StaleEpoch(
                f"node {self.name} has seen epoch {self._epoch}, {message.leader} leads epoch {message.epoch}"
            )
        if message.epoch > self._epoch:
            _write_epoch(self._spool_dir / "epoch", message.epoch)
            self._epoch = message.epoch
        self._end_session()
        self.session, self._send, self._ended = message.session, send, ended
        self._announce()
        self._ask()

    def detach(self, session: str) -> None:
        """The session is over; nothing happens if another one has begun."""
        if session == self.session:
            self._end_session()

    def _end_session(self) -> None:
        ended, self.session, self._send, self._ended = self._ended, "", None, None
        self._lease_end = 0
        self._drop_orders()
        if ended is not None:
            ended()

    def receive(self, message: ToNode) -> None:
        """A message of the session's leader."""
        match message:
            case Renew(at):
                self._lease_end = max(self._lease_end, at + START_LEASE)
            case Orders(spool, runs):
                if spool != self.spool:
                    for run in runs:
                        self._tell(Refused(run.key, "the order names another spool"))
                    return
                for run in runs:
                    self._orders.put_nowait(run)
            case Kill(key, force):
                self._kill(key, force)
            case Stored(key, offset):
                self._stored(key, offset)
            case Recorded(keys):
                for key in keys:
                    run = self._runs.get(key)
                    if run is not None:
                        run.recorded = True
                        self._settle(key, run)
            case Attach():
                raise ValueError("a session begins by attach()")

    def _announce(self) -> None:
        for run in self._runs.values():
            run.sent = run.stored
        runs = tuple(
            RunStatus(key, run.started, run.size, None if run.ended is None else self._result(run))
            for key, run in self._runs.items()
        )
        self._tell(Inventory(self.spool, runs))
        for key, run in list(self._runs.items()):
            self._stream(key, run)

    def _tell(self, message: ToLeader) -> None:
        if self._send is not None:
            self._send(message)

    def _ask(self) -> None:
        self._tell(Ask(self._monotonic()))

    async def _ask_for_leases(self) -> None:
        while True:
            self._ask()
            await asyncio.sleep(ASKING)

    def _drop_orders(self) -> None:
        while not self._orders.empty():
            self._orders.get_nowait()

    # ---- orders

    async def _start_orders(self) -> None:
        while True:
            first = await self._orders.get()
            batch = [first]
            while not self._orders.empty() and len(batch) < 100:
                batch.append(self._orders.get_nowait())
            if self._send is None or self._monotonic() > self._lease_end:
                log.warning("%d orders came without a start lease; not started", len(batch), extra={"node": self.name})
                for run in batch:
                    self._tell(Refused(run.key, "the start lease is over", again=True))
                continue
            for run in batch:
                self._runs.setdefault(run.key, _Run(ends_with_agent=_ends_with_agent(run)))
            try:
                refused = await self._client.start([self._told(run) for run in batch])
            except ConnectionError:
                return  # what it took shows when the next runner tells what it knows
            for key, reason in refused.items():
                if reason != KNOWN:
                    self._refused(key, reason)

    def _told(self, run: RunSpec) -> RunSpec:
        """The run, which may know where this node looks for trigger files."""
        if self._trigger_dir is None or "run_dir" not in run.config:
            return run
        return msgspec.structs.replace(run, env={"TRIGGER_DIR": str(self._trigger_dir), **run.env})

    def _refused(self, key: Key, reason: str) -> None:
        self._runs.pop(key, None)
        log.error("an order was refused: %s", reason, extra={"job": key[0], "node": self.name})
        self._tell(Refused(key, reason))

    def _kill(self, key: Key, force: bool) -> None:
        if key in self._runs:
            task = asyncio.get_running_loop().create_task(self._client.kill(key, force=force))
            task.add_done_callback(_log_failure)

    # ---- events and output

    def _on_event(self, event: Started | Grown | Ended) -> None:
        run = self._runs.setdefault(event.key, _Run())
        match event:
            case Started(key, at, _):
                run.started = at
                self._tell(event)
            case Grown(key, size):
                run.size = max(run.size, size)
                self._stream(key, run)
            case Ended(key):
                run.ended = event
                run.size = event.size
                self._tell(self._result(run))
                self._stream(key, run)

    def _result(self, run: _Run) -> Ended:
        """The end as the leader gets it: with the tail of the output where nothing before it is still to be sent."""
        ended = run.ended
        assert ended is not None, "only an ended run has a result"
        if ended.tail and run.stored == run.sent and run.sent >= ended.tail_start:
            run.sent = run.size
            return ended
        return Ended(
            ended.key, ended.state, ended.started, ended.finished, ended.exit_code, ended.error, ended.size,
            ended.sha256, ended.size, data=ended.data )  # fmt: skip

    def _stream(self, key: Key, run: _Run) -> None:
        """Send the next part of the output, if the one before is stored."""
        if self._send is None or run.stored < run.sent or run.sent >= run.size:
            return
        start, data = self._client.read(key, run.sent, PART)
        if not data:
            if run.ended is not None:
                # The spool could not keep the rest (a full disk); the result says so.
                run.sent = run.stored = run.size
                self._settle(key, run)
            return
        run.sent = start + len(data)
        self._tell(OutputPart(key, start, data))

    def _stored(self, key: Key, offset: int) -> None:
        run = self._runs.get(key)
        if run is None:
            return
        run.stored = max(run.stored, offset)
        run.sent = max(run.sent, run.stored)
        self._stream(key, run)
        self._settle(key, run)

    def _settle(self, key: Key, run: _Run) -> None:
        """Acknowledge a run to the runner once its result and all its output are stored."""
        if run.recorded and run.ended is not None and run.stored >= run.size:
            del self._runs[key]
            self._acks.add(key)
            self._wake_acks.set()

    async def _send_acks(self) -> None:
        while True:
            await self._wake_acks.wait()
            self._wake_acks.clear()
            keys, self._acks = self._acks, set()
            try:
                await self._client.ack(list(keys))
            except ConnectionError:
                return  # the next runner tells of these runs again


def _ends_with_agent(run: RunSpec) -> bool:
    if "kill_on_shutdown" not in run.config:
        return False  # as with nearly all: reading a config takes its time
    try:
        config = parse(run.executor, run.config)
    except ConfigError:
        return False  # the runner tells what is wrong with it
    return isinstance(config, ShellConfig) and config.kill_on_shutdown


def _log_failure(task: asyncio.Task[bool]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a kill could not be passed on: %s", error)


def _read_epoch(path: Path) -> int:
    return int(path.read_text()) if path.exists() else 0


def _write_epoch(path: Path, epoch: int) -> None:
    """Durably replace the highest epoch seen."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, str(epoch).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
