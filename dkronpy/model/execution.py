"""Executions: one per node and attempt of a fire that runs, or one for a fire that was decided not to run."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from dkronpy.model.checks import CheckStatus
from dkronpy.model.dependency import ParentRun


class State(StrEnum):
    """Where an execution stands. The last seven are final."""

    QUEUED = "queued"
    """A retry: recorded, to be sent to its node at `not_before`. Or a fire (attempt 0, no node) that waits for its
    turn, for the `reason` given."""
    DISPATCHED = "dispatched"
    """Recorded and sent to its node, which has not yet said that it started."""
    RUNNING = "running"
    """Its node has started it."""
    SUCCESS = "success"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    """Ended by us because it ran longer than its timeout."""
    KILLED = "killed"
    """Ended by us because somebody asked for it, or it used more memory than it may."""
    LOST = "lost"
    """Whether it ended is unknown: its node or runner is gone. A later true report replaces it."""
    SKIPPED = "skipped"
    """The fire was due and was decided not to run; `reason` says why."""
    MISSED = "missed"
    """The fire was decided too late to run."""

    @property
    def final(self) -> bool:
        """Whether no more is to come (but for a true report that replaces `lost`)."""
        return self._value_ not in _OPEN

    @property
    def ran(self) -> bool:
        """Whether a process may have run: all but `skipped` and `missed`."""
        return self._value_ not in _NEVER_RAN


_OPEN = frozenset(state.value for state in (State.QUEUED, State.DISPATCHED, State.RUNNING))
"""As plain text, which is found quicker: a plan asks for each of its executions."""
_NEVER_RAN = frozenset(state.value for state in (State.SKIPPED, State.MISSED))


class Trigger(StrEnum):
    """What asked for a group."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    """Run now, by API or command."""
    PARENT = "parent"
    """Groups of its parents ended as it wants."""
    BACKFILL = "backfill"
    """A fire of the past, run because somebody asked for it."""
    CREATE = "create"
    """`?runoncreate`."""
    FILE = "file"
    """A file in a server's trigger directory."""
    LINK = "link"
    """A signed link."""


OF_FIRES = frozenset({Trigger.SCHEDULE, Trigger.BACKFILL})
"""Triggers whose executions have the time of a fire."""


class Reason(StrEnum):
    """Why a fire was skipped or missed."""

    OVERLAP = "overlap"
    """An earlier group of the job is in flight and the job forbids overlap."""
    PAUSED = "paused"
    """All scheduling was paused."""
    EXCLUDED = "excluded"
    """A calendar or a blackout excludes its time."""
    NO_TARGET = "no_target"
    """No alive node has the job's tags."""
    OUTSIDE_WINDOW = "outside_window"
    """Decided later than the catch-up window allows."""
    SUPERSEDED = "superseded"
    """Catch-up policy `latest`, or one of overlap that keeps only the newest: there was a newer fire of the job."""
    NOT_WANTED = "not_wanted"
    """Catch-up policy `none`."""
    TOO_MANY_TARGETS = "too_many_targets"
    """More nodes have the job's tags than one group can hold."""
    QUEUE_FULL = "queue_full"
    """As many of the job's fires wait as may."""
    GROUP_FULL = "group_full"
    """All places in the job's concurrency groups are taken. Only of a fire that waits."""
    CANCELLED = "cancelled"
    """Somebody ended it while it waited."""
    DELETED = "deleted"
    """The job was deleted while it waited."""
    DISABLED = "disabled"
    """Its parents would have started it, but the job is disabled, not begun or expired."""


