"""What users may write of a calendar."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from dkronpy.model.calendar import Calendar
from dkronpy.model.fields import Spec, Text, validated
from dkronpy.model.spec import Blackouts, blackout_document, to_blackouts

MAX_DAYS: Final = 1000
"""Entries of `days`."""
MAX_ICALENDAR: Final = 60_000
"""Characters of `icalendar`."""
_Short = Annotated[str, Field(max_length=64)]


class CalendarSpec(Spec):
    """A calendar as its user writes it; `name` is for reading only."""

    description: Text = ""
    timezone: Text = ""
    all_jobs: bool = False
    days: Annotated[list[_Short], Field(max_length=MAX_DAYS)] = Field(default_factory=list)
    holidays: Annotated[list[_Short], Field(max_length=20)] = Field(default_factory=list)
    icalendar: Annotated[str, Field(max_length=MAX_ICALENDAR)] = ""
    blackouts: Blackouts = Field(default_factory=list)


def parse_calendar(data: object) -> Calendar:
    """Check a decoded JSON object. Raises SpecError. `holiday_days` are still to be found."""
    spec = validated(CalendarSpec, data)
    return Calendar(
        description=spec.description,
        timezone=spec.timezone,
        all_jobs=spec.all_jobs,
        days=tuple(spec.days),
        holidays=tuple(spec.holidays),
        icalendar=spec.icalendar,
        blackouts=to_blackouts(spec.blackouts),
    )


def calendar_document(name: str, calendar: Calendar) -> dict[str, Any]:
    """A calendar as JSON values; `parse_calendar` takes it back."""
    return {
        "name": name,
        "description": calendar.description,
        "timezone": calendar.timezone,
        "all_jobs": calendar.all_jobs,
        "days": list(calendar.days),
        "holidays": list(calendar.holidays),
        "holiday_days": list(calendar.holiday_days),
        "icalendar": calendar.icalendar,
        "blackouts": [blackout_document(blackout) for blackout in calendar.blackouts],
    }
