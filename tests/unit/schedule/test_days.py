"""Days that come rarely: every one of them from the epoch to where schedules end, against the calendar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from dkronpy.schedule import parse

NS = 1_000_000_000


def days(text: str) -> list[date]:
    schedule, found = parse(text, "UTC"), list[date]()
    fire = schedule.next(-1)
    while fire is not None:
        found.append(datetime.fromtimestamp(fire // NS, UTC).date())
        fire = schedule.next(fire)
    return found


RARE: dict[str, Callable[[date], bool]] = {
    "0 0 29 2 *": lambda day: day.day == 29,
    "0 0 * 2 1#5": lambda day: day.day == 29 and day.weekday() == 0,
    "0 0 */29 2 0": lambda day: day.day == 1 and day.weekday() == 6,  # with a star both fields must hold
    "0 0 L 2 *": lambda day: (day + timedelta(1)).day == 1,
}


@pytest.mark.parametrize("text", RARE)
def test_all_februaries_are_those_of_the_calendar(text):
    februaries = [date(year, 2, 1) + timedelta(n) for year in range(1970, 2263) for n in range(29)]
    wanted = [day for day in februaries if day.month == 2 and RARE[text](day)]
    assert days(text) == wanted
    assert parse(text, "UTC").count(-1, 2**63 - 1) == len(wanted)


def test_west_of_greenwich_the_epoch_is_in_1969():
    schedule = parse("0 18 31 12 *", "America/New_York")
    assert schedule.next(0) == datetime(1970, 12, 31, 23, tzinfo=UTC).timestamp() * NS
    assert parse("30 19 31 12 *", "America/New_York").next(-1) == 1800 * NS
