"""Fires as shown to people."""

from __future__ import annotations

from datetime import datetime

import pytest

from dkronpy.schedule import Fire, Shift, describe_fire, parse, upcoming

NS = 1_000_000_000


def shown(text: str, zone: str, after: str, count: int) -> list[Fire]:
    start = int(datetime.fromisoformat(after).timestamp()) * NS
    schedule = parse(text, zone)
    fires = upcoming(schedule, start, count)
    return [describe_fire(schedule, fire, before) for before, fire in zip([start, *fires], fires, strict=False)]


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        (
            "30 2 * * *",
            "2026-03-28T00:00:00+01:00",
            [
                ("2026-03-28T02:30:00+01:00", False, None),
                ("2026-03-29T03:00:00+02:00", True, Shift.AFTER_GAP),
                ("2026-03-30T02:30:00+02:00", False, None),
            ],
        ),
        (
            "30 2 * * *",
            "2026-10-25T00:00:00+02:00",
            [("2026-10-25T02:30:00+02:00", False, Shift.FIRST_OF_TWO), ("2026-10-26T02:30:00+01:00", True, None)],
        ),
        (
            "30 * * * *",
            "2026-10-25T02:00:00+02:00",
            [("2026-10-25T02:30:00+02:00", False, None), ("2026-10-25T02:30:00+01:00", True, None)],
        ),
        # 03:00 is a fire by itself; that 02:30 falls on it changes nothing.
        ("0,30 2,3 * * *", "2026-03-29T00:00:00+01:00", [("2026-03-29T03:00:00+02:00", True, None)]),
        (
            "@every 30m",
            "2026-10-25T02:30:00+02:00",
            [("2026-10-25T02:00:00+01:00", True, None), ("2026-10-25T02:30:00+01:00", False, None)],
        ),
        (
            "@at 2026-12-24T18:00:00.000001Z",
            "2026-11-21T00:00:00Z",
            [("2026-12-24T19:00:00.000001+01:00", False, None)],
        ),
    ],
)
def test_shown(text, after, expected):
    fires = shown(text, "Europe/Berlin", after, len(expected))
    assert [(fire.local, fire.clock_changed, fire.shift) for fire in fires] == expected
    assert [datetime.fromisoformat(fire.local).timestamp() for fire in fires] == [fire.at / NS for fire in fires]


def test_the_prefix_of_the_text_is_the_zone_shown():
    (fire,) = shown("TZ=Asia/Kathmandu @daily", "UTC", "2026-11-21T00:00:00Z", 1)
    assert fire.local == "2026-11-22T00:00:00+05:45"


def test_without_a_fire_before_no_change_is_reported():
    schedule = parse("@daily", "Europe/Berlin")
    (fire,) = upcoming(schedule, 1_795_219_200 * NS, 1)
    assert describe_fire(schedule, fire).clock_changed is False


def test_upcoming_stops_where_the_schedule_ends():
    assert upcoming(parse("@at 2026-12-24T18:00:00Z"), 0, 5) == [1_798_135_200 * NS]
    assert upcoming(parse("@manually"), 0, 5) == []
    assert upcoming(parse("* * * * *"), 0, 0) == []
