"""The API's objects as Python sees them: dictionaries, so that what a newer server adds stays in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict


class Job(TypedDict):
    """A job with its state. Times are RFC 3339, null for never; `executor_config`, tags and metadata hold strings."""

    id: str
    name: str
    displayname: str
    timezone: str
    schedule: str
    owner: str
    owner_email: str
    success_count: int
    error_count: int
    last_success: str | None
    last_error: str | None
    disabled: bool
    tags: dict[str, str] | None
    metadata: dict[str, str] | None
    retries: int
    dependent_jobs: list[str] | None
    parent_job: str
    processors: dict[str, dict[str, str]] | None
    concurrency: str
    executor: str
    executor_config: dict[str, str] | None
    status: str
    check: str
    next: str | None
    ephemeral: bool
    starts_at: str | None
    expires_at: str | None
    depends_on: dict[str, Any] | None
    schedules: list[dict[str, Any]]
    spread: str
    calendars: list[str]
    blackouts: list[dict[str, str]]
    hash: str
    hash_id: str
    retry: dict[str, Any]
    catchup: dict[str, Any]
    queue_limit: int
    concurrency_groups: list[str]
    priority: int
    wait_for_target: str
    retention: dict[str, Any]
    parameters: list[dict[str, Any]]
    source: str
    created_at: str | None
    updated_at: str | None
    running: int


class GroupUse(TypedDict):
    """A fire that holds a place in a concurrency group, or waits for one."""

    job: str
    group: int
    since: str | None


class ConcurrencyGroup(TypedDict):
    """`defined` is false for one that jobs name and nobody has defined."""

    name: str
    max: int
    description: str
    defined: bool
    updated_at: str | None
    updated_by: str
    source: str
    running: list[GroupUse]
    waiting: list[GroupUse]


class ParentRun(TypedDict):
    """A parent's run that started an execution, or waits to."""

    job: str
    group: int
    finished_at: str | None


Backfill = TypedDict(
    "Backfill",
    {
        "job_name": str,
        "from": str,
        "to": str,
        "policy": str,
        "parallel": int,
        "state": str,
        "total": int,
        "started": int,
        "in_flight": int,
        "asked_at": str | None,
        "asked_by": str,
        "ended_at": str | None,
        "cancelled_at": str | None,
        "cancelled_by": str,
    },
)
"""A job's newest backfill, and how far it has come."""


class BackfillAnswer(TypedDict):
    """Which fires are run, how many are not and why; `backfill` is null where nothing was asked for."""

    fires: list[str]
    left_out: dict[str, int]
    backfill: Backfill | None


class GraphParent(TypedDict):
    """A job that is run after, on which outcome; `met` are its runs that wait for those of the other parents."""

    job: str
    on: str
    exists: bool
    met: list[ParentRun]


class GraphJob(TypedDict):
    """A job among those that run after each other."""

    name: str
    status: str
    disabled: bool
    running: int
    parents: list[GraphParent]
    require: str | None
    window: str | None
    children: list[str]


class Calendar(TypedDict):
    """Times at which jobs do not run; `holiday_days` are what was found of `holidays` when it was written."""

    name: str
    description: str
    timezone: str
    all_jobs: bool
    days: list[str]
    holidays: list[str]
    holiday_days: list[str]
    icalendar: str
    blackouts: list[dict[str, str]]


class Day(TypedDict):
    """The executions that ended on a day (UTC)."""

    date: str
    success_count: int
    failed_count: int


class Execution(TypedDict):
    """One execution of a job on one node. `group` is the fire's time (or the request's) in ns since the epoch."""

    id: str
    job_name: str
    started_at: str | None
    finished_at: str | None
    success: bool
    output: str
    node_name: str
    group: int
    attempt: int
    output_truncated: bool
    state: str
    concurrency_group: str
    fire_time: str | None
    decided_at: str | None
    reason: str
    trigger: str
    trigger_type: str
    trigger_description: str
    trigger_data: dict[str, Any] | None
    triggered_by: str
    triggered_at: str | None
    exit_code: int | None
    error: str
    epoch: int
    output_size: int
    output_sha256: str
    return_data: Any
    check: str
    last_fire_time: str | None
    count: int
    replaced: list[str]
    env: dict[str, str]
    parents: list[ParentRun]


class Trigger(TypedDict):
    """A run that was asked for and has not begun; `at` is when it shall be, `triggered_at` when it was asked for."""

    job_name: str
    group: int
    at: str | None
    trigger: str
    trigger_type: str
    trigger_description: str
    trigger_data: dict[str, Any] | None
    triggered_by: str
    triggered_at: str | None
    env: dict[str, str]


class Link(TypedDict):
    """A signed link, which runs one job. `fault` is why it can't be used any more; `path` is told once."""

    job_name: str
    id: str
    created_at: str | None
    created_by: str
    expires_at: str | None
    once: bool
    uses: int
    used_at: str | None
    fault: str | None
    type: str
    description: str
    env: dict[str, str]
    path: NotRequired[str]


class Member(TypedDict):
    """A node of the cluster, with serf's key names."""

    id: str
    Name: str
    Addr: str
    Port: int
    Tags: dict[str, str]
    Status: int
    statusText: str
    drained: NotRequired[dict[str, str] | None]


class Fire(TypedDict):
    """A coming fire: in UTC, in the job's zone, and what day-light saving does to it (null: nothing)."""

    time: str
    local: str
    dst: str | None


class Explanation(TypedDict):
    """Why a job did, did not or will run at a time: a verdict, and the same in words. `definition` is the one that held
    then."""

    job: str
    at: str
    verdict: str
    explanation: str
    fire_time: str | None
    next: str | None
    definition: dict[str, Any] | None
    definition_since: str | None
    definition_by: str | None
    executions: list[Execution]


class Peer(TypedDict):
    """A server that takes part in the election."""

    node: str
    address: str
    state: str


class KeyReport(TypedDict):
    """What became of an operation on all nodes' keys; `keys` and `primary` count nodes, when listing."""

    complete: bool
    members: int
    answered: int
    errors: dict[str, str]
    keys: dict[str, int]
    primary: dict[str, int]


class ClusterSettings(TypedDict):
    """What holds in the whole cluster: the environment of every run."""

    env: dict[str, str]
    updated_at: str | None
    updated_by: str


class Pause(TypedDict):
    """Whether all scheduling is paused; if so, since when, why and by whom."""

    paused: bool
    since: NotRequired[str | None]
    reason: NotRequired[str]
    by: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Output of a run, as it was written; `offset` counts bytes from the run's first."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """Output of a run as text, from byte `offset` up to byte `end`; what is no UTF-8 in it is U+FFFD."""

    offset: int
    end: int
    data: str
