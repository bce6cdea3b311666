"""What users may write of a job, and what is wrong with what they wrote.

Schedules and tag counts are read by the packages that know them; all else is checked here. Unknown keys are ignored and
null stands for "not given", so that a job that was read can be written back whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Self

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from dkronpy.model.calendar import Blackout
from dkronpy.model.dependency import Dependency, Outcome, Parent, Require
from dkronpy.model.duration import SECOND, format_duration
from dkronpy.model.executors import check
from dkronpy.model.fields import (
    MAX_ENTRIES,
    Duration,
    EnvName,
    EnvValue,
    GroupNames,
    Key,
    Name,
    OptionalDuration,
    OptionalSize,
    Spec,
    SpecError,
    Text,
    Texts,
    Time,
    Values,
    validated,
)
from dkronpy.model.job import (
    QUEUE_LIMIT,
    Catchup,
    CatchupPolicy,
    Concurrency,
    Hash,
    Job,
    JobState,
    JobStatus,
    Kept,
    Retry,
    RetryTarget,
    ScheduleEntry,
)
from dkronpy.model.parameter_spec import Parameters, faults, to_documents, to_parameters
from dkronpy.model.size import format_size
from dkronpy.model.times import rfc3339

MAX_RETRIES: Final = 100
MAX_QUEUE: Final = 1000
MAX_SCHEDULES: Final = 20
"""Entries of `schedules`."""
MAX_PARENTS: Final = 20


class RetrySpec(Spec):
    """The wait before attempt n+1: `initial * factor**(n-1)`, at most `maximum`."""

    initial: Duration = Retry().initial
    factor: Annotated[float, Field(ge=1, le=100)] = Retry().factor
    maximum: Duration = Retry().maximum
    on: Annotated[RetryTarget, Field(strict=False)] = Retry().on


class CatchupSpec(Spec):
    """How late a fire may still run, and which of several late ones do."""

    window: Duration = Catchup().window
    policy: Annotated[CatchupPolicy, Field(strict=False)] = Catchup().policy


class RetentionSpec(Spec):
    """What the history keeps of the job; what is not given is as the servers' settings have it."""

    count: Annotated[int | None, Field(ge=1, le=10**9)] = None
    age: OptionalDuration = None
    size: OptionalSize = None
    failed_count: Annotated[int | None, Field(ge=0, le=10**9)] = None
    failed_age: OptionalDuration = None


class EntrySpec(Spec):
    """One of several schedules."""

    schedule: Annotated[str, Field(min_length=1)]
    timezone: Text = ""
    env: Annotated[dict[EnvName, EnvValue], Field(max_length=MAX_ENTRIES)] = Field(default_factory=dict)


class BlackoutSpec(Spec):
    """A time without runs: `start` and `end`, or a `schedule` of its starts and a `duration`."""

    start: Time = None
    end: Time = None
    schedule: str = ""
    duration: Duration = 0
    timezone: Text = ""

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        once = self.start is not None and self.end is not None and not self.schedule and not self.duration
        recurring = self.start is None and self.end is None and self.schedule and self.duration >= SECOND
        if not (once or recurring):
            raise ValueError("must have start and end, or a schedule and a duration of at least 1s")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("must end after it starts")
        return self


Blackouts = Annotated[list[BlackoutSpec], Field(max_length=MAX_SCHEDULES)]


class ScheduleSpec(Spec):
    """What of a job says when it fires."""

    timezone: Text = ""
    schedule: str = ""
    schedules: Annotated[list[EntrySpec], Field(max_length=MAX_SCHEDULES)] = Field(default_factory=list)
    spread: Duration = 0
    calendars: Annotated[list[Name], Field(max_length=MAX_SCHEDULES)] = Field(default_factory=list)
    blackouts: Blackouts = Field(default_factory=list)
    hash: Annotated[Hash, Field(strict=False)] = Hash.INDEPENDENT
    hash_id: Text = ""
    starts_at: Time = None
    expires_at: Time = None


class ParentSpec(Spec):
    """A job that is run after; its name alone will do."""

    job: Annotated[Text, Field(min_length=1)]
    on: Annotated[Outcome, Field(strict=False)] = Outcome.SUCCESS

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"job": data} if isinstance(data, str) else data


class DependencySpec(Spec):
    """The jobs that are run after."""

    parents: Annotated[list[ParentSpec], Field(max_length=MAX_PARENTS)]
    require: Annotated[Require, Field(strict=False)] = Require.ALL
    window: Duration = Dependency(()).window

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [parent.job for parent in self.parents]
        if not names:
            raise ValueError("names no parent: write parents: [extract, {job: check, on: completion}]")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"names {', '.join(sorted(twice))} twice")
        if self.window < SECOND:
            raise ValueError("window must be at least 1s")
        return self


