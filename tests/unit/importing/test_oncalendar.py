"""Calendar expressions of systemd: against what systemd itself says of them, and against the schedules made of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dkronpy.importing.mapped import Mapped
from dkronpy.importing.oncalendar import Calendar, CalendarError, parse_calendar
from dkronpy.model.duration import SECOND
from tests.support.readings import fires_here

SAID = json.loads((Path(__file__).parent / "systemd_fires.json").read_text())
"""By expression: the next six times after `BASE` that `systemd-analyze calendar` of systemd 252 told, in UTC."""
BASE = int(datetime(2026, 11, 26, 16, 35, 12, tzinfo=UTC).timestamp()) * SECOND


def told(times: list[int]) -> list[str]:
    return [datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S") for time in times]


@pytest.mark.parametrize("text", SAID)
def test_it_fires_when_systemd_says(text: str) -> None:
    assert told(parse_calendar(text).fires(BASE, 6, "UTC")) == SAID[text]


def here(calendar: Calendar, after: int, count: int) -> list[int]:
    """The fires of the schedules that are made of an expression."""
    calendar = replace(calendar, zone=calendar.zone or "UTC")
    entries = [{"schedule": text, "timezone": calendar.zone} for text in calendar.schedules(after)]
    job = {"name": "job", "schedules": entries, "executor": "shell", "executor_config": {"command": "true"}}
    return fires_here(Mapped("job", job, "systemd"), after, count)


@pytest.mark.parametrize("text", SAID)
def test_its_schedules_fire_at_the_same_times(text: str) -> None:
    calendar = parse_calendar(text)
    if SAID[text]:
        assert told(here(calendar, BASE, 6)) == SAID[text]


@st.composite
def parts(draw: st.DrawFn, low: int, high: int) -> str:
    """A part of an expression: values, ranges, steps or any."""
    if draw(st.booleans()):
        return "*"
    items: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.one_of(st.just(""), st.integers(first, high).map(lambda n: f"..{n}")))
        step = draw(st.one_of(st.just(""), st.integers(1, high).map(lambda n: f"/{n}")))
        items.append(f"{first}{last}{step}")
    return ",".join(items)


WEEKDAYS = st.sampled_from(["", "", "Mon ", "Sat,Sun ", "Tue..Fri ", "Mon,Wednesday..Thu "])
ZONES = st.sampled_from(["UTC", "Asia/Tokyo", "America/Phoenix"])  # without changes of clocks: those differ, see below


@settings(max_examples=settings().max_examples // 2)
@given(
    WEEKDAYS,
    st.one_of(st.just("*"), st.just("2027"), st.just("2026..2028"), st.just("2027,2029,2031..2033"), st.just("2020/3")),
    parts(1, 12),
    st.sampled_from("-~"),
    parts(1, 28),
    parts(0, 23),
    parts(0, 59),
    parts(0, 59),
    ZONES,
)
@example("Mon ", "*", "5", "~", "7/1", "0", "0", "0", "UTC")
@example("", "2020/3", "*", "~", "1", "*", "0", "0", "UTC")
def test_any_expression_fires_here_as_there(
    weekdays: str, year: str, month: str, sign: str, day: str, hour: str, minute: str, second: str, zone: str
) -> None:
    calendar = parse_calendar(f"{weekdays}{year}-{month}{sign}{day} {hour}:{minute}:{second} {zone}")
    theirs = calendar.fires(BASE, 5)
    # A rule counts as ended here when it leaps for too long without a match.
    assume(theirs and theirs[-1] < BASE + 8 * 365 * 86400 * SECOND)
    assert here(calendar, BASE, len(theirs)) == theirs


def test_clocks_that_are_changed() -> None:
    """systemd passes over a time that there is not, and runs one that comes twice once."""
    calendar = parse_calendar("*-*-* 02:30:00 Europe/Berlin")
    before = int(datetime(2027, 3, 27, 12, tzinfo=UTC).timestamp()) * SECOND
    assert told(calendar.fires(before, 2)) == ["2027-03-29 00:30:00", "2027-03-30 00:30:00"]
    assert told(here(calendar, before, 2)) == ["2027-03-28 01:00:00", "2027-03-29 00:30:00"]
    autumn = int(datetime(2027, 10, 30, 12, tzinfo=UTC).timestamp()) * SECOND
    assert told(calendar.fires(autumn, 2)) == ["2027-10-31 00:30:00", "2027-11-01 01:30:00"]
    assert here(calendar, autumn, 2) == calendar.fires(autumn, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no calendar expression"),
        ("whenever", "is no"),
        ("12", "is no calendar expression"),
        ("*/5:00", "'*/5' is no time"),
        ("Mon-Fry 12:00", "'Fry' is no day of the week"),
        ("Wed..Mon", "runs backwards"),
        ("*-13-1", "'13' is no month"),
        ("*-2-3-4", "is no date"),
        ("*~2-3", "is no date"),
        ("12:00 Mars/Base", "there is no time zone 'Mars/Base'"),
        ("*:*:0.5", "whole seconds"),
        ("22..2:00", "must lie in 0 to 23"),
        ("12:00/0", "must lie in 0 to 59"),
        ("@x", "is no time"),
        ("1850-1-1", "none of its years"),
        ("12:0:0:0", "is no time"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(CalendarError, match=re.escape(said)):
        parse_calendar(text)


@given(st.text("*-~:/.,0123456789MonFri UTC@", max_size=30))
def test_nothing_but_its_own_error(text: str) -> None:
    try:
        calendar = parse_calendar(text)
        calendar.schedules(BASE)
    except CalendarError:
        return
    first = calendar.fires(BASE, 1)
    assert not first or first[0] > BASE


def test_a_moment() -> None:
    at = BASE // SECOND + 3600
    assert parse_calendar(f"@{at}").schedules(BASE) == ["@at 2026-11-26T17:35:12Z"]
    assert parse_calendar(f"@{at - 86400}").fires(BASE, 1) == []
