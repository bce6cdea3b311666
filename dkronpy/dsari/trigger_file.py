"""What a trigger file of dsari says: an object in JSON or YAML that asks for a run of a job.

    {"environment": {"VERSION": "1.2"}, "schedule_time": "2026-11-27 03:00", "schedule_timezone": "Europe/Berlin",
     "type": "deploy", "description": "of 1.2", "parameters": {…}, …}

All may be left out. `parameters` is ours; whatever else there is stays with the run as its trigger's data.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import msgspec
from dateutil import parser

from dkronpy.dsari.config import written
from dkronpy.dsari.reading import decoded
from dkronpy.model.duration import SECOND
from dkronpy.model.fields import SpecError, validated
from dkronpy.model.spec_errors import kind
from dkronpy.model.times import rfc3339
from dkronpy.model.trigger_spec import TriggerSpec
from dkronpy.schedule import ScheduleError, local_zone
from dkronpy.schedule.zones import LAST_SECOND, zone

MAX_FILE: Final = 128_000
"""Bytes of a trigger file."""
MAX_DATA: Final = 8_000
"""Bytes of what is kept of it besides what is known."""
_KNOWN: Final = ("environment", "parameters", "schedule_time", "schedule_timezone", "type", "description")


def parse(content: bytes, suffix: str, *, written_at: int, timezone: str) -> tuple[TriggerSpec, str]:
    """The request that a file makes, and its other data as JSON ("" for none).

    `written_at` (ns) is when the file was written: the time that its run is due if it names none. `timezone` is that of
    a time without one; "" is this host's. Raises SpecError with everything that is wrong."""
    found = _object(content, suffix)
    errors: list[tuple[str, str]] = []
    fields: dict[str, Any] = {name: found[name] for name in ("type", "description", "parameters") if name in found}
    fields["env"] = _environment(found.get("environment"), errors)
    at = _time(found, written_at, timezone, errors)
    try:
        spec = validated(TriggerSpec, fields)
    except SpecError as error:
        errors.extend((_renamed(field), message) for field, message in error.errors)
        spec = TriggerSpec()
    data = {name: value for name, value in found.items() if name not in _KNOWN}
    text = msgspec.json.encode(data).decode() if data else ""
    if len(text) > MAX_DATA:
        errors.append(("", f"holds too much besides what is known: at most {MAX_DATA} bytes"))
    if errors:
        raise SpecError(errors)
    return spec.model_copy(update={"at": at}), text


def _object(content: bytes, suffix: str) -> dict[str, Any]:
    if len(content) > MAX_FILE:
        raise SpecError([("", f"is too large: at most {MAX_FILE} bytes")])
    try:
        value = decoded(content, suffix)
    except ValueError as error:
        raise SpecError([("", str(error))]) from None
    if not isinstance(value, dict):
        raise SpecError([("", f"must hold an object, {{}} at least, not {kind(value)}")])
    found = cast("dict[object, Any]", value)
    try:
        msgspec.json.encode(found)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise SpecError([("", f"holds what is no JSON: {error}")]) from None
    return {str(name): part for name, part in found.items()}


def _environment(value: object, errors: list[tuple[str, str]]) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        errors.append(("environment", f"must be an object, not {kind(value)}"))
        return {}
    found: dict[str, str] = {}
    for name, part in cast("dict[object, object]", value).items():
        text = written(part) if isinstance(part, str | int | float) else None
        if text is None:
            errors.append((f"environment.{str(name)[:64]}", "must be a text or a number"))
        else:
            found[str(name)] = text
    return found


def _time(found: dict[str, Any], written_at: int, timezone: str, errors: list[tuple[str, str]]) -> int:
    """When the run is due (ns)."""
    name = found.get("schedule_timezone")
    name = timezone if name is None else name
    if not isinstance(name, str):
        errors.append(("schedule_timezone", f"must be a string, not {kind(name)}"))
        return written_at
    try:
        info = ZoneInfo(zone(name or local_zone()).name)
    except ScheduleError as error:
        errors.append(("schedule_timezone", str(error)))
        return written_at
    value = found.get("schedule_time")
    if value is None:
        return max(written_at, 1)
    try:
        ns = _instant(value, datetime.fromtimestamp(max(written_at, 0) // SECOND, info))
    except (ValueError, OverflowError, ArithmeticError, TypeError, AttributeError, IndexError) as error:
        # dateutil raises all of these for texts that it does not know.
        words = " ".join(str(error).split())[:200]
        errors.append(("schedule_time", f"can't be read: {words}; write 2026-12-24T18:00:00Z, or seconds since 1970"))
        return written_at
    if not 0 < ns <= LAST_SECOND * SECOND:
        errors.append(("schedule_time", f"lies outside the years 1970 to {rfc3339(LAST_SECOND * SECOND)[:4]}"))
        return written_at
    return ns


def _instant(value: object, at: datetime) -> int:
    """A time as ns; `at` is a time in the zone of those without one, and the day of those without a date."""
    if isinstance(value, str):
        value = parser.parse(value[:100], default=datetime.combine(at.date(), time()), tzinfos=_offset)
    elif type(value) is date:
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=at.tzinfo)
        past = aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (past.days * 86_400 + past.seconds) * SECOND + past.microseconds * 1000
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return math.floor(value) * SECOND + round(value % 1 * SECOND)
    raise ValueError(f"it is {kind(value)}")


def _offset(name: str | None, offset: int | None) -> int | None:
    """The offset (seconds) of a zone that a time names; None where it names none. Raises ValueError for names that mean
    different zones."""
    if offset is None and name is not None:
        raise ValueError(f"the zone {name} is not known here: write an offset such as +01:00, or schedule_timezone")
    return offset


def _renamed(field: str) -> str:
    """A field as the file names it."""
    return f"environment{field[3:]}" if field == "env" or field.startswith("env.") else field
