"""A run in the runner's hands, and what those who carry it out tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from dkronpy.model.execution import State
    from dkronpy.model.executors import ConfigError, HttpConfig, ShellConfig
    from dkronpy.model.run import Ended, Key, RunSpec
    from dkronpy.runner.journal import Accepted, Finished, Record, Spawned, Stopping
    from dkronpy.runner.process import Leader
    from dkronpy.runner.spool import Output


class Run:
    """A run that is not acknowledged: its records in the journal, and what belongs to it while it lives."""

    def __init__(self, accepted: Accepted, output: Output) -> None:
        self.accepted = accepted
        self.output = output
        self.spawned: Spawned | None = None
        self.stopping: Stopping | None = None
        self.finished: Finished | None = None
        self.ended: Ended | None = None
        """What `finished` says, with the tail of the output."""
        self.order: tuple[RunSpec, ShellConfig | HttpConfig | ConfigError] | None = None
        """What is to be started, until it is."""
        self.task: asyncio.Task[tuple[State, str]] | None = None
        """Of a run without a process."""
        self.pidfd = -1
        """Of a process that an earlier runner started."""
        self.pipe = -1
        self.timer: asyncio.TimerHandle | None = None
        self.exited = False
        self.code: int | None = None
        """How the process ended, as `process.reap` gives it; None: unknown."""

    @property
    def id(self) -> str:
        return self.accepted.id

    @property
    def key(self) -> Key:
        return self.accepted.key

    @property
    def leader(self) -> Leader | None:
        """Its process, once there is one."""
        return self.spawned and self.spawned.leader

    def records(self) -> Iterator[Record]:
        """All that the journal must hold of it."""
        for record in (self.accepted, self.spawned, self.stopping, self.finished):
            if record is not None:
                yield record


class Ledger(Protocol):
    """Keeps the runs and hears what becomes of them."""

    def begun(self, run: Run, spawned: Spawned) -> None:
        """It runs."""
        ...

    def grown(self, run: Run) -> None:
        """There is more output."""
        ...

    def told_to_end(self, run: Run, stopping: Stopping) -> None:
        """It is about to be ended by force."""
        ...

    def finish(self, run: Run, state: State, exit_code: int | None = None, error: str = "") -> None:
        """It is over."""
        ...
