"""A Dkron's job with its executions → what this server's `/v1/restore` and `/v1/jobs/{job}/executions` take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from dkronpy.importing.changes import Change, Kind
from dkronpy.importing.cron import fires
from dkronpy.importing.dump import Dialect, Dump, Json, dialect_of
from dkronpy.importing.mapped import Mapped, Reading
from dkronpy.importing.schedules import translated
from dkronpy.model.names import name_for
from dkronpy.model.times import parse_rfc3339

_KEPT: Final = (
    *("displayname", "timezone", "owner", "owner_email", "disabled", "metadata", "retries", "concurrency", "executor"),
    *("executor_config", "ephemeral", "starts_at", "expires_at"),
    *("success_count", "error_count", "last_success", "last_error"),
)
"""Keys whose values are taken as they are."""
_PATTERN: Final = re.compile(r"[\\^$*+?()\[\]{}|]")
"""What makes a tag's value more than a text; a dot alone does not, it is a part of addresses and versions."""
_OVER: Final = frozenset({"success", "failed", "partially_failed"})


def mapped(dump: Dump, *, now: int) -> list[Mapped]:
    """Every job with its executions; `now` in ns."""
    names = frozenset(str(job.get("name")) for job in dump.jobs)
    taken: dict[str, str] = {}
    found: list[Mapped] = []
    for source in dump.jobs:
        original = str(source.get("name"))
        name, dialect = name_for(original), dialect_of(source)
        try:
            if (other := taken.setdefault(name, original)) != original:
                raise ValueError(f"name: {original!r} and {other!r} would both be {name!r} here: rename one of them")
            document, changes = _job(source, dialect, names, now)
            executions = _executions(dump.executions.get(original, ()), original)
            document["status"] = _status(source, dialect, executions)
            reading = None if document.get("parent_job") else _reading(source, dialect)
            schedule = source.get("schedule") or ""
            found.append(Mapped(name, document, "Dkron", "", schedule, executions, tuple(changes), reading=reading))
        except ValueError as error:
            found.append(Mapped(name, {}, "Dkron", problem=str(error)))
    return found


def _reading(source: Json, dialect: Dialect) -> Reading:
    """The Dkron's own fires of a job."""
    schedule, timezone = source.get("schedule") or "", source.get("timezone") or ""
    ahead, starts, expires = (
        parse_rfc3339(text) if (text := source.get(key)) else 0 for key in ("next", "starts_at", "expires_at")
    )

    def read(after: int, count: int) -> list[int]:
        try:
            found = fires(
                schedule,
                timezone,
                dialect,
                job=str(source["name"]),
                after=max(after, starts - 1),
                count=count,
                next_fire=ahead or None,
            )
        except ValueError:  # a parent was missing: nothing ever read the schedule
            found = []
        return [fire for fire in found if not expires or fire <= expires]

    return read


def _job(source: Json, dialect: Dialect, names: frozenset[str], now: int) -> tuple[Json, list[Change]]:
    """What to write of a job, and what changes. Raises ValueError that names the field."""
    original = _text(source, "name")
    name = name_for(original)
    changes: list[Change] = []
    document: Json = {"name": name} | {key: source[key] for key in _KEPT if source.get(key) is not None}
    if name != original:
        document["displayname"] = document.get("displayname") or original
        document["hash_id"] = original
        changes.append(Change(Kind.NAME, f"{original!r} is no name here: it is called {name!r}, and shown as it was"))
    parent, schedule = _text(source, "parent_job"), _text(source, "schedule")
    if parent in names:
        document["parent_job"] = name_for(parent)
    elif parent:
        document["schedule"] = "@manually"
        changes.append(
            Change(Kind.PARENT, f"its parent {parent!r} does not exist, so nothing starts it: it is @manually")
        )
    else:
        try:
            document["schedule"], changed = translated(
                schedule, _text(source, "timezone"), dialect, job=original, now=now
            )
        except ValueError as error:
            raise ValueError(f"schedule: {error}") from error
        changes += changed
    document["tags"], changed = _tags(_texts(source, "tags"), dialect)
    changes += changed
    document["processors"] = {
        processor: {key: _as_text(value) for key, value in _map(config, processor).items() if key != "reporting_node"}
        for processor, config in _map(source.get("processors"), "processors").items()
    }
    if source.get("executor") == "http" and not _texts(source, "executor_config").get("expectCode"):
        changes.append(Change(Kind.CODES, "without expectCode every status was a success; here only 2xx is"))
    return document, changes


