"""Zones as spans of constant offset, compared with zoneinfo itself."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.schedule import local_zone, zones
from dkronpy.schedule.zones import LAST_SECOND, Zone, zone

NAMES = sorted(name for name in available_timezones() if "/" in name)


def offset(name: str, second: int) -> int:
    found = datetime.fromtimestamp(second, ZoneInfo(name)).utcoffset()
    assert found is not None
    return int(found.total_seconds())


@given(name=st.sampled_from(NAMES), second=st.integers(0, 5_000_000_000))
def test_a_span_has_one_offset_and_ends_with_it(name, second):
    span = zone(name).span(second)
    assert span.start <= second < span.end
    inside = range(span.start, span.end, max(1, (span.end - span.start) // 20))
    assert {offset(name, probe) for probe in [*inside, second, span.end - 1]} == {span.offset}
    assert span.resume == span.start + offset(name, span.start - 1)
    following = zone(name).span(span.end)
    assert following.start <= span.end < following.end


def test_every_change_of_a_century_is_found():
    for name in ("Europe/Berlin", "Africa/Casablanca", "Asia/Gaza", "America/Recife", "Asia/Kathmandu"):
        whole, second = Zone(name, ZoneInfo(name)), 0
        while second < 3_200_000_000:
            span = whole.span(second)
            assert all(offset(name, probe) == span.offset for probe in range(second, span.end, 43_200)), name
            second = span.end


def test_the_last_second_is_known():
    assert zone("Europe/Berlin").span(LAST_SECOND).offset == 2 * 3600


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Sets what the host says of its zone; the answer is not kept."""

    def setting(tz: str | None, link: str = "", text: str = "") -> str:
        monkeypatch.delenv("TZ", raising=False)
        if tz is not None:
            monkeypatch.setenv("TZ", tz)
        localtime, timezone = tmp_path / "localtime", tmp_path / "timezone"
        localtime.unlink(missing_ok=True)
        timezone.unlink(missing_ok=True)
        if link:
            localtime.symlink_to(link)
        if text:
            timezone.write_text(text)
        monkeypatch.setattr(zones, "_LOCALTIME", Path(localtime))
        monkeypatch.setattr(zones, "_TIMEZONE", Path(timezone))
        return local_zone.__wrapped__()

    return setting


def test_local_zone(host, caplog):
    assert host("Europe/Berlin", link="/usr/share/zoneinfo/Asia/Tokyo") == "Europe/Berlin"
    assert host(":Europe/Berlin") == "Europe/Berlin"
    assert host("") == "UTC"
    assert host(":/usr/share/zoneinfo/Asia/Tokyo") == "Asia/Tokyo"
    assert host(None, link="/usr/share/zoneinfo/Asia/Tokyo", text="Europe/Berlin\n") == "Asia/Tokyo"
    assert host(None, text="Europe/Berlin\n") == "Europe/Berlin"
    assert host(None) == "UTC"
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert host("Nowhere/Land") == "UTC"
    assert "Nowhere/Land" in caplog.text
