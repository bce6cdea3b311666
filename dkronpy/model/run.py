"""What a node is told to run, and what it tells of it. Shared by the leader, the work lane, the node and its runner."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from dkronpy.model.execution import State

Key: TypeAlias = tuple[str, int, int, str]
"""An execution's key: (job, group, attempt, node)."""


class RunSpec(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, array_like=True):
    """Everything a node needs to run an execution. `config` is the job's `executor_config`. The run's environment is
    the node's, then `env`, then what `config` says, then `overrides` (given with the trigger); later wins."""

    job: str
    group: int
    attempt: int
    node: str
    executor: str
    config: dict[str, str]
    env: dict[str, str] = {}
    overrides: dict[str, str] = {}

    @property
    def key(self) -> Key:
        return (self.job, self.group, self.attempt, self.node)


class Started(msgspec.Struct, frozen=True, gc=False, tag="started", array_like=True):
    """The run's process was started, at `at` ns. `pid` is 0 where there is no process."""

    key: Key
    at: int
    pid: int = 0


class Grown(msgspec.Struct, frozen=True, gc=False, tag="grown", array_like=True):
    """The run's output in the spool has reached `size` bytes (sent at most a few times a second)."""

    key: Key
    size: int


class Ended(msgspec.Struct, frozen=True, gc=False, tag="ended", array_like=True):
    """The run is over. `state` is final; `exit_code` None where there is none to know. `tail` is the output from
    `tail_start` up to its end where that is small, so that short runs need no second read; `size` and `sha256` are of
    all bytes written."""

    key: Key
    state: State
    started: int | None
    finished: int
    exit_code: int | None = None
    error: str = ""
    size: int = 0
    sha256: str = ""
    tail_start: int = 0
    tail: bytes = b""
    data: str = ""
    """What the run returned beside its output, as JSON; empty: nothing."""


class RunStatus(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A run the spool knows of that is not acknowledged: `ended` is None while it runs."""

    key: Key
    started: int | None
    size: int
    ended: Ended | None = None
    ends_with_agent: bool = False
    """Whether it is ended when the agent is stopped."""