def _tags(tags: Mapping[str, str], dialect: Dialect) -> tuple[dict[str, str], list[Change]]:
    written: dict[str, str] = {}
    changes: list[Change] = []
    counted = 0
    for key, value in tags.items():
        text, *rest = value.split(":")
        written[key] = value
        if len(rest) == 1 and rest[0].isascii() and rest[0].isdigit() and int(rest[0]):
            counted += 1
        elif len(rest) == 1 and dialect is Dialect.V1 and rest[0] in ("", "0"):
            written[key] = text
            changes.append(Change(Kind.COUNT, f"tag {key}: {value!r} ran on all that match, and is written {text!r}"))
        elif rest and dialect is Dialect.V4 and len(rest) > 1:
            written[key] = text
            changes.append(Change(Kind.COUNT, f"tag {key}: of {value!r} only {text!r} counted, and is written"))
        elif rest:
            raise ValueError(f"tags.{key}: {value!r} has no count that can be carried over: write one from 1 on")
        elif dialect is Dialect.V1 and _PATTERN.search(value):
            told = f"tag {key}: {value!r} was a regular expression; here only nodes with this very text match"
            changes.append(Change(Kind.PATTERN, told))
    if counted > 1 and dialect is Dialect.V1:
        told = "several tags have counts, which Dkron took for one list of nodes; here the smallest counts"
        changes.append(Change(Kind.COUNT, told))
    return written, changes


def _executions(sources: Iterable[Json], job: str) -> tuple[Json, ...]:
    """Executions by group, attempt and node. Of two with the same of these the one that ended last is kept; what a
    Dkron lists of other jobs, whose names begin alike, is left out."""
    found: dict[tuple[Any, ...], Json] = {}
    for source in sources:
        if source.get("job_name") != job:
            continue
        document: Json = {
            "group": source.get("group"),
            "attempt": source.get("attempt", 1),
            "node_name": source.get("node_name", ""),
            "started_at": source.get("started_at"),
            "finished_at": source.get("finished_at"),
            "success": source.get("success", False),
            # Those that have an id hold the output as text, the older ones in base64.
            "output" if "id" in source else "output_base64": source.get("output", ""),
        }
        key = (document["group"], document["attempt"], document["node_name"])
        if key not in found or _ended(document) >= _ended(found[key]):
            found[key] = document
    return tuple(found.values())


def _ended(execution: Json) -> int:
    """When (ns) an execution ended, 0 if it has not."""
    return parse_rfc3339(_text(execution, "finished_at")) if execution.get("finished_at") else 0


def _status(source: Json, dialect: Dialect, executions: Sequence[Json]) -> str:
    """How the newest group ended, by Dkron's rule: each attempt counts. Before 2.0 it is not kept but worked out."""
    over = [execution for execution in executions if _ended(execution)]
    if dialect is Dialect.V4 or not over:
        status = _text(source, "status")
        triggered = source.get("success_count") or source.get("error_count")
        return status if status in _OVER and triggered else ""
    newest = max(execution["group"] for execution in over)
    ends = {bool(execution["success"]) for execution in over if execution["group"] == newest}
    return "partially_failed" if len(ends) > 1 else "success" if ends == {True} else "failed"


def _text(source: Json, key: str) -> str:
    """A text, "" where there is none. Raises ValueError for anything else."""
    value = source.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"{key}: must be a string")
    return value


def _map(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict | None):
        raise ValueError(f"{key}: must be an object")
    return cast("Mapping[str, Any]", value or {})


def _texts(source: Json, key: str) -> Mapping[str, str]:
    found = _map(source.get(key), key)
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{key}: must be an object of strings")
    return found


def _as_text(value: object) -> str:
    """A processor's setting as newer Dkrons write it: `true` for a truth value, JSON for what is no text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