class JobSpec(ScheduleSpec):
    """A job as its user writes it."""

    name: Name
    displayname: Text = ""
    owner: Text = ""
    owner_email: Text = ""
    disabled: bool = False
    tags: Texts = Field(default_factory=dict)  # pydantic copies a default that is a dict, slowly
    metadata: Texts = Field(default_factory=dict)
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)] = 0
    retry: RetrySpec = RetrySpec()
    parent_job: Text = ""
    depends_on: DependencySpec | None = None
    processors: Annotated[dict[Key, Values], Field(max_length=MAX_ENTRIES)] = Field(default_factory=dict)
    concurrency: Annotated[
        Concurrency, Field(strict=False), BeforeValidator(lambda value: value if value != "" else Concurrency.ALLOW)
    ] = Concurrency.ALLOW
    executor: Text = ""
    executor_config: Values = Field(default_factory=dict)
    ephemeral: bool = False
    catchup: CatchupSpec = CatchupSpec()
    queue_limit: Annotated[int, Field(ge=1, le=MAX_QUEUE)] = QUEUE_LIMIT
    concurrency_groups: GroupNames = ()
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    wait_for_target: Duration = 0
    retention: RetentionSpec = RetentionSpec()
    parameters: Parameters = Field(default_factory=list)


class PreviewSpec(ScheduleSpec):
    """When a job would fire that need not exist."""

    name: Text = ""


class StateSpec(Spec):
    """The counters that a backup holds of a job. A missing or zero time means never."""

    success_count: Annotated[int, Field(ge=0, le=2**53)] = 0
    error_count: Annotated[int, Field(ge=0, le=2**53)] = 0
    last_success: Time = None
    last_error: Time = None
    status: Annotated[JobStatus, Field(strict=False)] = JobStatus.UNTRIGGERED


def parse_spec(data: object) -> JobSpec:
    """Check a decoded JSON object. Raises SpecError with everything that is wrong."""
    spec = validated(JobSpec, data)
    errors = _schedule_errors(spec)
    if not spec.schedule and not spec.schedules and not spec.parent_job and spec.depends_on is None:
        errors.append(("schedule", "is missing: write one such as @every 10s or 0 30 2 * * *, or name a parent_job"))
    if spec.parent_job and spec.depends_on is not None:
        errors.append(("depends_on", "is given beside parent_job: name all parents here, and set parent_job to null"))
    errors.extend(check(spec.executor, spec.executor_config))
    errors.extend(_parameter_errors(spec))
    if errors:
        raise SpecError(errors)
    return spec


def _parameter_errors(spec: JobSpec) -> list[tuple[str, str]]:
    by_itself = spec.schedules or spec.parent_job or spec.depends_on is not None
    fires = bool(by_itself) or spec.schedule.strip().lower() not in ("", "@manually")
    try:
        return faults(to_parameters(spec.parameters), fires=fires, envs=[entry.env for entry in spec.schedules])
    except SpecError as error:
        return error.errors


def parse_preview(data: object) -> PreviewSpec:
    """Check a decoded JSON object that says when a job would fire. Raises SpecError."""
    spec = validated(PreviewSpec, data)
    if errors := _schedule_errors(spec):
        raise SpecError(errors)
    return spec


def _schedule_errors(spec: ScheduleSpec) -> list[tuple[str, str]]:
    if spec.spread % SECOND:
        return [("spread", "must be whole seconds, such as 30m")]
    if spec.starts_at is not None and spec.expires_at is not None and spec.starts_at >= spec.expires_at:
        return [("expires_at", "must be later than starts_at")]
    return []


def parse_state(data: object) -> JobState:
    """The counters in a backup's job. Raises SpecError."""
    spec = validated(StateSpec, data)
    return JobState(
        success_count=spec.success_count,
        error_count=spec.error_count,
        last_success=spec.last_success,
        last_error=spec.last_error,
        status=spec.status,
    )


def to_blackouts(specs: Iterable[BlackoutSpec]) -> tuple[Blackout, ...]:
    """The blackouts that specs describe."""
    return tuple(Blackout(spec.start, spec.end, spec.schedule, spec.duration, spec.timezone) for spec in specs)


def blackout_document(blackout: Blackout) -> dict[str, str]:
    """A blackout as its user writes it."""
    if blackout.start is not None and blackout.end is not None:
        return {"start": rfc3339(blackout.start), "end": rfc3339(blackout.end)}
    document = {"schedule": blackout.schedule, "duration": format_duration(blackout.duration)}
    return {**document, "timezone": blackout.timezone} if blackout.timezone else document


