"""`H`, `R` and `~`: drawn from the job's name, the same for ever; dsari's own times; how evenly jobs are spread."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.job import Hash
from dkronpy.schedule import ScheduleError, parse, upcoming
from dkronpy.schedule.fields import FIELDS, expand
from dkronpy.schedule.hashing import crc, draw, resolve

NS: Final = 1_000_000_000
AFTER: Final = 1_795_219_200 * NS
"""2026-11-21T00:00:00Z."""
ROWS: Final = json.loads((Path(__file__).parents[2] / "data" / "dsari-fires.json").read_text())
NAMES: Final = [f"job-{number}" for number in range(20_000)]


def times(text: str, job: str, hash: Hash = Hash.INDEPENDENT) -> tuple[int, ...]:
    """The distinct second, minute and hour fields of an expression, for a job."""
    return tuple(expand(text, field).mask for text, field in zip(resolve(text.split(), job, hash), FIELDS, strict=True))


def test_draws_never_change():
    """A change of these numbers would move every hashed job of every user."""
    assert [draw("hello", field.name, field.modulus) for field in FIELDS] == [14, 34, 23, 19, 11, 3]
    assert resolve(["H", "H/15", "H(9-17)", "H", "R", "R(1-5)"], "hello", Hash.INDEPENDENT) == (
        "4", "12-59/15", "16", "3", "8", "1",
    )  # fmt: skip
    assert crc("hello") == 907_060_870


@pytest.mark.parametrize("row", [row for row in ROWS if not row["schedule"].startswith("RRULE")], ids=str)
def test_dsaris_own_times(row):
    """dsari looks for the next whole second after a time, and adds the job's part of a second to what it finds."""
    schedule = parse(row["schedule"], "UTC", job=row["job"], hash=Hash.DSARI)
    shift = crc(row["job"]) * NS // 0xFFFF_FFFF
    fires = upcoming(schedule, AFTER + shift, 5)
    assert [(fire + 500) // 1000 for fire in fires] == [round(fire * 1_000_000) for fire in row["fires"]]


def test_all_minutes_and_hours_are_reached():
    """Chi-squared over the 1,440 pairs: 1,439 ± 5 standard deviations of 53.6."""
    found = Counter(times("0 H H * * *", name)[1:3] for name in NAMES)
    assert len(found) == 1440
    mean = len(NAMES) / 1440
    assert abs(sum((count - mean) ** 2 / mean for count in found.values()) - 1439) < 5 * 53.6


def test_dsari_reaches_a_sixth_of_them():
    assert len({times("0 H H * * *", name, Hash.DSARI)[1:3] for name in NAMES}) == 240


@pytest.mark.parametrize(("text", "count"), [("H/15", 4), ("H(30-59)/10", 3), ("H/30", 2), ("H(0-29)/7", 4)])
def test_no_job_has_fewer_runs_an_hour(text, count):
    counts = Counter(times(f"0 {text} * * * *", name)[1].bit_count() for name in NAMES)
    assert min(counts) == count
    few = Counter(times(f"0 {text} * * * *", name, Hash.DSARI)[1].bit_count() for name in NAMES)
    assert min(few) < count or text == "H(0-29)/7"


def test_every_month_has_the_day_and_weekdays_are_even():
    drawn = [times("0 0 0 H * *", name)[3] for name in NAMES]
    assert {mask.bit_length() - 1 for mask in drawn} == set(range(1, 29))
    weekdays = Counter(times("0 0 0 * * H", name)[5] for name in NAMES)
    assert len(weekdays) == 7
    assert max(weekdays.values()) < 1.1 * len(NAMES) / 7
    sundays = Counter(times("0 0 0 * * H", name, Hash.DSARI)[5] for name in NAMES)
    assert max(sundays.values()) == sundays[1] > 1.6 * len(NAMES) / 7


@pytest.mark.parametrize("name", ["hourly", "daily", "midnight", "weekly", "monthly", "yearly", "annually"])
def test_hashed_names(name):
    hashed = upcoming(parse(f"@H-{name}", "UTC", job="a"), AFTER, 20)
    assert len(set(hashed)) == 20
    assert hashed != upcoming(parse(f"@{name}", "UTC", job="a"), AFTER, 20)
    assert hashed == upcoming(parse(f"@h-{name}", "UTC", job="a"), AFTER, 20)
    if name == "midnight":
        assert all(fire // NS % 86_400 < 3 * 3600 for fire in hashed)


@pytest.mark.parametrize("text", ["@every 10s", "@at 2027-01-01T00:00:00Z", "@manually"])
def test_dsari_jobs_may_use_what_dsari_lacks(text):
    assert parse(text, job="a", hash=Hash.DSARI) == parse(text)


item = st.one_of(
    st.sampled_from(["H", "R", "H/15", "R/7", "H(1-5)", "R(0-6)", "H(1-5)/2", "h", "r(2-3)/1", "~", "*", "5"]),
    st.builds("{}({}-{})/{}".format, st.sampled_from("HRhr"), *[st.integers(0, 70)] * 3),
)


@given(st.lists(item, min_size=6, max_size=6), st.text(max_size=70), st.sampled_from(Hash))
def test_whatever_is_drawn_is_allowed_or_refused(texts, job, hash):
    try:
        resolved = resolve(texts, job, hash)
    except ScheduleError:
        return
    assert resolved == resolve(texts, job, hash)
    for text, field in zip(resolved, FIELDS, strict=True):
        if hash is Hash.INDEPENDENT and text not in texts:
            assert expand(text, field).mask


@pytest.mark.parametrize(
    ("text", "place", "mend"),
    [
        ("H/0 * * * *", "minute 'H/0'", "step must be 1 … 60"),
        ("H(50-70) * * * *", "minute '70'", "out of range"),
        ("H(30-10) * * * *", "minute 'H(30-10)'", "write H(10-30)"),
        ("0 H(a-b) * * *", "hour 'A'", "Allowed: 0-23"),
        ("0 H(1) * * *", "hour 'H(1)'", "H(10-20)/5"),
        ("* * * * HH", "day of week 'HH'", "not understood"),
        ("0 0 H(30-31) 2 *", "never fires", "month '2'"),
    ],
)
def test_refused(text, place, mend):
    with pytest.raises(ScheduleError) as refusal:
        parse(text, job="a")
    assert place in str(refusal.value)
    assert mend in str(refusal.value)


def test_dsari_has_seconds_last():
    with pytest.raises(ScheduleError, match="6 with seconds last"):
        parse("* * * *", hash=Hash.DSARI)
