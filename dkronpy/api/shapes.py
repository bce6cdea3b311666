"""The JSON of jobs, executions and members: Dkron's fields in Dkron's order, then our own."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import msgspec

from dkronpy.catalog.mirror import Held
from dkronpy.history.contract import Output
from dkronpy.model.dependency import ParentRun
from dkronpy.model.duration import format_duration
from dkronpy.model.execution import Execution, Origin, State
from dkronpy.model.job import Catchup, Job, JobState, Kept, Retry
from dkronpy.model.member import Member
from dkronpy.model.records import Drain
from dkronpy.model.spec import blackout_document, dependency_document, kept_document
from dkronpy.model.times import rfc3339


class RetryShape(msgspec.Struct, frozen=True, gc=False):
    initial: str
    factor: float
    maximum: str
    on: str


class CatchupShape(msgspec.Struct, frozen=True, gc=False):
    window: str
    policy: str


class RetentionShape(msgspec.Struct, frozen=True, gc=False):
    count: int | None
    age: str | None
    size: str | None
    failed_count: int | None
    failed_age: str | None


class EntryShape(msgspec.Struct, frozen=True, gc=False):
    schedule: str
    timezone: str
    env: dict[str, str]


class ParameterShape(msgspec.Struct, frozen=True, gc=False):
    name: str
    type: str
    default: str | None
    choices: tuple[str, ...]
    description: str


class JobShape(msgspec.Struct, frozen=True, gc=False):
    """A job with its state. Times are RFC 3339 in UTC, null for never."""

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
    processors: dict[str, dict[str, str]]
    concurrency: str
    executor: str
    executor_config: dict[str, str]
    status: str
    check: str
    next: str | None
    ephemeral: bool
    starts_at: str | None
    expires_at: str | None
    depends_on: dict[str, Any] | None
    schedules: list[EntryShape]
    spread: str
    calendars: list[str]
    blackouts: list[dict[str, str]]
    hash: str
    hash_id: str
    retry: RetryShape
    catchup: CatchupShape
    queue_limit: int
    concurrency_groups: tuple[str, ...]
    priority: int
    wait_for_target: str
    retention: RetentionShape
    parameters: list[ParameterShape]
    source: str
    created_at: str | None
    updated_at: str | None
    running: int


def job_shape(job: Job, state: JobState, *, children: Iterable[str], next: int | None, running: int) -> JobShape:
    """`next` in ns; `running` counts the job's open executions."""
    return JobShape(
        id=job.name,
        name=job.name,
        displayname=job.displayname,
        timezone=job.timezone,
        schedule=job.schedule,
        owner=job.owner,
        owner_email=job.owner_email,
        success_count=state.success_count,
        error_count=state.error_count,
        last_success=time_or_null(state.last_success),
        last_error=time_or_null(state.last_error),
        disabled=job.disabled,
        tags=job.tags or None,
        metadata=job.metadata or None,
        retries=job.retries,
        dependent_jobs=sorted(children) or None,
        parent_job=job.parent_job,
        depends_on=None if job.depends_on is None else dependency_document(job.depends_on),
        processors=job.processors,
        concurrency=job.concurrency.value,
        executor=job.executor,
        executor_config=job.executor_config,
        status=state.status.value,
        check=state.check.value,
        next=time_or_null(next),
        ephemeral=job.ephemeral,
        starts_at=time_or_null(job.starts_at),
        expires_at=time_or_null(job.expires_at),
        schedules=[EntryShape(entry.schedule, entry.timezone, entry.env) for entry in job.schedules],
        spread=_duration(job.spread),
        calendars=list(job.calendars),
        blackouts=[blackout_document(blackout) for blackout in job.blackouts],
        hash=job.hash.value,
        hash_id=job.hash_id,
        retry=_retry_shape(job.retry),
        catchup=_catchup_shape(job.catchup),
        queue_limit=job.queue_limit,
        concurrency_groups=job.concurrency_groups,
        priority=job.priority,
        wait_for_target=_duration(job.wait_for_target),
        retention=_retention_shape(job.retention),
        parameters=[ParameterShape(p.name, p.type, p.default, p.choices, p.description) for p in job.parameters],
        source=job.source,
        created_at=time_or_null(job.created),
        updated_at=time_or_null(job.since),
        running=running,
    )


_duration = functools.lru_cache(maxsize=1024)(format_duration)


@functools.lru_cache(maxsize=1024)
def _retry_shape(retry: Retry) -> RetryShape:
    return RetryShape(format_duration(retry.initial), retry.factor, format_duration(retry.maximum), retry.on.value)


@functools.lru_cache(maxsize=1024)
def _catchup_shape(catchup: Catchup) -> CatchupShape:
    return CatchupShape(format_duration(catchup.window), catchup.policy.value)


