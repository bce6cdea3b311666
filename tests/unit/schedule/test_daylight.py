"""Days on which the clock changes: fixed times run exactly once, wildcards follow real time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dkronpy.schedule import parse

NS = 1_000_000_000
EVEN_HOURS = ["08 00:30-0500", *(f"08 {hour:02}:30-0400" for hour in range(4, 24, 2))]


def fires_on(text: str, zone: str, day: str, days: int = 1) -> list[str]:
    """The fires of some local days, in local time, with the offset."""
    info = ZoneInfo(zone)
    start = datetime.combine(date.fromisoformat(day), datetime.min.time(), info)
    end = datetime.combine(date.fromisoformat(day) + timedelta(days=days), datetime.min.time(), info)
    after, until = int(start.timestamp()) * NS - 1, int(end.timestamp()) * NS - 1
    schedule, found = parse(text, zone), []
    fire = schedule.next(after)
    while fire is not None and fire <= until:
        found.append(datetime.fromtimestamp(fire // NS, UTC).astimezone(info).strftime("%d %H:%M:%S%z"))
        fire = schedule.next(fire)
    assert schedule.count(after, until) == len(found)
    return [text.replace(":00+", "+").replace(":00-", "-") for text in found]


@pytest.mark.parametrize(
    ("text", "zone", "day", "expected"),
    [
        # New York, 8 March 2026: 02:00 EST becomes 03:00 EDT.
        ("30 2 * * *", "America/New_York", "2026-03-08", ["08 03:00-0400"]),
        ("0 30 2 * * *", "America/New_York", "2026-03-08", ["08 03:00-0400"]),
        ("0,15,30 2 * * *", "America/New_York", "2026-03-08", ["08 03:00-0400"]),
        ("0,30 2,3 * * *", "America/New_York", "2026-03-08", ["08 03:00-0400", "08 03:30-0400"]),
        ("15 1,2,3 * * *", "America/New_York", "2026-03-08", ["08 01:15-0500", "08 03:00-0400", "08 03:15-0400"]),
        ("*/20 2 * * *", "America/New_York", "2026-03-08", []),
        ("30 */2 * * *", "America/New_York", "2026-03-08", EVEN_HOURS),
        ("30 1-3 * * *", "America/New_York", "2026-03-08", ["08 01:30-0500", "08 03:00-0400", "08 03:30-0400"]),
        ("20,40 30 2 * * *", "America/New_York", "2026-03-08", ["08 03:00-0400"]),
        # New York, 1 November 2026: 02:00 EDT becomes 01:00 EST.
        ("30 1 * * *", "America/New_York", "2026-11-01", ["01 01:30-0400"]),
        ("0,30 1,2 * * *", "America/New_York", "2026-11-01",
         ["01 01:00-0400", "01 01:30-0400", "01 02:00-0500", "01 02:30-0500"]),
        ("*/30 1 * * *", "America/New_York", "2026-11-01",
         ["01 01:00-0400", "01 01:30-0400", "01 01:00-0500", "01 01:30-0500"]),
        ("59 59 1 * * *", "America/New_York", "2026-11-01", ["01 01:59:59-0400"]),
        # Berlin, 29 March and 25 October 2026.
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["29 03:00+0200"]),
        ("0 30 2 * * *", "Europe/Berlin", "2026-10-25", ["25 02:30+0200"]),
        ("0 2 * * *", "Europe/Berlin", "2026-10-25", ["25 02:00+0200"]),
        ("0 3 * * *", "Europe/Berlin", "2026-10-25", ["25 03:00+0100"]),
        # Lord Howe moves by half an hour: 4 October 2026 02:00 → 02:30, 5 April 2026 02:00 → 01:30.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["04 02:30+1100"]),
        ("45 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["04 02:45+1100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["05 01:45+1100"]),
        ("15 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["05 01:15+1100"]),
        ("*/15 1 * * *", "Australia/Lord_Howe", "2026-04-05",
         ["05 01:00+1100", "05 01:15+1100", "05 01:30+1100", "05 01:45+1100", "05 01:30+1030", "05 01:45+1030"]),
        # Kathmandu has no summer time, and an offset of 5:45.
        ("0 12 * * *", "Asia/Kathmandu", "2026-11-21", ["21 12:00+0545"]),
        # Cairo's and Beirut's clocks leap at midnight: the day starts at 01:00.
        ("0 0 * * *", "Africa/Cairo", "2026-04-24", ["24 01:00+0300"]),
        ("30 0 * * *", "Asia/Beirut", "2026-03-29", ["29 01:00+0300"]),
    ],
)  # fmt: skip
def test_days(text, zone, day, expected):
    assert fires_on(text, zone, day) == expected


def test_hourly_follows_real_time():
    assert len(fires_on("0 * * * *", "Europe/Berlin", "2026-03-29")) == 23
    assert len(fires_on("0 * * * *", "Europe/Berlin", "2026-10-25")) == 25
    assert len(fires_on("*/10 * * * * *", "Europe/Berlin", "2026-10-25")) == 25 * 360
    assert len(fires_on("0 0-23 * * *", "Europe/Berlin", "2026-10-25")) == 24


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        # From winter into summer and back: the offset of the start is not that of the fire.
        ("*/30 0 1 7 *", "2026-01-15T12:00:00", "2026-07-01T00:00:00-04:00"),
        ("30 0 1 7 *", "2026-01-15T12:00:00", "2026-07-01T00:30:00-04:00"),
        ("*/30 0 1 1 *", "2026-07-15T12:00:00", "2027-01-01T00:00:00-05:00"),
        ("30 0 1 1 *", "2026-07-15T12:00:00", "2027-01-01T00:30:00-05:00"),
        # Years away, on the very day of a change.
        ("*/30 1 7 11 *", "2021-11-08T00:00:00", "2022-11-07T01:00:00-05:00"),
        ("30 2 14 3 *", "2021-03-15T00:00:00", "2022-03-14T02:30:00-04:00"),
        ("30 2 8 3 *", "2025-03-09T00:00:00", "2026-03-08T03:00:00-04:00"),
        # Again within the hour that is just being repeated, and not next year.
        ("*/30 1 1 11 *", "2026-11-01T01:40:00-04:00", "2026-11-01T01:00:00-05:00"),
        ("0,30 1 1 11 *", "2026-11-01T01:40:00-04:00", "2027-11-01T01:00:00-04:00"),
    ],
)
def test_the_next_fire_may_be_far_away(text, after, expected):
    zone = ZoneInfo("America/New_York")
    start = datetime.fromisoformat(after)
    start = start if start.tzinfo else start.replace(tzinfo=zone)
    fire = parse(text, "America/New_York").next(int(start.timestamp()) * NS)
    assert fire is not None
    assert datetime.fromtimestamp(fire // NS, zone).isoformat() == expected


def test_apia_skipped_a_whole_day():
    # 30 December 2011 did not exist: its fires come together, right after the gap, with those of 31 December 00:00.
    assert fires_on("0 10 * * *", "Pacific/Apia", "2011-12-29", 3) == [
        "29 10:00-1000",
        "31 00:00+1400",
        "31 10:00+1400",
    ]
    assert fires_on("0 0,12 * * *", "Pacific/Apia", "2011-12-29", 3) == [
        "29 00:00-1000", "29 12:00-1000", "31 00:00+1400", "31 12:00+1400",
    ]  # fmt: skip
    assert len(fires_on("0 * * * *", "Pacific/Apia", "2011-12-29", 3)) == 48


def test_a_time_that_is_always_skipped_ends_the_search():
    """The second Sunday of March at 2 in New York, by real time: never since 2007."""
    schedule = parse("*/5 2 * 3 SUN#2", "America/New_York")
    assert schedule.next(1_795_219_200 * NS) is None
    assert schedule.next(0) is not None
    assert parse("5 2 * 3 SUN#2", "America/New_York").next(1_795_219_200 * NS) is not None
