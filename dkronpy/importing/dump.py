"""What a Dkron keeps: its jobs and their executions, as the JSON objects that it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, cast

import msgspec

Json = dict[str, Any]

KEYSPACE: Final = "dkron"
"""Where a Dkron keeps its keys unless told otherwise."""


class DumpError(ValueError):
    """What was read is not what a Dkron writes; the message names the place."""


class Dialect(IntEnum):
    """How a Dkron reads schedules and tags."""

    V1 = 1
    """Versions 1.x: five or six fields, seconds first; tags are regular expressions."""
    V4 = 4
    """Versions 2.x to 4.x: six fields, or a name; tags are compared."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Jobs in the order they were read, and executions by the name of their job."""

    jobs: tuple[Json, ...]
    executions: Mapping[str, tuple[Json, ...]]


def dialect_of(job: Json) -> Dialect:
    """Which Dkron wrote a job: those before 2.0 gave it no display name."""
    return Dialect.V4 if "displayname" in job else Dialect.V1


def from_pairs(pairs: Iterable[tuple[str, bytes]], keyspace: str) -> Dump:
    """From the keys of a Dkron 1.x: `<keyspace>/jobs/<job>` and `<keyspace>/executions/<job>/<start>-<node>`.

    Raises DumpError, also when no job is there."""
    jobs: dict[str, Json] = {}
    executions: dict[str, dict[str, Json]] = {}
    root = keyspace.strip("/").split("/")
    for key, value in pairs:
        parts = key.strip("/").split("/")
        match parts[len(root) :] if parts[: len(root)] == root else ():
            case ("jobs", name):
                jobs[name] = _object(value, key)
            case ("executions", name, place):
                executions.setdefault(name, {})[place] = _object(value, key)
            case _:
                continue  # who leads, and locks
    if not jobs:
        raise DumpError(f"there are no jobs of a Dkron under {keyspace!r}; --keyspace names another place")
    return Dump(
        tuple(jobs[name] for name in sorted(jobs)),
        {name: tuple(found[place] for place in sorted(found)) for name, found in executions.items()},
    )


def from_documents(jobs: object, executions: object = None) -> Dump:
    """From what a Dkron's API answers: `jobs` is the list of jobs, or {"jobs": …, "executions": …}; `executions` is
    {job: [execution, …]}. Raises DumpError."""
    if isinstance(jobs, dict):
        both = cast("Json", jobs)
        jobs, executions = both.get("jobs"), executions or both.get("executions")
    if not isinstance(jobs, list):
        raise DumpError("jobs: must be a list of jobs, as GET /v1/jobs answers, or an object with such a list")
    if not isinstance(executions, dict | None):
        raise DumpError('executions: must be an object of lists, as {"job": [execution, …]}')
    listed = cast("Mapping[str, object]", executions or {})
    return Dump(
        tuple(_checked(job, f"jobs[{index}]") for index, job in enumerate(cast("list[object]", jobs))),
        {name: _list(found, f"executions.{name}") for name, found in listed.items()},
    )


def _list(found: object, place: str) -> tuple[Json, ...]:
    if found is None:  # what Dkron 1 answers for none
        return ()
    if not isinstance(found, list):
        raise DumpError(f"{place}: must be a list of executions")
    return tuple(_checked(item, f"{place}[{index}]") for index, item in enumerate(cast("list[object]", found)))


def _object(value: bytes, key: str) -> Json:
    try:
        return _checked(msgspec.json.decode(value), key)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DumpError(f"{key}: is not JSON: {error}") from error


def _checked(value: object, place: str) -> Json:
    if not isinstance(value, dict):
        raise DumpError(f"{place}: must be an object")
    return cast("Json", value)