@functools.lru_cache(maxsize=1024)
def _retention_shape(kept: Kept) -> RetentionShape:
    return RetentionShape(**kept_document(kept))


_NO_ORIGIN = Origin()


class ParentRunShape(msgspec.Struct, frozen=True, gc=False):
    """A parent's run that started an execution, or waits to."""

    job: str
    group: int
    finished_at: str | None


def parent_runs(runs: Iterable[ParentRun]) -> list[ParentRunShape]:
    return [ParentRunShape(run.job, run.group, time_or_null(run.at)) for run in runs]


class ExecutionShape(msgspec.Struct, frozen=True, gc=False):
    """One execution; `output` is left out where only the record is told of."""

    id: str
    job_name: str
    started_at: str | None
    finished_at: str | None
    success: bool
    output: str | msgspec.UnsetType
    node_name: str
    group: int
    attempt: int
    output_truncated: bool | msgspec.UnsetType
    state: State
    fire_time: str | None
    decided_at: str | None
    not_before: str | None
    reason: str
    trigger: str
    trigger_type: str
    trigger_description: str
    trigger_data: msgspec.Raw | None
    triggered_by: str
    triggered_at: str | None
    exit_code: int | None
    error: str
    epoch: int
    output_size: int
    output_sha256: str
    return_data: msgspec.Raw | None
    check: str
    last_fire_time: str | None
    count: int
    replaced: tuple[str, ...]
    env: dict[str, str]
    concurrency_group: str
    parents: list[ParentRunShape]


def execution_shape(execution: Execution, output: Output | None, *, with_output: bool = True) -> ExecutionShape:
    """`output` is the tail that is shown, None when nothing is stored."""
    origin = execution.origin or _NO_ORIGIN
    return ExecutionShape(
        id=execution.id,
        job_name=execution.job,
        started_at=time_or_null(execution.started),
        finished_at=time_or_null(execution.finished),
        success=execution.success,
        output=(text_of(output) if output else "") if with_output else msgspec.UNSET,
        node_name=execution.node,
        group=execution.group,
        attempt=execution.attempt,
        output_truncated=(output is not None and output.start > 0) if with_output else msgspec.UNSET,
        state=execution.state,
        fire_time=time_or_null(execution.fire),
        decided_at=time_or_null(execution.decided),
        not_before=time_or_null(execution.not_before),
        reason=execution.reason,
        trigger=execution.trigger.value,
        trigger_type=execution.trigger_type,
        trigger_description=origin.description,
        trigger_data=msgspec.Raw(origin.data.encode()) if origin.data else None,
        triggered_by=origin.by,
        triggered_at=time_or_null(origin.asked),
        exit_code=execution.exit_code,
        error=execution.error,
        epoch=execution.epoch,
        output_size=execution.output_size,
        output_sha256=execution.output_sha256,
        check=execution.check.value,
        return_data=msgspec.Raw(execution.return_data.encode()) if execution.return_data else None,
        last_fire_time=time_or_null(execution.last),
        count=execution.count,
        replaced=execution.replaced,
        env=execution.env,
        concurrency_group=execution.concurrency_group,
        parents=parent_runs(origin.parents),
    )


def text_of(output: Output) -> str:
    """Output as text: bytes that are no UTF-8 become U+FFFD, but no character is cut at the start of a tail."""
    data = output.data
    if output.start > 0:
        cut = 0
        while cut < min(3, len(data)) and data[cut] & 0xC0 == 0x80:
            cut += 1
        data = data[cut:]
    return data.decode("utf-8", "replace")


class MemberShape(msgspec.Struct, frozen=True, gc=False):
    """A node, with serf's key names and protocol numbers."""

    id: str
    Name: str
    Addr: str
    Port: int
    Tags: dict[str, str]
    Status: int
    ProtocolMin: int
    ProtocolMax: int
    ProtocolCur: int
    DelegateMin: int
    DelegateMax: int
    DelegateCur: int
    statusText: str
    drained: DrainShape | None


class DrainShape(msgspec.Struct, frozen=True, gc=False):
    """Since when, and by whose wish, a node gets no more runs."""

    since: str | None
    by: str


def member_shape(member: Member, drain: Held[Drain] | None) -> MemberShape:
    return MemberShape(
        id=member.name,
        Name=member.name,
        Addr=member.addr,
        Port=member.port,
        Tags=member.tags,
        Status=member.status.value,
        ProtocolMin=1,
        ProtocolMax=5,
        ProtocolCur=2,
        DelegateMin=2,
        DelegateMax=5,
        DelegateCur=4,
        statusText=member.status.name.lower(),
        drained=None if drain is None else DrainShape(time_or_null(drain.value.since), drain.value.by),
    )


def time_or_null(ns: int | None) -> str | None:
    """RFC 3339, or null for None and 0."""
    return rfc3339(ns) if ns else None