class Origin(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Who asked for a run, when (`asked`, ns), and what was said of it. `type` is free text, "" for the kind of the
    trigger; `data` is a JSON object of what else came with it, "" for nothing."""

    by: str = ""
    asked: int = 0
    type: str = ""
    description: str = ""
    data: str = ""
    parents: tuple[ParentRun, ...] = ()
    """The runs of its job's parents that started it."""


class Execution(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One execution. Times in ns since the epoch.

    `group` is unique within a job: the fire's nominal time, or the time a manual run was asked for (+1 until free).
    `(job, group, attempt, node)` is its key; nothing starts the same key twice. A skipped or missed fire has attempt 0
    and no node; with `count` > 1 the record stands for all fires of the job from `group` to `last`.
    """

    job: str
    group: int
    attempt: int = 0
    node: str = ""
    state: State = State.DISPATCHED
    reason: str = ""
    trigger: Trigger = Trigger.SCHEDULE
    fire: int = 0
    """Nominal time: when it should have started."""
    decided: int = 0
    """When the leader decided it."""
    not_before: int = 0
    """For `queued`: when its order goes out; for a fire that waits for a node: until when."""
    started: int | None = None
    finished: int | None = None
    exit_code: int | None = None
    """The process' status; 128 + signal when a signal ended it; the HTTP status for the http executor's runs is in
    output."""
    error: str = ""
    """Why it failed where the exit code does not say: could not be started, killed for memory, lost with its node."""
    epoch: int = 0
    spool: str = ""
    """The id of the node's spool that its order names; empty while there is no order."""
    env: dict[str, str] = {}
    """Environment given with its trigger or its schedule, and the job's parameters."""
    origin: Origin | None = None
    """What is known of its trigger; None for a fire of its schedule."""
    retry_of: str = ""
    """For a retry on another node: the node of the attempt before."""
    output_size: int = 0
    """Bytes the run wrote in all."""
    output_sha256: str = ""
    """Of all bytes the run wrote, hex; empty while it runs."""
    return_data: str = ""
    """What the run returned beside its output, as JSON; empty: nothing."""
    check: CheckStatus = CheckStatus.NONE
    """What the check found; empty where the job is none."""
    last: int = 0
    count: int = 1
    concurrency_group: str = ""
    """The concurrency group in which the run holds a place while it is in flight."""
    replaced: tuple[str, ...] = ()
    """States a later true report replaced, oldest first: `lost at <ns>: <error>`."""

    @property
    def key(self) -> tuple[str, int, int, str]:
        """(job, group, attempt, node)."""
        return (self.job, self.group, self.attempt, self.node)

    @property
    def id(self) -> str:
        """`{group}-{attempt}-{node}`, or `{group}-0` for a fire that did not run."""
        return execution_id(self.group, self.attempt, self.node)

    @property
    def trigger_type(self) -> str:
        """What started it, in a word: the free text that came with the trigger, or its kind."""
        return self.origin.type if self.origin is not None and self.origin.type else self.trigger.value

    @property
    def success(self) -> bool:
        return self.state is State.SUCCESS

    @property
    def waits(self) -> bool:
        """Whether it stands for a fire that waits for its turn: no node is chosen yet."""
        return self.state is State.QUEUED and not self.attempt


def execution_id(group: int, attempt: int, node: str) -> str:
    """The id users see, unique within a job."""
    return f"{group}-{attempt}-{node}" if node else f"{group}-{attempt}"


def parse_execution_id(text: str) -> tuple[int, int, str]:
    """The inverse of `execution_id`: (group, attempt, node). Raises ValueError for anything else."""
    group, _, rest = text.partition("-")
    attempt, _, node = rest.partition("-")
    if not (
        group.isascii()
        and group.isdigit()
        and attempt.isascii()
        and attempt.isdigit()
        and len(group) < 20
        and int(group) < 1 << 63
        and len(attempt) < 10
    ):
        raise ValueError(f"not an execution id: {text[:80]!r}; it is <group>-<attempt>-<node>")
    return int(group), int(attempt), node


class OutputChunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of an execution's output; `offset` counts bytes from the run's first byte."""

    job: str
    group: int
    attempt: int
    node: str
    offset: int
    data: bytes
