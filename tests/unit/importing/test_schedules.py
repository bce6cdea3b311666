"""Schedules of Dkrons: read as they did, and written here so that the same fires come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.importing.changes import Kind
from dkronpy.importing.cron import fires
from dkronpy.importing.dump import Dialect
from dkronpy.importing.schedules import translated
from dkronpy.model.times import parse_rfc3339, rfc3339
from dkronpy.schedule import parse, upcoming

V1, V4 = Dialect.V1, Dialect.V4
NOW = parse_rfc3339("2026-11-21T12:34:56Z")


def theirs(schedule: str, dialect: Dialect, timezone: str = "UTC", *, after: str = "", count: int = 3) -> list[str]:
    start = parse_rfc3339(after) if after else NOW
    return [rfc3339(fire) for fire in fires(schedule, timezone, dialect, job="hashed", after=start, count=count)]


@pytest.mark.parametrize(
    ("schedule", "dialect", "expected"),
    [
        # Five fields have seconds first: each minute, not at the start of each hour.
        ("0 * * * *", V1, ["2026-11-21T12:35:00Z", "2026-11-21T12:36:00Z"]),
        ("0 0 12 * * *", V1, ["2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z"]),
        ("5/15 * * * * *", V1, ["2026-11-21T12:35:05Z", "2026-11-21T12:35:20Z"]),
        ("*/7 * * * * *", V1, ["2026-11-21T12:35:00Z", "2026-11-21T12:35:07Z"]),
        # Odd days that are Mondays, or odd days and Mondays.
        ("0 0 0 */2 * MON", V1, ["2026-11-23T00:00:00Z", "2026-12-07T00:00:00Z"]),
        ("0 0 0 */2 * MON", V4, ["2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z"]),
        ("0 0 0 13 * FRI", V1, ["2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z"]),
        ("@hourly", V1, ["2026-11-21T13:00:00Z", "2026-11-21T14:00:00Z"]),
        ("@at 2030-01-01T00:00:00Z", V1, ["2030-01-01T00:00:00Z"]),
        ("@at 2018-01-01T00:00:00Z", V1, []),
        ("@manually", V4, []),
        ("@after 2030-01-01T00:00:00Z <PT2H", V4, ["2030-01-01T00:00:00Z"]),
        ("TZ=Asia/Tokyo 0 0 0 * * *", V4, ["2026-11-21T15:00:00Z", "2026-11-22T15:00:00Z"]),
        ("~ ~ 3 * * *", V4, ["2026-11-22T03:21:21Z", "2026-11-23T03:21:21Z"]),
    ],
)
def test_dkrons_reading(schedule: str, dialect: Dialect, expected: list[str]) -> None:
    assert theirs(schedule, dialect, count=2) == expected


def test_dkron_skips_a_time_that_is_not_and_fires_twice_where_it_is_twice() -> None:
    spring, autumn = "2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"
    assert theirs("0 30 2 * * *", V1, "Europe/Berlin", after=spring, count=1) == ["2026-03-30T00:30:00Z"]
    assert theirs("0 30 2 * * *", V1, "Europe/Berlin", after=autumn) == [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-26T01:30:00Z",
    ]


def test_every_counts_from_the_fire_that_dkron_told_of() -> None:
    told = parse_rfc3339("2026-11-21T02:13:03.7Z")
    found = fires("@every 13s", "", V1, job="big", after=NOW, count=2, next_fire=told)
    assert [(fire - told + 700_000_000) % 13_000_000_000 for fire in found] == [0, 0]
    assert found[0] > NOW
    assert found[1] - found[0] == 13_000_000_000


@pytest.mark.parametrize(
    "schedule", ["0 0 0 * * 7", "* * * *", "0 0 25 * * *", "@never", "@every soon", "0/0 * * * * *"]
)
def test_what_dkron_did_not_take_is_told(schedule: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        fires(schedule, "UTC", V1, job="job1", after=NOW, count=1)


@pytest.mark.parametrize(
    ("schedule", "dialect", "written", "kinds"),
    [
        ("0 30 2 * * *", V1, "0 30 2 * * *", []),
        ("0 */15 * * *", V1, "0 */15 * * * *", [Kind.FIVE_FIELDS]),
        ("0 0 9 ? * MON-FRI", V1, "0 0 9 ? * MON-FRI", []),
        ("*/90 * * * * *", V1, "0 * * * * *", [Kind.FIELDS]),
        ("0 0 0 */10 * MON", V4, "0 0 0 1,11,21,31 * MON", [Kind.FIELDS]),
        ("0 0 0 */10 * MON", V1, "0 0 0 */10 * MON", []),
        ("0 0 0 */10 * *", V4, "0 0 0 */10 * *", []),
        ("@daily", V1, "@daily", []),
        ("@daily", V4, "@daily", [Kind.NAMED_ZONE]),
        ("@every 90s", V1, "@every 90s", [Kind.EVERY]),
        ("@every 1500ms", V1, "@every 1s", [Kind.FIELDS, Kind.EVERY]),
        ("@every 500ms", V4, "@every 1s", [Kind.FIELDS, Kind.EVERY]),
        ("@at 2018-01-01T00:00:00Z", V1, "@at 2018-01-01T00:00:00Z", [Kind.PAST]),
        ("TZ=UTC 0 0 0 * * *", V4, "TZ=UTC 0 0 0 * * *", []),
        ("~ ~ 3 * * *", V4, "~ ~ 3 * * *", []),
    ],
)
def test_translated(schedule: str, dialect: Dialect, written: str, kinds: list[Kind]) -> None:
    text, changes = translated(schedule, "UTC", dialect, job="hashed", now=NOW)
    assert (text, [change.kind for change in changes]) == (written, kinds)
    parse(text, "UTC")


def test_without_a_time_zone_the_servers_counts() -> None:
    _, changes = translated("0 0 3 * * *", "", V1, job="job1", now=NOW)
    assert [change.kind for change in changes] == [Kind.ZONE]


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    start = st.one_of(st.just("*"), st.just("?"), number.map(str), ranges)
    item = st.one_of(start, st.tuples(start, st.integers(1, high + 5)).map(lambda pair: f"{pair[0]}/{pair[1]}"))
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


_CLOCK = st.tuples(_field(0, 59), _field(0, 59), _field(0, 23))
_DAYS = st.tuples(_field(1, 28), _field(1, 12), _field(0, 6))


@given(
    clock=_CLOCK,
    days=_DAYS,
    dialect=st.sampled_from(Dialect),
    start=st.integers(1_577_836_800, 1_893_456_000),
)
def test_the_same_fires_come_out(clock: tuple[str, ...], days: tuple[str, ...], dialect: Dialect, start: int) -> None:
    """In a zone whose clock never changes: what either does when it does is another matter."""
    after = start * 1_000_000_000
    schedule = " ".join((*clock, *days))
    text, _ = translated(schedule, "UTC", dialect, job="job1", now=after)
    expected = fires(schedule, "UTC", dialect, job="job1", after=after, count=3)
    assert upcoming(parse(text, "UTC"), after, 3) == expected
