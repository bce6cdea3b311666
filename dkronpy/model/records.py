"""The cluster's small records in the store: cursor, pause, epoch, durable triggers."""

from __future__ import annotations

import msgspec

from dkronpy.model.dependency import ParentRun
from dkronpy.model.execution import Execution, Origin, Trigger


class Sweep(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A backlog behind the cursor that is decided job by job: the fires after (start, job) and up to `to`, of every
    job whose state is not yet decided so far. A leader that takes over after an outage makes one, so that new fires
    need not wait."""

    start: int
    job: str
    to: int


class Cursor(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Every fire up to (time, job) is decided, but for what `sweeps` still owe and for jobs with edits not yet adopted.

    `commit` counts the leader's commits: each writes this record, so the outcome of a commit that timed out can be
    read off it.
    """

    time: int
    job: str = ""
    commit: int = 0
    sweeps: tuple[Sweep, ...] = ()

    def after(self, job: str) -> int:
        """The time up to which, inclusive, fires of this job are behind the cursor."""
        return self.time if job <= self.job else self.time - 1


class Pause(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The cluster-wide pause. Fires in (since, until] are skipped; `until` 0 means it still holds."""

    since: int
    until: int = 0
    reason: str = ""
    by: str = ""

    @property
    def holds(self) -> bool:
        """Whether scheduling is paused now: it has begun and has no end."""
        return self.since > 0 and not self.until

    def covers(self, time: int) -> bool:
        """Whether a fire at this time (ns) is skipped."""
        return self.since < time and (not self.until or time <= self.until)


class ClusterSettings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What holds in the whole cluster: `env` is in the environment of every run. `since` in ns."""

    env: dict[str, str] = {}
    since: int = 0
    by: str = ""


class SourceRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The content of a directory of jobs that holds, where several servers have it: its digest, when (ns) its files
    changed last, and since when (ns) it holds by which server."""

    digest: str
    newest: int
    since: int
    by: str


class Drain(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A node that is to get no more runs by jobs' tags; `since` in ns."""

    since: int
    by: str = ""


class Epoch(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Who leads: raised by every claim, and by nothing else."""

    epoch: int
    node: str
    claimed: int


class Lease(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Written by the leader every second, so that the others see that it is there; `released` when it stops on
    purpose."""

    epoch: int
    renewal: int
    released: bool = False


class TriggerRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A durable request to run a job; its key holds the job and the group.

    `at` (ns) is the time that the run is asked for, `asked` when that was; 0: at that very time. The others are those
    of an `Origin`."""

    at: int
    kind: Trigger = Trigger.MANUAL
    by: str = ""
    env: dict[str, str] = {}
    asked: int = 0
    type: str = ""
    description: str = ""
    data: str = ""
    parents: tuple[ParentRun, ...] = ()

    @property
    def planned(self) -> bool:
        """Whether it was asked for a time that was still to come: it is then held to what holds for fires."""
        return 0 < self.asked < self.at

    @property
    def since(self) -> int:
        """When (ns) it was asked for."""
        return self.asked or self.at

    @property
    def origin(self) -> Origin:
        """What its executions tell of it."""
        return Origin(self.by, self.since, self.type, self.description, self.data, self.parents)


class FileMark(msgspec.Struct, frozen=True, gc=False):
    """The newest trigger file claimed by a server that was carried out: it claims one after the other, by numbers that
    grow, so what has a number up to this is done."""

    claim: int


class KillRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A durable request to end an execution; its key holds which. `at` in ns."""

    at: int
    by: str = ""


class ConcurrencyGroup(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A cluster-wide limit on runs in flight: those of all jobs that name the group. One that jobs name and nobody has
    defined has one place. `since` in ns."""

    max: int = 1
    description: str = ""
    since: int = 0
    by: str = ""
    source: str = ""
    """The directory on the servers that defines it, and alone changes it; empty: none."""


class Clear(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A durable request to delete a job's history up to the group `until` (ns) and to set its counters to zero."""

    until: int
    by: str = ""


class GroupRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A group in the store: its executions, so that a fire is one record however many nodes it runs on.

    `env` and `origin` are kept once; the executions inside carry none."""

    executions: tuple[Execution, ...]
    env: dict[str, str] = {}
    origin: Origin | None = None
    children: tuple[str, ...] = ()
    """Jobs that are still to be told how the group ended: it stays in the store until they are."""

    def unpacked(self) -> tuple[Execution, ...]:
        """The executions, each with the group's `env` and `origin`."""
        if not self.env and self.origin is None:
            return self.executions
        return tuple(msgspec.structs.replace(e, env=self.env, origin=self.origin) for e in self.executions)
