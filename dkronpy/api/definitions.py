"""From what a user wrote to a job that can be stored: the model's checks, and those that need schedules and time."""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec

from dkronpy.model.calendar import Calendar
from dkronpy.model.duration import SECOND
from dkronpy.model.fields import SpecError
from dkronpy.model.job import Job
from dkronpy.model.spec import parse_spec, to_document, to_job
from dkronpy.schedule import Schedule, ScheduleError
from dkronpy.schedule.public_holidays import holiday_days
from dkronpy.scheduling.exclusions import blackout_spans, calendar_spans
from dkronpy.scheduling.fires import compiled
from dkronpy.scheduling.targeting import split_count

YEARS_AHEAD: Final = 20
"""For so long the public holidays are worked out when a calendar is written."""
MAX_JOB: Final = 128_000
"""Bytes of a stored definition: a commit holds it twice, once as the job and once as the edit."""


def checked_job(data: object, *, now: int, old: Job | None = None, calendars: Container[str] | None = None) -> Job:
    """The job that a decoded JSON object describes.

    `old` is the job of that name as it is: an `@at` that it has already may be past, any other may not. A job may
    name only `calendars`, if they are given.
    Raises SpecError with everything that is wrong.
    """
    spec = parse_spec(data)
    errors: list[tuple[str, str]] = []
    job = to_job(spec)
    schedule: Schedule | None = None
    try:
        schedule = compiled(job)
    except ScheduleError as error:
        errors.append((error.field, str(error)))
    unchanged = old is not None and _timing(old) == _timing(job)
    if schedule is not None and not unchanged and job.dependency is None and _is_past(schedule, now):
        errors.append(("schedule", f"{spec.schedule!r} is already past: write a time to come"))
    try:
        blackout_spans(job.blackouts, job.timezone)
    except ScheduleError as error:
        errors.append((error.field, str(error)))
    if calendars is not None:
        errors.extend(
            (f"calendars.{index}", f"there is no calendar {name!r}: PUT /v1/calendars/{name} creates it")
            for index, name in enumerate(spec.calendars)
            if name not in calendars
        )
    for tag, value in spec.tags.items():
        try:
            split_count(value)
        except ValueError as error:
            errors.append((f"tags.{tag}", str(error)))
    if errors:
        raise SpecError(errors)
    if len(msgspec.json.encode(job)) > MAX_JOB:
        raise SpecError([("", f"the job is too large: at most {MAX_JOB} bytes are allowed")])
    return job


def name_in(data: object) -> str | None:
    """The name in a decoded JSON object, whatever else it is; None when there is none."""
    name = cast("dict[str, object]", data).get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else None


def merged(job: Job, patch: dict[str, Any]) -> dict[str, Any]:
    """The job as its user writes it, after an RFC 7396 merge."""
    return merge(to_document(job), patch)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396: objects merge, null removes, anything else replaces. The depth is bounded by what was decoded."""
    if not isinstance(patch, dict):
        return patch
    result = {**cast("dict[str, Any]", target)} if isinstance(target, dict) else dict[str, Any]()
    for key, value in cast("dict[str, Any]", patch).items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def _timing(job: Job) -> object:
    return job.schedule, job.schedules, job.timezone


def _is_past(schedule: Schedule, now: int) -> bool:
    """Whether it fired, and fires no more, not even within the grace it gives itself."""
    last = schedule.next(0) if schedule.next(now) is None else None
    return last is not None and last + (schedule.grace or 0) <= now


def with_holidays(calendar: Calendar, now: int) -> Calendar:
    """A calendar with its public holidays, from the year before `now` (ns) on. Raises ScheduleError for anything in it
    that can't be read."""
    year = datetime.fromtimestamp(now // SECOND, UTC).year
    found = holiday_days(calendar.holidays, range(year - 1, year + YEARS_AHEAD)) if calendar.holidays else ()
    calendar = msgspec.structs.replace(calendar, holiday_days=found)
    calendar_spans(calendar, "")
    return calendar
