"""Times at which jobs do not run: days of a clock, recurring spans, events of iCalendar files, public holidays."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.calendar import Blackout, Calendar
from dkronpy.schedule import ScheduleError
from dkronpy.schedule.events import events
from dkronpy.schedule.exclusion import days
from dkronpy.schedule.public_holidays import holiday_days
from dkronpy.schedule.zones import zone
from dkronpy.scheduling.exclusions import calendar_spans
from tests.unit.schedule.test_oracles import RESTLESS, ZONES

NS = 1_000_000_000


def at(text: str, name: str = "Europe/Berlin") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name)).timestamp()) * NS


def covers(calendar: Calendar, text: str) -> bool:
    return any(span.until(at(text)) for span in calendar_spans(calendar, "Europe/Berlin"))


@given(st.sampled_from([*RESTLESS, *ZONES]), st.integers(200_000, 4_000_000_000), st.integers(0, 3))
def test_days_are_those_of_the_clock(name, second, length):
    first = datetime.fromtimestamp(second, ZoneInfo(name)).date()
    last = first.fromordinal(first.toordinal() + length)
    found = days([f"{first}..{last}"], zone(name))
    for offset in range(-90_000, 500_000, 1800):
        time = max(second + offset, 0)
        local = datetime.fromtimestamp(time, ZoneInfo(name)).date()
        until = found.until(time * NS)
        assert (until is not None) == (first <= local <= last)
        if until is not None:
            assert (
                datetime.fromtimestamp(until // NS - 1, ZoneInfo(name)).date() <= last or until <= time * NS + 7200 * NS
            )
            assert until > time * NS
        change = found.change(time * NS)
        assert change is not None
        assert change > time * NS


@pytest.mark.parametrize(
    ("calendar", "inside", "outside"),
    [
        (Calendar(days=("2026-12-24",)), "2026-12-24T23:59:59", "2026-12-25T00:00:00"),
        (Calendar(days=("12-25",)), "2031-12-25T00:00:00", "2031-12-24T23:59:59"),
        (Calendar(days=("2026-12-24..2027-01-02", "2027-01-03")), "2027-01-03T12:00:00", "2027-01-04T00:00:00"),
        (Calendar(days=("2026-12-24",), timezone="Asia/Tokyo"), "2026-12-23T16:00:00", "2026-12-24T16:00:00"),
        (Calendar(holidays=("DE",), holiday_days=("2026-10-03",)), "2026-10-03T12:00:00", "2026-10-04T00:00:00"),
        (
            Calendar(blackouts=(Blackout(schedule="0 22 * * FRI", duration=8 * 3600 * NS),)),
            "2026-11-28T05:59:59",
            "2026-11-28T06:00:00",
        ),
        (
            Calendar(blackouts=(Blackout(start=at("2026-12-01T00:00:00"), end=at("2026-12-02T00:00:00")),)),
            "2026-12-01T00:00:00",
            "2026-12-02T00:00:00",
        ),
    ],
)
def test_calendars(calendar, inside, outside):
    assert covers(calendar, inside)
    assert not covers(calendar, outside)


EVENTS = """BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VEVENT\r
DTSTART;VALUE=DATE:20261224\r
DTEND;VALUE=DATE:20261227\r
SUMMARY:Christmas: closed\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTART;TZID=America/New_York:20261201T090000\r
DURATION:PT2H\r
RRULE:FREQ=WEEKLY;\r
 BYDAY=TU\r
EXDATE;TZID=America/New_York:20261208T090000\r
BEGIN:VALARM\r
TRIGGER:-PT15M\r
DURATION:PT99H\r
END:VALARM\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTART;VALUE=DATE:20260101\r
RRULE:FREQ=YEARLY\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTART:20261105T000000Z\r
DTEND:20261106T000000Z\r
TRANSP:TRANSPARENT\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("2026-12-24T00:00:00", True),
        ("2026-12-26T23:59:59", True),
        ("2026-12-27T00:00:00", False),
        ("2026-12-01T15:00:00", True),
        ("2026-12-01T17:00:00", False),
        ("2026-12-08T15:30:00", False),
        ("2026-12-15T15:30:00", True),
        ("2031-01-01T23:30:00", True),
        ("2031-01-02T00:00:00", False),
        ("2026-11-05T12:00:00", False),
    ],
)
def test_events(text, covered):
    assert covers(Calendar(icalendar=EVENTS), text) is covered


def event(*lines: str) -> Calendar:
    return Calendar(icalendar="\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"]))


@pytest.mark.parametrize(
    ("calendar", "field", "mend"),
    [
        (Calendar(days=("tomorrow",)), "days", "write 2026-12-24"),
        (Calendar(days=("2026-02-30",)), "days", "not a day that exists"),
        (Calendar(days=("02-30",)), "days", "not a day that exists"),
        (Calendar(days=("2026-12-24..2026-12-23",)), "days", "backwards"),
        (Calendar(timezone="Nowhere"), "timezone", "Nowhere"),
        (Calendar(blackouts=(Blackout(schedule="* * *", duration=NS),)), "blackouts.0.schedule", "3 fields"),
        (Calendar(icalendar="hello"), "icalendar", "BEGIN:VEVENT"),
        (Calendar(icalendar="BEGIN:VEVENT\nDTSTART:20260101"), "icalendar", "BEGIN:VEVENT"),
        (event("SUMMARY:x"), "icalendar", "event 1: DTSTART is missing"),
        (event("DTSTART:20260101T000000", "RRULE:FREQ=DAYLY"), "icalendar", "event 1: RRULE: FREQ 'DAYLY'"),
        (event("DTSTART:20260102", "DTEND:20260101"), "icalendar", "ends before it begins"),
        (event("DTSTART:20260102", "DURATION:2h"), "icalendar", "PT2H30M"),
        (Calendar(icalendar="BEGIN:VEVENT\nDTSTART:20260101\nEND:VEVENT\n" * 501), "icalendar", "more than 500"),
    ],
)
def test_refused(calendar, field, mend):
    with pytest.raises(ScheduleError) as refusal:
        calendar_spans(calendar, "UTC")
    assert refusal.value.field == field
    assert mend in str(refusal.value)


@given(st.text(max_size=200), st.lists(st.sampled_from(EVENTS.split("\r\n")), max_size=20))
def test_any_text_is_read_or_refused(text, lines):
    for whole in (text, "\n".join(["BEGIN:VEVENT", "DTSTART:20260101", *lines, text, "END:VEVENT"])):
        try:
            for span in events(whole, zone("UTC")):
                span.until(1_800_000_000 * NS)
                span.change(1_800_000_000 * NS)
        except ScheduleError as error:
            assert error.field == "icalendar"  # noqa: PT017


def test_public_holidays():
    found = holiday_days(("DE-BY", "US"), range(2026, 2028))
    assert {"2026-01-06", "2026-12-25", "2027-07-05"} <= set(found)
    assert "2026-01-06" not in holiday_days(("DE",), range(2026, 2027))
    for place, mend in (("XX", "XX"), ("DE-XX", "XX"), ("Germany", "such as DE")):
        with pytest.raises(ScheduleError, match=mend):
            holiday_days((place,), range(2026, 2027))
