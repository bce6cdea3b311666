"""Several schedules of one job, spread, and schedules in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkronpy.model.duration import SECOND
from dkronpy.model.job import Hash, Job, ScheduleEntry
from dkronpy.schedule import ScheduleError, describe_fire, env_at, upcoming
from dkronpy.schedule.wording import describe
from dkronpy.scheduling.fires import compiled

NOW = 1_795_219_200 * SECOND
"""2026-11-21T00:00:00Z."""
entries = st.builds(
    ScheduleEntry,
    st.sampled_from(["0 * * * *", "0 0 * * *", "@every 1h", "*/20 * * * *", "RRULE:FREQ=HOURLY", "30 2 * * *"]),
    timezone=st.sampled_from(["", "UTC", "Asia/Kathmandu", "America/New_York"]),
    env=st.dictionaries(st.sampled_from("AB"), st.sampled_from("xyz"), max_size=2),
)


@given(st.lists(entries, min_size=1, max_size=4))
def test_a_fire_of_any_is_one_fire_of_the_job(several):
    whole = compiled(Job("a", 0, schedules=tuple(several), timezone="UTC"))
    alone = [compiled(Job("a", 0, schedules=(entry,), timezone="UTC")) for entry in several]
    fires = upcoming(whole, NOW, 60)
    wanted = sorted({fire for one in alone for fire in upcoming(one, NOW, 60)})[:60]
    assert fires == wanted
    assert whole.count(NOW, fires[-1]) == 60
    for fire in fires:
        merged: dict[str, str] = {}
        for entry, one in zip(several, alone, strict=True):
            if one.next(fire - 1) == fire:
                merged |= entry.env
        assert env_at(whole, fire) == merged


def test_spread_is_fixed_for_a_job_and_even():
    plain = upcoming(compiled(Job("a", 0, schedule="0 * * * *", timezone="UTC")), NOW, 5)
    shifts = set()
    for number in range(300):
        job = Job(f"job-{number}", 0, schedule="0 * * * *", timezone="UTC", spread=600 * SECOND)
        fires = upcoming(compiled(job), NOW, 6)
        (shift,) = {fire % (3600 * SECOND) for fire in fires}
        assert 0 <= shift < 600 * SECOND
        assert {fire - shift for fire in fires} >= set(plain[:4])
        shifts.add(shift)
    assert len(shifts) > 200


def test_a_fire_is_shown_on_the_clock_of_its_schedule():
    job = Job("a", 0, timezone="UTC", schedules=(ScheduleEntry("0 9 * * *", "Asia/Tokyo"), ScheduleEntry("0 1 * * *")))
    schedule = compiled(job)
    shown = [describe_fire(schedule, fire).local for fire in upcoming(schedule, NOW, 2)]
    assert shown == ["2026-11-21T01:00:00+00:00", "2026-11-22T09:00:00+09:00"]


def test_a_fire_with_its_own_grace_stands_alone():
    after = ScheduleEntry("@after 2027-01-01T00:00:00Z <PT1H")
    assert compiled(Job("a", 0, schedules=(after,))).grace == 3600 * SECOND
    with pytest.raises(ScheduleError) as refusal:
        compiled(Job("a", 0, schedule="@daily", schedules=(after,)))
    assert refusal.value.field == "schedules"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("30 2 * * MON-FRI", "At 02:30, Monday through Friday"),
        ("TZ=Asia/Tokyo @daily", "At 00:00, on the clock of Asia/Tokyo"),
        ("H H * * *", "At 16:57"),
        ("@H-hourly", "At 4 seconds past the minute, at 57 minutes past the hour"),
        ("0 0 * * 1#2,5L", "When second, minute, hour, day of month, month and day of week are 0 0 0 * * 1#2,5L"),
        ("@every 90s", "Every 90s, counted from 1970-01-01T00:00:00Z"),
        ("@at 2027-01-01T00:00:00Z", "Once, at 2027-01-01T00:00:00Z"),
        ("@after 2027-01-01T00:00:00Z <PT2H", "Once, at 2027-01-01T00:00:00Z, or up to PT2H later"),
        ("@manually", "Only when somebody asks"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;BYHOUR=9", "Every 2 weeks, on MO or FR, at hour 9"),
        (
            "DTSTART:20260101T000000 RRULE:FREQ=DAILY;COUNT=3 RDATE:20270101T000000 EXDATE;VALUE=DATE:20260102",
            "Every day, 3 times, and at the dates added, but for the dates taken out",
        ),
        ("RDATE:20270101T000000", "At the dates given"),
    ],
)
def test_in_words(text, words):
    assert describe(text, "hello") == words


def test_dsari_in_words():
    words = describe("30 2 * * * *", "hello", Hash.DSARI)
    assert words == "Every second, at 30 minutes past the hour, between 02:00 and 02:59"
    assert describe("@daily", "hello", Hash.DSARI) == "At 11:10:32"
