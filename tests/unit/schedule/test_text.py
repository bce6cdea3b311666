"""Whole schedules from their text: every form, what it fires at, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dkronpy.schedule import Schedule, ScheduleError, parse, upcoming

NS = 1_000_000_000


def ns(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def fires(text: str, count: int = 3, after: str = "2026-11-21T07:00:30+00:00", zone: str = "UTC", job: str = ""):
    times = upcoming(parse(text, zone, job=job), ns(after), count)
    return [datetime.fromtimestamp(time / NS, UTC).strftime("%a %Y-%m-%d %H:%M:%S") for time in times]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Five fields are a classic crontab line; six have seconds first.
        ("0 * * * *", ["Sat 2026-11-21 08:00:00", "Sat 2026-11-21 09:00:00"]),
        ("0 0 12 * * *", ["Sat 2026-11-21 12:00:00", "Sun 2026-11-22 12:00:00"]),
        ("*/7 * * * * *", ["Sat 2026-11-21 07:00:35", "Sat 2026-11-21 07:00:42"]),
        ("5/15 * * * * *", ["Sat 2026-11-21 07:00:35", "Sat 2026-11-21 07:00:50"]),
        ("  */5\t* * * *  ", ["Sat 2026-11-21 07:05:00", "Sat 2026-11-21 07:10:00"]),
        # A star with a step still counts as a star: both day fields must match.
        ("0 0 0 */2 * MON", ["Mon 2026-11-23 00:00:00", "Mon 2026-12-07 00:00:00"]),
        ("0 0 1 * */2", ["Tue 2026-12-01 00:00:00"]),
        # Both restricted: either may match.
        ("0 0 0 13 * FRI", [
            "Fri 2026-11-27 00:00:00", "Fri 2026-12-04 00:00:00", "Fri 2026-12-11 00:00:00",
            "Sun 2026-12-13 00:00:00"]),
        ("0 0 13 * ?", ["Sun 2026-12-13 00:00:00", "Wed 2027-01-13 00:00:00"]),
        ("0 0 ? * 7", ["Sun 2026-11-22 00:00:00", "Sun 2026-11-29 00:00:00"]),
        ("0 0 L * *", [
            "Mon 2026-11-30 00:00:00", "Thu 2026-12-31 00:00:00", "Sun 2027-01-31 00:00:00",
            "Sun 2027-02-28 00:00:00"]),
        ("0 0 L 2 *", ["Sun 2027-02-28 00:00:00", "Tue 2028-02-29 00:00:00"]),
        ("0 0 * * 5L", ["Fri 2026-11-27 00:00:00", "Fri 2026-12-25 00:00:00", "Fri 2027-01-29 00:00:00"]),
        ("0 0 * * MON#2", ["Mon 2026-12-14 00:00:00", "Mon 2027-01-11 00:00:00"]),
        ("0 0 29 2 *", ["Tue 2028-02-29 00:00:00", "Sun 2032-02-29 00:00:00"]),
        ("0 0 * 2 MON#5", ["Mon 2044-02-29 00:00:00", "Mon 2072-02-29 00:00:00", "Mon 2112-02-29 00:00:00"]),
        ("@yearly", ["Fri 2027-01-01 00:00:00", "Sat 2028-01-01 00:00:00"]),
        ("@annually", ["Fri 2027-01-01 00:00:00", "Sat 2028-01-01 00:00:00"]),
        ("@monthly", ["Tue 2026-12-01 00:00:00", "Fri 2027-01-01 00:00:00"]),
        ("@weekly", ["Sun 2026-11-22 00:00:00", "Sun 2026-11-29 00:00:00"]),
        ("@daily", ["Sun 2026-11-22 00:00:00", "Mon 2026-11-23 00:00:00"]),
        ("@midnight", ["Sun 2026-11-22 00:00:00", "Mon 2026-11-23 00:00:00"]),
        ("@hourly", ["Sat 2026-11-21 08:00:00", "Sat 2026-11-21 09:00:00"]),
        ("@minutely", ["Sat 2026-11-21 07:01:00", "Sat 2026-11-21 07:02:00"]),
        ("@Daily", ["Sun 2026-11-22 00:00:00"]),
        # Anchored to the epoch: the multiples of 90 minutes are the same ones after every restart.
        ("@every 1h30m", ["Sat 2026-11-21 07:30:00", "Sat 2026-11-21 09:00:00"]),
        ("@every  10s", ["Sat 2026-11-21 07:00:40", "Sat 2026-11-21 07:00:50"]),
        ("TZ=UTC 0 0 0 * * *", ["Sun 2026-11-22 00:00:00"]),
    ],
)  # fmt: skip
def test_fires(text, expected):
    assert fires(text, len(expected)) == expected


def test_tilde_takes_the_jobs_name():
    assert fires("~ ~ * * * *", 2, job="job1") == ["Sat 2026-11-21 07:04:04", "Sat 2026-11-21 08:04:04"]
    assert parse("~ ~ 3 * * *", job="ab") == parse("~ ~ 3 * * *", job="ba")


def test_the_zone_applies_to_names_and_the_prefix_wins():
    assert fires("@daily", 1, zone="Asia/Kathmandu") == ["Sat 2026-11-21 18:15:00"]
    assert fires("TZ=Asia/Kathmandu @daily", 1, zone="America/New_York") == ["Sat 2026-11-21 18:15:00"]
    assert fires("CRON_TZ=America/New_York 0 9 * * *", 1) == ["Sat 2026-11-21 14:00:00"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("@at 2027-01-01T00:00:00Z", "2027-01-01T00:00:00+00:00"),
        ("@at 2027-01-01t01:30:00.123456+01:30", "2027-01-01T00:00:00.123456+00:00"),
        ("@at 2026-12-31T19:00:00-05:00", "2027-01-01T00:00:00+00:00"),
        ("@after 2027-01-01T00:00:00Z <PT2H", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_one_time(text, at):
    schedule = parse(text)
    assert schedule.next(0) == ns(at)
    assert schedule.next(ns(at) - 1) == ns(at)
    assert schedule.next(ns(at)) is None
    assert (schedule.count(0, ns(at) - 1), schedule.count(0, ns(at)), schedule.count(ns(at), 2 * ns(at))) == (0, 1, 0)


@pytest.mark.parametrize(
    ("grace", "seconds"),
    [("PT2H", 7200), ("PT30S", 30), ("P1DT12H", 129_600), ("P2W", 1_209_600), ("PT1H30M", 5400), ("PT0S", 0)],
)
def test_grace(grace, seconds):
    assert parse(f"@after 2027-01-01T00:00:00Z <{grace}").grace == seconds * NS


@pytest.mark.parametrize("text", ["* * * * *", "@every 1s", "@at 2027-01-01T00:00:00Z", "@manually"])
def test_others_have_no_grace(text):
    assert parse(text).grace is None


def test_manually_never_fires():
    schedule = parse("@manually")
    assert schedule.next(0) is None
    assert schedule.count(0, 10**20) == 0


def test_nothing_fires_beyond_64_bits():
    end = ns("2262-04-11T23:47:16+00:00")
    for text in ("* * * * *", "0 0 * * *", "@every 1s", "0 0 29 2 *"):
        schedule = parse(text, "Europe/Berlin")
        assert schedule.next(end) is None
        assert schedule.next(10**30) is None
        last = schedule.next(ns("2256-01-01T00:00:00+00:00"))
        assert last is not None
        assert last < 2**63
        assert schedule.count(end, 10**30) == 0


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("TZ=UTC", "empty"),
        ("* * * *", "4 fields"),
        ("* * * * * * *", "7 fields"),
        ("0 0 1 1 * 2027 *", "5 are allowed (minute, hour, day of month, month, day of week), or 6 with seconds first"),
        ("0 0 31 2 *", "never fires: no year has a day with day of month '31', month '2'"),
        ("0 0 30,31 2 ?", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("@dayly", "did you mean @daily?"),
        ("@reboot", "Allowed: @yearly"),
        ("@every", "not a duration"),
        ("@every 1x", "1h30m"),
        ("@every 500ms", "whole seconds, at least one"),
        ("@every 1.5s", "whole seconds"),
        ("@every 0s", "at least one"),
        ("@every -1h", "negative"),
        ("@at", "2026-12-24T18:00:00Z"),
        ("@at tomorrow", "2026-12-24T18:00:00Z"),
        ("@at 2027-01-01T00:00:00", "add Z for UTC"),
        ("@at 2027-02-30T00:00:00Z", "day is out of range"),
        ("@at 1969-12-31T23:59:59Z", "1970"),
        ("@at 2263-01-01T00:00:00Z", "2262"),
        ("@after 2027-01-01T00:00:00Z", "@after takes a time and how late"),
        ("@after 2027-01-01T00:00:00Z <P", "ISO 8601"),
        ("@after 2027-01-01T00:00:00Z <P1M", "ISO 8601"),
        ("@after 2027-01-01T00:00:00Z <2h", "PT2H"),
        ("@daily 5", "stands alone"),
        ("* * * * * # every minute", "8 fields"),
        ("0 0 * * *\nrm", "'\\n'"),
        ("０ * * * *", "plain ASCII"),
        ("1," * 500 + "1 * * * *", "at most 1000"),
    ],
)
def test_refused(text, mend):
    with pytest.raises(ScheduleError) as refusal:
        parse(text)
    assert mend in str(refusal.value)
    assert refusal.value.field == "schedule"


@pytest.mark.parametrize(
    ("zone", "mend"),
    [
        ("Berlin", "did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Europe", "IANA name"),
        ("right/Europe/Berlin", "not known"),
        ("../../etc/passwd", "not known"),
        ("/usr/share/zoneinfo/UTC", "not known"),
        ("Zzz/\x00", "not known"),
        ("x" * 10_000, "IANA name"),
    ],
)
def test_unknown_zone(zone, mend):
    with pytest.raises(ScheduleError):
        parse(f"TZ={zone} @daily")
    with pytest.raises(ScheduleError, match="time zone") as refusal:
        parse("@daily", zone)
    assert mend in str(refusal.value)
    assert refusal.value.field == "timezone"
    assert len(str(refusal.value)) < 300


def test_equal_schedules_are_shared_and_immutable():
    schedule = parse("0 9 * * MON-FRI", "Europe/Berlin")
    assert schedule is parse("0 0 9 * * MON-FRI", "Europe/Berlin")
    assert schedule == parse("0 9 * * 1-5", "Europe/Berlin")
    assert hash(schedule) == hash(parse("0 9 * * 1-5", "Europe/Berlin"))
    assert schedule != parse("0 9 * * 1-5", "Europe/Paris")
    with pytest.raises(AttributeError):
        schedule.zone = None  # pyright: ignore[reportAttributeAccessIssue]


def words() -> st.SearchStrategy[str]:
    pieces = [
        *"*/-,?LW#~H@05é٣² \t\x00",
        "R(",
        "<PT",
        "TZ=",
        "MON",
        "JAN",
        "UTC",
        "Europe/Berlin",
        "1h",
        "59",
        "9" * 11,
    ]
    times = ["@every ", "@at ", "@after ", "2027-01-01T00:00:00Z"]
    return st.lists(st.sampled_from(pieces + times), max_size=40).map("".join)


def lines() -> st.SearchStrategy[str]:
    """Five or six fields that are mostly right, so that each field's text gets its turn."""
    right = st.sampled_from(["*", "1", "*/2", "?"])
    return st.lists(st.one_of(right, right, right, words()), min_size=5, max_size=6).map(" ".join)


@given(text=st.one_of(words(), lines(), st.text()), zone=st.one_of(st.just("UTC"), st.just("UTC"), st.text()))
@example(text="@every 9999999999999999999h", zone="UTC")
@example(text="@at 9999-12-31T23:59:59-23:59", zone="UTC")
@example(text="@at 0001-01-01T00:00:00+23:59", zone="UTC")
@example(text="@after 2027-01-01T00:00:00Z <P999999WT999999H", zone="UTC")
@example(text="0 0 ² * *", zone="UTC")
@example(text="\x1f\x1f", zone="UTC")
def test_whatever_the_text_only_a_schedule_error_is_raised(text, zone):
    try:
        schedule: Schedule = parse(text, zone, job="job")
    except ScheduleError:
        return
    fire = schedule.next(1_800_000_000 * NS)
    assert fire is None or fire > 1_800_000_000 * NS
