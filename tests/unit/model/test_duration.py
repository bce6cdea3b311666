"""Durations as text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ns", 1),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("1μs", 1_000),
        ("250ms", 250_000_000),
        ("10s", 10_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("2d", 172_800_000_000_000),
        ("1d2h3m4.5s", 93_784_500_000_000),
        ("30m1h", 5_400_000_000_000),
        ("0.3ns", 0),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
def test_parse(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("", "1h30m"),
        ("10", "a unit each"),
        ("1 h", "1h30m"),
        ("1H", "units: ns, us, ms, s, m, h, d"),
        ("1y", "units"),
        ("h", "1h30m"),
        (".h", "1h30m"),
        ("1h,", "1h30m"),
        ("-1h", "negative"),
        ("+1h", "1h30m"),
        ("١h", "1h30m"),
        ("9223372036854775808ns", "too long"),
        ("999999d", "at most 106751d"),
        ("1" * 100 + "s", "1h30m"),
    ],
)
def test_refused(text, mend):
    with pytest.raises(ValueError, match=r".") as refusal:
        parse_duration(text)
    assert mend in str(refusal.value)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5us"),
        (250_000_000, "250ms"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m"),
        (5_400_000_000_000, "1h30m"),
        (129_600_000_000_000, "1d12h"),
        (86_400_000_000_001, "1d1ns"),
        (3_600_250_000_000, "1h250ms"),
    ],
)
def test_format(ns, text):
    assert format_duration(ns) == text


def test_negative_is_not_written():
    with pytest.raises(ValueError, match="negative"):
        format_duration(-1)


@given(st.integers(0, 2**63 - 1))
def test_what_is_written_is_read_back(ns):
    assert parse_duration(format_duration(ns)) == ns


@given(st.text())
def test_any_text_gives_a_duration_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert 0 <= parse_duration(text) < 2**63
