"""Processes of runs from start to end: output, timeouts, memory, signals, adoption after a runner's death."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import resource
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from dkronpy.model.duration import format_duration
from dkronpy.model.execution import State
from dkronpy.model.executors import ShellConfig
from dkronpy.model.run import RunSpec
from dkronpy.runner import process, shell
from dkronpy.runner.directories import Directories
from dkronpy.runner.journal import Spawned, Stopping
from dkronpy.runner.run import Ledger, Run

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 0.1  # seconds between looks at what is left of a run that was told to end
_MEMORY_EVERY: Final = 1.0  # seconds
_DISCARD_EVERY: Final = 0.1  # seconds
_DISCARDED: Final = 64 << 10  # bytes
_REAPED_WITHIN: Final = 5.0  # seconds in which its parent reaps a process that is not ours
_GONE: Final = "its runner died, and how the process ended is not known"


class Supervisor:
    """Starts and watches processes; tells the ledger of each what happens to it.

    A run ends when its leader, the process that was started, has ended. What it leaves behind goes on, as with cron,
    unless the run was told to end: then all its processes get TERM, and KILL after the grace.
    """

    def __init__(self, ledger: Ledger, environment: Mapping[str, str], spool: str, directories: Directories) -> None:
        """`environment`: what every process inherits. `spool`: the spool's id."""
        self._ledger = ledger
        self._environment = environment
        self._spool = spool
        self._directories = directories
        self._loop = asyncio.get_running_loop()
        self._children: dict[int, Run] = {}
        self._limited: set[Run] = set()
        self._checking = False
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))
        process.become_subreaper()
        self._loop.add_signal_handler(signal.SIGCHLD, self.reap)

    def start(self, run: Run, config: ShellConfig, spec: RunSpec) -> None:
        """Start the process of a run; where that fails the run is over."""
        try:
            child = shell.launch(config, spec, self._environment, self._mark(run), self._directories)
        except shell.NotStartedError as error:
            self._ledger.finish(run, State.FAILED, error.exit_code, str(error))
            return
        pid = child.leader.pid
        self._children[pid] = run
        run.pipe = child.pipe
        self._ledger.begun(run, self._spawned(run, time.time_ns(), child.leader, child.inode))
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or has become another user's
            resource.prlimit(pid, resource.RLIMIT_NOFILE, self._files)
        self._watch(run)

    def adopt(self, run: Run, same_boot: bool) -> None:
        """Take over a run from an earlier runner, or find out that it is over."""
        spawned = run.spawned
        if spawned is None and same_boot:
            # The runner died between starting the process and writing that down, or just before starting it.
            leader = process.marked_leader(self._mark(run))
            if leader is not None:
                with suppress(FileNotFoundError):  # it has closed its output
                    inode = os.stat(f"/proc/{leader.pid}/fd/1").st_ino
                    spawned = self._spawned(run, run.accepted.at, leader, inode)
                    self._ledger.begun(run, spawned)
        if spawned is None or spawned.leader is None or not same_boot:
            self._ledger.finish(run, State.LOST, None, _GONE)
            return
        members = process.family(process.processes(), spawned.leader, self._mark(run))
        run.pipe = process.reopen_pipe(members, spawned.pipe)
        if members and spawned.leader.is_(members[0]):
            with suppress(ProcessLookupError):  # it has ended just now
                run.pidfd = os.pidfd_open(spawned.leader.pid)
                self._loop.add_reader(run.pidfd, self._stranger_exited, run)
                self._watch(run)
                return
        self._exited(run, None)

    def stop(self, run: Run, state: State, error: str, grace: int) -> None:
        """End a run by force: TERM, and KILL after `grace` ns. `state` is how it will have ended. One that is being
        ended already is only ended sooner."""
        leader, kill_at = run.leader, time.monotonic_ns() + grace
        if leader is None:
            return
        if run.stopping is not None:
            if kill_at >= run.stopping.kill_at:
                return
            state, error = run.stopping.state, run.stopping.error
        self._ledger.told_to_end(run, Stopping(run.id, state, error, kill_at))
        if grace:
            process.signal_family(leader, self._mark(run), signal.SIGTERM)
        self._set_timer(run)

    def reap(self) -> None:
        """Hear which processes have ended."""
        for pid, code in process.reap():
            run = self._children.pop(pid, None)
            if run is not None:
                self._exited(run, code)

    def _mark(self, run: Run) -> str:
        return f"{self._spool}-{run.id}"

    def _spawned(self, run: Run, at: int, leader: process.Leader, pipe: int) -> Spawned:
        timeout = run.accepted.timeout
        return Spawned(run.id, at, leader, pipe, timeout and time.monotonic_ns() + timeout)

    def _watch(self, run: Run) -> None:
        if run.pipe >= 0:
            self._loop.add_reader(run.pipe, self._readable, run)
        if run.accepted.memory:
            self._limited.add(run)
            self._check_memory_later()
        self._set_timer(run)

    def _set_timer(self, run: Run) -> None:
        """Wake for what is due next: the timeout, or the KILL that follows TERM."""
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if run.stopping is not None:
            run.timer = self._loop.call_at(run.stopping.kill_at / 1e9, self._kill, run)
        elif run.spawned is not None and run.spawned.deadline:
            run.timer = self._loop.call_at(run.spawned.deadline / 1e9, self._time_out, run)

    def _readable(self, run: Run) -> None:
        before = run.output.size
        if not run.output.drain(run.pipe):
            self._drop_pipe(run)
        if run.output.size > before:
            self._ledger.grown(run)

    def _drop_pipe(self, run: Run) -> None:
        self._loop.remove_reader(run.pipe)
        os.close(run.pipe)
        run.pipe = -1

    def _time_out(self, run: Run) -> None:
        error = f"ran longer than its timeout of {format_duration(run.accepted.timeout)}"
        self.stop(run, State.TIMED_OUT, error, run.accepted.grace)

    def _kill(self, run: Run) -> None:
        if run.leader is not None:
            process.kill_family(run.leader, self._mark(run))
        if run.exited:
            self._conclude(run)

    def _stranger_exited(self, run: Run) -> None:
        self._loop.remove_reader(run.pidfd)
        self._ask_stranger(run, self._loop.time() + _REAPED_WITHIN)

    def _ask_stranger(self, run: Run, until: float) -> None:
        """Its exit code is known once its parent, whoever that is now, has reaped it; if the kernel tells us at all."""
        try:
            code = process.stranger_exit(run.pidfd)
        except OSError as error:
            log.info("the kernel does not tell how %s ended: %s", run.leader, error)
            until, code = 0.0, None
        if code is None and self._loop.time() < until:
            self._loop.call_later(_LOOK_EVERY, self._ask_stranger, run, until)
            return
        os.close(run.pidfd)
        run.pidfd = -1
        self._exited(run, code)

    def _exited(self, run: Run, code: int | None) -> None:
        run.exited, run.code = True, code
        if run.stopping is None:
            self._conclude(run)
        else:
            self._wait_for_family(run)

    def _wait_for_family(self, run: Run) -> None:
        """The leader has ended; the others of a run that was told to end have until the grace is over."""
        leader, stopping = run.leader, run.stopping
        if leader is None or stopping is None:
            return
        if time.monotonic_ns() >= stopping.kill_at:
            self._kill(run)
        elif any(p.alive for p in process.family(process.processes(), leader, self._mark(run))):
            if run.timer is not None:
                run.timer.cancel()
            run.timer = self._loop.call_later(_LOOK_EVERY, self._wait_for_family, run)
        else:
            self._conclude(run)

    def _conclude(self, run: Run) -> None:
        """The run is over: take what its processes have written up to now, and tell how it ended."""
        self._limited.discard(run)
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if run.pipe >= 0:
            in_use = run.output.drain(run.pipe, fcntl.fcntl(run.pipe, fcntl.F_GETPIPE_SZ))
            self._loop.remove_reader(run.pipe)
            if in_use:
                self._discard(run.pipe)
            else:
                os.close(run.pipe)
            run.pipe = -1
        code = run.code
        exit_code = code if code is None or code >= 0 else 128 - code
        if run.stopping is not None:
            self._ledger.finish(run, run.stopping.state, exit_code, run.stopping.error)
        elif code is None:
            self._ledger.finish(run, State.LOST, None, _GONE)
        elif code < 0:
            self._ledger.finish(run, State.FAILED, exit_code, f"ended by signal {-code} ({signal_name(-code)})")
        else:
            self._ledger.finish(run, State.FAILED if code else State.SUCCESS, exit_code)

    def _discard(self, pipe: int) -> None:
        """What a run left behind still has its output open: read that, at leisure, so that it never blocks."""
        try:
            in_use = bool(os.read(pipe, _DISCARDED))
        except BlockingIOError:
            self._loop.add_reader(pipe, self._discard, pipe)
            return
        self._loop.remove_reader(pipe)
        if in_use:
            self._loop.call_later(_DISCARD_EVERY, self._discard, pipe)
        else:
            os.close(pipe)

    def _check_memory_later(self) -> None:
        if self._limited and not self._checking:
            self._checking = True
            self._loop.call_later(_MEMORY_EVERY, self._check_memory)

    def _check_memory(self) -> None:
        self._checking = False
        everyone = process.processes()
        for run in list(self._limited):
            leader, limit = run.leader, run.accepted.memory
            if leader is None or run.exited:
                continue
            used = sum(p.rss for p in process.family(everyone, leader))
            if used > limit:
                error = f"used {used >> 10} KiB of memory, more than its mem_limit of {limit >> 10} KiB"
                self.stop(run, State.KILLED, error, 0)
        self._check_memory_later()


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; real-time signals have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "real-time"
