"""Times and durations as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dkronpy.cli.times import parse_when, show_elapsed, show_relative, show_span

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("now", "2026-11-21T12:00:00Z"),
        ("2h", "2026-11-21T10:00:00Z"),
        ("-1d", "2026-11-20T12:00:00Z"),
        ("+1h30m", "2026-11-21T13:30:00Z"),
        ("2026-11-20T02:30:00+01:00", "2026-11-20T01:30:00Z"),
        ("2026-11-20T02:30:00.5Z", "2026-11-20T02:30:00.500000Z"),
        (" 2026-11-20T02:30:00Z ", "2026-11-20T02:30:00Z"),
    ],
)
def test_when(text: str, time: str) -> None:
    assert parse_when(text, NOW) == time


@pytest.mark.usefixtures("dkron")
def test_a_time_without_offset_is_local() -> None:
    assert parse_when("2026-11-20T02:30", NOW) == "2026-11-20T01:30:00Z"
    assert parse_when("2026-07-20", NOW) == "2026-07-19T22:00:00Z"


@pytest.mark.parametrize("text", ["", "yesterday", "5", "+", "2026-13-01T00:00Z", "999999999d", "2026", "\x00"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time: write RFC 3339"):
        parse_when(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "<1ms"),
        (0.0123, "12ms"),
        (1, "1s"),
        (1.55, "1.6s"),
        (9.96, "10s"),
        (0.9996, "1s"),
        (42.4, "42s"),
        (60, "1m"),
        (61, "1m 1s"),
        (605, "10m"),
        (3600 + 120 + 3, "1h 2m"),
        (3600 + 3, "1h"),
        (86400 * 1.5, "1d 12h"),
        (86400 * 40, "40d"),
    ],
)
def test_span(seconds: float, text: str) -> None:
    assert show_span(seconds) == text


def test_relative() -> None:
    def at(seconds: float) -> str:
        return (NOW + timedelta(seconds=seconds)).isoformat()

    assert [show_relative(at(seconds), NOW) for seconds in (-7200, -0.5, 0.5, 90)] == [
        "2h ago",
        "now",
        "now",
        "in 1m 30s",
    ]
    assert show_relative(None, NOW) == "-"
    assert show_relative("2026-11-21T12:00:05.123456789Z", NOW) == "in 5.1s"


def test_elapsed() -> None:
    assert show_elapsed(None, None, NOW) == "-"
    assert show_elapsed("2026-11-21T11:59:00Z", None, NOW) == "1m"
    assert show_elapsed("2026-11-21T11:59:00Z", "2026-11-21T11:59:02Z", NOW) == "2s"
    assert show_elapsed("2026-11-21T12:00:01Z", None, NOW) == "<1ms"  # clocks differ
