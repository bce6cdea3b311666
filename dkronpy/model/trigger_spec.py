"""What users may write when they ask for a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from dkronpy.model.execution import Trigger
from dkronpy.model.fields import MAX_ENTRIES, EnvName, Key, Spec, SpecError, Text, Time, check_env_value, validated
from dkronpy.model.parameter import Parameter
from dkronpy.model.parameter_spec import given
from dkronpy.model.records import TriggerRecord

MAX_ENV: Final = 64_000
"""Bytes of the environment given with a run."""
PAST: Final = 60_000_000_000
"""ns that a requested time may be past and still mean now: clocks differ."""

Type = Annotated[str, Field(max_length=100), AfterValidator(check_env_value)]


class TriggerSpec(Spec):
    """What comes with a request to run a job; `at` in ns, None for now."""

    at: Time = None
    type: Type = ""
    description: Text = ""
    parameters: Annotated[dict[Key, Any], Field(max_length=MAX_ENTRIES)] = Field(default_factory=dict)
    env: dict[EnvName, Annotated[str, AfterValidator(check_env_value)]] = Field(default_factory=dict)


def parse_trigger(data: object) -> TriggerSpec:
    """Check a decoded JSON object. Raises SpecError."""
    spec = validated(TriggerSpec, data)
    _check_size(spec.env)
    return spec


def _check_size(env: dict[str, str]) -> None:
    if sum(len(name) + len(value.encode()) for name, value in env.items()) > MAX_ENV:
        raise SpecError([("env", f"is too large: at most {MAX_ENV} bytes")])


def to_trigger(
    spec: TriggerSpec,
    parameters: Sequence[Parameter],
    *,
    now: int,
    by: str,
    kind: Trigger = Trigger.MANUAL,
    data: str = "",
    past: bool = False,
) -> TriggerRecord:
    """The record of a request made at `now` (ns) of a job with these parameters. Raises SpecError for values that are
    none of theirs, and for a time that is long past, unless with `past`, which keeps it as the time that the run was
    due."""
    env = given(parameters, spec.parameters, spec.env)
    _check_size(env)
    at = now if spec.at is None else spec.at
    if at < now - PAST and not past:
        raise SpecError([("at", "is past: leave it out to run now")])
    at = at if past else max(at, now)
    return TriggerRecord(at, kind, by, env, now, spec.type, spec.description, data)
