"""What users may write of a job, and what is wrong with what they wrote.

Schedules and tag counts are read by the packages that know them; all else is checked here. Unknown keys are ignored and
null stands for "not given", so that a job that was read can be written back whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any, Final, Self, TypeVar

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dkronpy.model.calendar import Blackout
from dkronpy.model.duration import SECOND, format_duration, parse_duration
from dkronpy.model.executors import check
from dkronpy.model.job import (
    QUEUE_LIMIT,
    Catchup,
    CatchupPolicy,
    Concurrency,
    Hash,
    Job,
    JobState,
    JobStatus,
    Retry,
    RetryTarget,
    ScheduleEntry,
)
from dkronpy.model.spec_errors import field_errors, kind
from dkronpy.model.times import parse_rfc3339, rfc3339

MAX_NAME: Final = 64
MAX_TEXT: Final = 1000
"""Characters of the other short texts, and of keys."""
MAX_VALUE: Final = 100_000
"""Characters of one value in `executor_config` or `processors`."""
MAX_ENTRIES: Final = 100
"""Entries of each map of strings."""
MAX_RETRIES: Final = 100
MAX_QUEUE: Final = 1000
_GROUP_NAME: Final = re.compile(r"[- A-Za-z0-9_+.:@]{1,64}")
MAX_SCHEDULES: Final = 20
"""Entries of `schedules`."""
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
MAX_WAIT: Final = parse_duration("3650d")


class SpecError(Exception):
    """What is wrong, field by field: (field, message) with dots inside nested fields, "" for the whole."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" if field else message for field, message in errors))
        self.errors = errors


def check_name(name: str) -> str:
    """A job's name: lower-case letters of any script, digits, `_`, `-`. Raises ValueError that names the character."""
    if not name:
        raise ValueError("is empty: a job needs a name")
    if len(name) > MAX_NAME:
        raise ValueError(f"has {len(name)} characters: at most {MAX_NAME} are allowed")
    for character in name:
        if not (character in "0123456789_-" or unicodedata.category(character) == "Ll"):
            raise ValueError(f"contains illegal character {character!r}: use lower-case letters, digits, '_' and '-'")
    return name


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"must be a duration as a string, such as 30s or 1h30m, not {kind(value)}")
    ns = parse_duration(value)
    if ns > MAX_WAIT:
        raise ValueError(f"{value!r} is too long: at most {format_duration(MAX_WAIT)}")
    return ns


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"must be a time as a string, such as 2026-12-24T18:00:00Z, not {kind(value)}")
    return (parse_rfc3339(value) or None) if value else None


def check_env_name(name: str) -> str:
    """The name of an environment variable. Raises ValueError."""
    if not _ENV_NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} must be letters, digits and underscores, and not begin with a digit")
    return name


def check_env_value(value: str) -> str:
    """The value of an environment variable. Raises ValueError."""
    if "\0" in value:
        raise ValueError("must not hold the character NUL")
    return value


Name = Annotated[str, AfterValidator(check_name)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Key = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Value = Annotated[str, Field(max_length=MAX_VALUE)]
EnvName = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(check_env_name)]
EnvValue = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(check_env_value)]
Texts = Annotated[dict[Key, Text], Field(max_length=MAX_ENTRIES)]
Values = Annotated[dict[Key, Value], Field(max_length=MAX_ENTRIES)]
Duration = Annotated[int, BeforeValidator(_duration)]
"""Text in, ns out."""
Time = Annotated[int | None, BeforeValidator(_time)]
"""RFC 3339 in, ns since the epoch out."""


def check_group_name(name: str) -> str:
    """A concurrency group's name, as dsari has them. Raises ValueError."""
    if not _GROUP_NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(
            f"{name[:MAX_NAME]!r} is no name of a group: use 1 to 64 letters, digits, blanks and . _ - + : @"
        )
    return name


def _as_tuple(value: Any) -> Any:
    """A list as JSON has it."""
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


GroupNames = Annotated[
    tuple[Annotated[str, AfterValidator(check_group_name)], ...], Field(max_length=10), BeforeValidator(_as_tuple)
]


class Spec(BaseModel):
    """Base of what users may write: strict, unknown keys ignored, null as if it were not there."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}  # pyright: ignore[reportUnknownVariableType]
        return data


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
    if not spec.schedule and not spec.schedules and not spec.parent_job:
        errors.append(("schedule", "is missing: write one such as @every 10s or 0 30 2 * * *, or name a parent_job"))
    errors.extend(check(spec.executor, spec.executor_config))
    if errors:
        raise SpecError(errors)
    return spec


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


_S = TypeVar("_S", bound=Spec)


def validated(model: type[_S], data: object) -> _S:
    """Check decoded JSON by a model. Raises SpecError."""
    """What a user has written, checked. Raises SpecError with everything that is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise SpecError(field_errors(error)) from None


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
    retry, catchup = spec.retry, spec.catchup
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
    )


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
    }
