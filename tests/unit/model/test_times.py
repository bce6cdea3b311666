"""Times as text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.times import parse_rfc3339, rfc3339


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("0001-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01t01:00:00.5+01:00", 500_000_000),
        ("1969-12-31T23:30:00-00:30", 0),
        ("2026-11-18 11:06:40z", 1_795_000_000_000_000_000),
        ("2026-11-18T11:06", 1_794_999_960_000_000_000),
        ("2262-04-11T23:47:16Z", 9_223_372_036_000_000_000),
    ],
)
def test_reading(text: str, ns: int) -> None:
    assert parse_rfc3339(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026-11-18", "2026-11-18T24:00:00Z", "2026-02-30T00:00:00Z", "2026-11-18T11:06:40+25:00",
     "2026-11-18T11:06:40+01:60", "1969-12-31T23:59:59Z", "2300-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
     "2026-11-18T11:06:40.1234567890Z", "2026-11-18T11:06:40Z\n", "٢٠٢٦-11-18T11:06:40Z"],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|outside"):
        parse_rfc3339(text)


@given(st.integers(0, 9_223_372_036_000_000_000))
def test_round_trip(ns: int) -> None:
    assert parse_rfc3339(rfc3339(ns)) == ns


@given(st.text(max_size=40))
def test_nothing_but_value_errors(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_rfc3339(text)
