"""The runs of a runner: accepted, begun, ended, acknowledged. Each step is in the journal before it shows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from dkronpy.model.execution import State
from dkronpy.model.executors import ConfigError, HttpConfig, ShellConfig, parse
from dkronpy.model.run import Ended, Grown, Key, RunSpec, RunStatus, Started
from dkronpy.runner.directories import Directories, read_return_data
from dkronpy.runner.http import HttpClient
from dkronpy.runner.journal import (
    LONGEST_ERROR,
    ROOM_FOR_END,
    Accepted,
    Acked,
    Finished,
    Journal,
    Memory,
    Opened,
    Record,
    Remembered,
    Spawned,
    Stopping,
)
from dkronpy.runner.process import boot_id
from dkronpy.runner.protocol import KNOWN
from dkronpy.runner.run import Run
from dkronpy.runner.spool import INLINE, Output, Spool, run_id
from dkronpy.runner.supervisor import Supervisor

log = logging.getLogger(__name__)

_REMEMBERED: Final = 3600 * 10**9  # ns for which an acknowledged key is refused
_START_TURN: Final = 0.005  # seconds of starting before output and ends have their turn
_GROWN_EVERY: Final = 0.25  # seconds
_INTERRUPTED: Final = "the runner died while the request was under way"


class Runs:
    """All runs that are not acknowledged, and the memory of those that are."""

    def __init__(
        self,
        spool: Spool,
        emit: Callable[[Started | Grown | Ended], None],
        environment: Mapping[str, str],
    ) -> None:
        """Take over what earlier runners left. `emit` hears what becomes of runs; `environment` is what they inherit.

        Raises: OSError; ValueError if the journal cannot be read.
        """
        self._spool = spool
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(spool.path / "journal")
        self._memory = Memory(_REMEMBERED)
        self._runs: dict[str, Run] = {}
        self._queue: deque[Run] = deque()
        self._grown: set[Run] = set()
        self._boot = boot_id()
        self._directories = Directories(spool.path.parent)
        self._supervisor = Supervisor(self, environment, spool.id, self._directories)
        self._http = HttpClient()
        self._recover()

    @property
    def idle(self) -> bool:
        """Whether every run is acknowledged."""
        return not self._runs

    def status(self) -> list[RunStatus]:
        """Every run that is not acknowledged."""
        return [
            RunStatus(run.key, run.spawned and run.spawned.at, run.output.size, run.ended, run.accepted.ends_with_agent)
            for run in self._runs.values()
        ]

    async def start(self, specs: Sequence[RunSpec]) -> list[tuple[Key, str]]:
        """Accept runs for good, and start them soon after. Returns those that are refused, and why."""
        refused: list[tuple[Key, str]] = []
        fresh: dict[str, Run] = {}
        for spec in specs:
            run = run_id(spec.key)
            if run in self._runs or run in fresh:
                refused.append((spec.key, KNOWN))
            elif run in self._memory:
                refused.append((spec.key, "it has ended, and nothing starts twice"))
            else:
                fresh[run] = self._accept(run, spec)
        room = ROOM_FOR_END * (len(self._runs) + len(fresh))
        try:
            self._journal.append([run.accepted for run in fresh.values()], room=room)
            self._runs |= fresh  # from here on it is known
            await self._journal.durable()
        except OSError as error:
            log.error("%d runs are refused: %s", len(fresh), error)
            for run in fresh:
                self._runs.pop(run, None)
            reason = f"the spool {self._spool.path} takes no more runs: {error.strerror or error}"
            return refused + [(run.key, reason) for run in fresh.values()]
        if not self._queue and fresh:
            self._loop.call_soon(self._start_some)
        self._queue.extend(fresh.values())
        return refused

    def kill(self, key: Key, *, force: bool = False) -> bool:
        """End a run, with `force` without its grace. Returns whether it was running or about to."""
        run = self._runs.get(run_id(key))
        if run is None or run.finished is not None:
            return False
        reason = "killed on request"
        if run.spawned is None:
            self.finish(run, State.KILLED, error=reason)
        elif run.task is not None:
            self.told_to_end(run, Stopping(run.id, State.KILLED, reason, time.monotonic_ns()))
            run.task.cancel()
        else:
            self._supervisor.stop(run, State.KILLED, reason, 0 if force else run.accepted.grace)
        return True

    def ack(self, keys: Sequence[Key]) -> None:
        """Forget the output and the end of these runs, if they have ended, but not that they ran."""
        done = [run for run in map(self._runs.get, map(run_id, keys)) if run is not None and run.finished is not None]
        now = time.time_ns()
        self._memory.add((run.id for run in done), now)
        self._record(Acked(now, [run.id for run in done]))
        for run in done:
            del self._runs[run.id]
            run.output.remove()
        if self._journal.bulky:
            self._journal.compact(self._summary(), ROOM_FOR_END * len(self._runs))

    async def close(self) -> None:
        """Leave the processes to a successor."""
        requests = [run.task for run in self._runs.values() if run.task is not None]
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        await self._http.close()
        self._journal.close()

    def begun(self, run: Run, spawned: Spawned) -> None:
        run.spawned = spawned
        self._record(spawned)
        self._emit(Started(run.key, spawned.at, spawned.leader.pid if spawned.leader else 0))

    def told_to_end(self, run: Run, stopping: Stopping) -> None:
        run.stopping = msgspec.structs.replace(stopping, error=stopping.error[:LONGEST_ERROR])
        self._record(run.stopping)

    def grown(self, run: Run) -> None:
        if not self._grown:
            self._loop.call_later(_GROWN_EVERY, self._tell_grown)
        self._grown.add(run)

    def finish(self, run: Run, state: State, exit_code: int | None = None, error: str = "") -> None:
        output = run.output
        output.close()
        self._grown.discard(run)
        inline = len(output.head) == output.size
        data, problem = self._leave_directory(run) if run.accepted.directory else ("", "")
        run.ended = Ended(
            key=run.key,
            state=state,
            started=run.spawned and run.spawned.at,
            finished=time.time_ns(),
            exit_code=exit_code,
            error="; ".join(filter(None, (error, output.cut, problem)))[:LONGEST_ERROR],
            size=output.size,
            sha256=output.sha256(),
            tail_start=0 if inline else output.size,
            tail=output.head,
            data=data,
        )
        run.finished = Finished(run.id, msgspec.structs.replace(run.ended, tail=b"", data=""))
        self._record(run.finished)
        self._emit(run.ended)

    def _leave_directory(self, run: Run) -> tuple[str, str]:
        """The data that a run returns, and what is wrong with it."""
        found = read_return_data(self._directories.of_run(run.key))
        if self._directories.leave(run.key):
            job = run.key[0]
            needed = {self._directories.of_run(other.key).name for other in self._runs.values() if other.key[0] == job}
            self._loop.run_in_executor(None, self._directories.prune, job, needed)
        return found

    def _accept(self, run: str, spec: RunSpec) -> Run:
        try:
            config = parse(spec.executor, spec.config)
        except ConfigError as error:
            config = error
        shell = isinstance(config, ShellConfig)
        accepted = Accepted(
            id=run,
            key=spec.key,
            at=time.time_ns(),
            process=shell,
            timeout=config.timeout if shell else 0,
            grace=config.grace if shell else 0,
            memory=config.memory if shell else 0,
            directory=shell and config.run_dir,
            ends_with_agent=shell and config.kill_on_shutdown,
        )
        accepted_run = Run(accepted, self._spool.output(run))
        accepted_run.order = (spec, config)
        return accepted_run

    def _start_some(self) -> None:
        until = self._loop.time() + _START_TURN
        while self._queue and self._loop.time() < until:
            run = self._queue.popleft()
            order, run.order = run.order, None
            if order is None or run.finished is not None:
                continue  # killed before it began
            spec, config = order
            if isinstance(config, ConfigError):
                self.finish(run, State.FAILED, error=str(config))
            elif isinstance(config, ShellConfig):
                self._supervisor.start(run, config, spec)
            else:
                self._request(run, config)
        if self._queue:
            self._loop.call_soon(self._start_some)

    def _request(self, run: Run, config: HttpConfig) -> None:
        def write(data: bytes) -> None:
            run.output.append(data)
            self.grown(run)

        def done(task: asyncio.Task[tuple[State, str]]) -> None:
            if run.stopping is not None:
                self.finish(run, run.stopping.state, error=run.stopping.error)
            elif not task.cancelled():  # by us, who leave it to a successor to call it lost
                failure = task.exception()
                if failure is not None:
                    log.error("the http executor failed", exc_info=failure, extra={"job": run.key[0]})
                    self.finish(run, State.FAILED, error=f"the http executor failed: {failure!r}")
                else:
                    state, error = task.result()
                    self.finish(run, state, error=error)

        self.begun(run, Spawned(run.id, time.time_ns()))
        run.task = self._loop.create_task(self._http.run(config, write))
        run.task.add_done_callback(done)

    def _tell_grown(self) -> None:
        grown, self._grown = self._grown, set()
        for run in grown:
            self._emit(Grown(run.key, run.output.size))

    def _record(self, record: Record) -> None:
        """Write what has happened. There is room for it, so if that fails the disk did, and no successor will know."""
        try:
            self._journal.append([record])
        except OSError as error:
            log.error("the journal does not hold %s: %s", type(record).__name__, error)

    def _summary(self) -> Iterator[Record]:
        yield Opened(self._boot, time.time_ns())
        yield from self._memory.records()
        for run in self._runs.values():
            yield from run.records()

    def _recover(self) -> None:
        runs, boots = _replay(self._journal.replay(), self._memory, self._spool.resume)
        self._record(Opened(self._boot, time.time_ns()))
        for name in set(self._spool.outputs()) - runs.keys():  # acknowledged, but not deleted before a crash
            self._spool.resume(name).remove()
        self._runs = runs
        for run in runs.values():
            if run.finished is not None:
                ended = run.finished.ended
                whole = len(run.output.head) == ended.size <= INLINE
                run.ended = msgspec.structs.replace(ended, tail=run.output.head) if whole else ended
                if run.accepted.directory:
                    data, _ = read_return_data(self._directories.of_run(run.key))
                    run.ended = msgspec.structs.replace(run.ended, data=data)
                run.output.close()
            elif run.accepted.process:
                self._supervisor.adopt(run, same_boot=boots[run.id] == self._boot)
            else:
                self.finish(run, State.LOST, error=_INTERRUPTED)


def _replay(
    records: Iterable[Record], memory: Memory, output: Callable[[str], Output]
) -> tuple[dict[str, Run], dict[str, str]]:
    """The runs that are not acknowledged, and the boot of the machine in which each was accepted."""
    accepted: dict[str, list[Record]] = {}
    boots: dict[str, str] = {}
    boot = ""
    for record in records:
        match record:
            case Opened():
                boot = record.boot
            case Accepted():
                accepted[record.id] = [record]
                boots[record.id] = boot
            case Acked():
                memory.add(record.ids, record.at)
                for run in record.ids:
                    accepted.pop(run, None)
            case Remembered():
                memory.restore(record)
            case _:
                accepted[record.id].append(record)
    runs: dict[str, Run] = {}
    for name, history in accepted.items():
        for record in history:
            match record:
                case Accepted():
                    runs[name] = Run(record, output(name))
                case Spawned():
                    runs[name].spawned = record
                case Stopping():
                    runs[name].stopping = record
                case Finished():
                    runs[name].finished = record
                case _:
                    pass
    return runs, boots