def kept_document(kept: Kept) -> dict[str, Any]:
    """A job's retention as its user writes it; None where it has none of its own."""
    return {
        "count": kept.count,
        "age": None if kept.age is None else format_duration(kept.age),
        "size": None if kept.size is None else format_size(kept.size),
        "failed_count": kept.failed_count,
        "failed_age": None if kept.failed_age is None else format_duration(kept.failed_age),
    }


def schedule_job(name: str, spec: ScheduleSpec) -> Job:
    """A definition that only says when it fires."""
    return Job(
        name=name,
        since=0,
        timezone=spec.timezone,
        schedule=spec.schedule,
        schedules=tuple(ScheduleEntry(entry.schedule, entry.timezone, entry.env) for entry in spec.schedules),
        spread=spec.spread,
        calendars=tuple(dict.fromkeys(spec.calendars)),
        blackouts=to_blackouts(spec.blackouts),
        hash=spec.hash,
        hash_id=spec.hash_id,
        starts_at=spec.starts_at,
        expires_at=spec.expires_at,
    )


def to_job(spec: JobSpec) -> Job:
    """The definition that a spec describes; `since` and `created` are set by whoever stores it."""
    retry, catchup, kept = spec.retry, spec.catchup, spec.retention
    return msgspec.structs.replace(
        schedule_job(spec.name, spec),
        displayname=spec.displayname,
        owner=spec.owner,
        owner_email=spec.owner_email,
        disabled=spec.disabled,
        tags=spec.tags,
        metadata=spec.metadata,
        retries=spec.retries,
        retry=Retry(initial=retry.initial, factor=retry.factor, maximum=retry.maximum, on=retry.on),
        parent_job=spec.parent_job,
        depends_on=None if spec.depends_on is None else _to_dependency(spec.depends_on),
        processors=spec.processors,
        concurrency=spec.concurrency,
        executor=spec.executor,
        executor_config=spec.executor_config,
        ephemeral=spec.ephemeral,
        catchup=Catchup(window=catchup.window, policy=catchup.policy),
        queue_limit=spec.queue_limit,
        concurrency_groups=spec.concurrency_groups,
        priority=spec.priority,
        wait_for_target=spec.wait_for_target,
        retention=Kept(kept.count, kept.age, kept.size, kept.failed_count, kept.failed_age),
        parameters=to_parameters(spec.parameters),
    )


def _to_dependency(spec: DependencySpec) -> Dependency:
    return Dependency(tuple(Parent(parent.job, parent.on) for parent in spec.parents), spec.require, spec.window)


def dependency_document(dependency: Dependency) -> dict[str, Any]:
    """What a job runs after, as its user writes it."""
    return {
        "parents": [{"job": parent.job, "on": parent.on.value} for parent in dependency.parents],
        "require": dependency.require.value,
        "window": format_duration(dependency.window),
    }


def to_document(job: Job) -> dict[str, Any]:
    """The inverse of `to_job`: every field that users may write, as JSON values. `parse_spec` takes it back."""
    return {
        "name": job.name,
        "displayname": job.displayname,
        "timezone": job.timezone,
        "schedule": job.schedule,
        "schedules": [
            {"schedule": entry.schedule, "timezone": entry.timezone, "env": dict(entry.env)} for entry in job.schedules
        ],
        "spread": format_duration(job.spread),
        "calendars": list(job.calendars),
        "blackouts": [blackout_document(blackout) for blackout in job.blackouts],
        "hash": job.hash.value,
        "hash_id": job.hash_id,
        "owner": job.owner,
        "owner_email": job.owner_email,
        "disabled": job.disabled,
        "tags": dict(job.tags),
        "metadata": dict(job.metadata),
        "retries": job.retries,
        "retry": {
            "initial": format_duration(job.retry.initial),
            "factor": job.retry.factor,
            "maximum": format_duration(job.retry.maximum),
            "on": job.retry.on.value,
        },
        "parent_job": job.parent_job,
        "depends_on": None if job.depends_on is None else dependency_document(job.depends_on),
        "processors": {name: dict(config) for name, config in job.processors.items()},
        "concurrency": job.concurrency.value,
        "executor": job.executor,
        "executor_config": dict(job.executor_config),
        "ephemeral": job.ephemeral,
        "starts_at": None if job.starts_at is None else rfc3339(job.starts_at),
        "expires_at": None if job.expires_at is None else rfc3339(job.expires_at),
        "catchup": {"window": format_duration(job.catchup.window), "policy": job.catchup.policy.value},
        "queue_limit": job.queue_limit,
        "concurrency_groups": list(job.concurrency_groups),
        "priority": job.priority,
        "wait_for_target": format_duration(job.wait_for_target),
        "retention": kept_document(job.retention),
        "parameters": to_documents(job.parameters),
    }
