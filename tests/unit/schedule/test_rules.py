"""iCalendar rules: against dateutil, on every zone's clock, and what is refused."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from dkronpy.model.job import Hash
from dkronpy.schedule import Schedule, ScheduleError, parse, upcoming
from dkronpy.schedule.hashing import crc
from dkronpy.schedule.rule import Rule
from tests.unit.schedule.test_oracles import RESTLESS, moments

pytestmark = pytest.mark.timeout(600)  # dateutil takes its time when there are many examples

NS: Final = 1_000_000_000
EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the clock of no zone
ROWS: Final = json.loads((Path(__file__).parents[2] / "data" / "dsari-fires.json").read_text())


def numbers(low: int, high: int, *, signed: bool = False, most: int = 3) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    if signed:
        value = st.tuples(value, st.sampled_from([1, 1, -1])).map(lambda pair: pair[0] * pair[1])
    return st.lists(value, min_size=1, max_size=most, unique=True).map(lambda values: ",".join(map(str, values)))


@st.composite
def rules(draw) -> str:
    """A rule that dateutil and the standard read alike."""
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]))
    parts = [f"FREQ={frequency}"]

    def maybe(name: str, values: st.SearchStrategy[str], chance: int = 3) -> None:
        if draw(st.integers(0, chance)) == 0:
            parts.append(f"{name}={draw(values)}")

    maybe("INTERVAL", st.sampled_from(["1", "2", "3", "5", "7", "12", "24", "60", "100"]), 1)
    maybe("BYMONTH", numbers(1, 12))
    if frequency == "YEARLY":
        maybe("BYWEEKNO", numbers(1, 51, signed=True), 6)  # 52 and 53 dateutil mixes up, see test_years
    if frequency not in ("MONTHLY", "WEEKLY", "DAILY"):
        maybe("BYYEARDAY", numbers(1, 366, signed=True), 6)
    if frequency != "WEEKLY":
        maybe("BYMONTHDAY", numbers(1, 31, signed=True))
    nth = frequency in ("YEARLY", "MONTHLY") and not any("WEEKNO" in part for part in parts)
    # With and without a number side by side dateutil mixes up, see test_years.
    places = draw(st.sampled_from([[""], ["1", "-1", "2", "+3", "5"]])) if nth else [""]
    weekday = st.builds("{}{}".format, st.sampled_from(places), st.sampled_from(WEEKDAYS))
    maybe("BYDAY", st.lists(weekday, min_size=1, max_size=3).map(",".join))
    maybe("BYHOUR", numbers(0, 23))
    maybe("BYMINUTE", numbers(0, 59))
    maybe("BYSECOND", numbers(0, 59))
    maybe("BYSETPOS", numbers(1, 4, signed=True, most=2))
    maybe("WKST", st.sampled_from(WEEKDAYS))
    if draw(st.integers(0, 4)) == 0:
        parts.append(f"COUNT={draw(st.integers(1, 30))}")
    return ";".join(parts)


WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
starts = st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)).map(lambda start: start.replace(microsecond=0))  # noqa: DTZ001


@given(rules(), starts, st.integers(-10, 200 * 86_400))
def test_dateutil_agrees(rule, start, ahead):
    text = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{rule}"
    after = start + timedelta(seconds=ahead)
    try:
        schedule = parse(text, "UTC")
    except ScheduleError as error:
        assume("never fires" not in str(error))
        raise
    count = int(rule.partition("COUNT=")[2] or 0)
    if count and len(found := fires_of(schedule, start - timedelta(seconds=1), count + 1)) == count:
        assume(found[-1] < after + timedelta(days=3000))
        assert found == list(rrulestr(text))
    found = fires_of(schedule, after, 4)
    # dateutil looks for what never comes until the year 9999.
    assume(len(found) == 4 and found[-1] < after + timedelta(days=3000))
    assert found == list(rrulestr(text).xafter(after, count=4))


def fires_of(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    fires = upcoming(schedule, int((after - EPOCH).total_seconds()) * NS, count)
    return [EPOCH + timedelta(seconds=fire // NS) for fire in fires]


@given(
    st.sampled_from(
        ["DAILY", "WEEKLY;BYDAY=MO,SU", "MONTHLY;BYMONTHDAY=1,15,-1", "DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,30"]
    ),
    st.one_of(moments(), moments(RESTLESS)),
)
def test_fixed_times_on_every_clock(rule, moment):
    """As crontab lines of the same times: each once, right after a gap when it is skipped."""
    name, second = moment
    start = datetime.fromtimestamp(second, ZoneInfo(name)).replace(tzinfo=None) - timedelta(days=100)
    text = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:FREQ={rule}"
    hours, minutes = ("0-3", "0,30") if "BYHOUR" in rule else (str(start.hour), str(start.minute))
    days = {"WEEKLY;BYDAY=MO,SU": "* * MON,SUN", "MONTHLY;BYMONTHDAY=1,15,-1": "1,15,L * *"}.get(rule, "* * *")
    cron = parse(f"{start.second} {minutes} {hours} {days}", name)
    found = parse(text, name)
    after = (second - 2 * 86_400) * NS
    assert upcoming(found, after, 8) == upcoming(cron, after, 8)
    assert found.count(after, after + 5 * 86_400 * NS) == cron.count(after, after + 5 * 86_400 * NS)


@given(
    st.sampled_from([("HOURLY;BYMINUTE=30;BYSECOND=0", "30 * * * *"), ("MINUTELY;BYSECOND=0", "* * * * *")]),
    moments(RESTLESS),
)
def test_quick_rules_follow_real_time(pair, moment):
    name, second = moment
    after = max(second - 3600, 900_000_000) * NS  # a rule's own start is before 1998
    assert upcoming(parse(f"RRULE:FREQ={pair[0]}", name), after, 200) == upcoming(parse(pair[1], name), after, 200)


@pytest.mark.parametrize("row", [row for row in ROWS if row["schedule"].startswith("RRULE")], ids=str)
def test_dsaris_own_times(row):
    """All of these are the same whenever dsari is started. Those that are not, such as FREQ=WEEKLY without BYDAY, have
    nothing to be equal to."""
    schedule = parse(row["schedule"], "UTC", job=row["job"], hash=Hash.DSARI)
    shift = crc(row["job"]) * NS // 0xFFFF_FFFF
    fires = upcoming(schedule, 1_795_219_200 * NS + shift, 5)
    assert [(fire + 500) // 1000 for fire in fires] == [round(fire * 1_000_000) for fire in row["fires"]]


def local(
    text: str, zone: str = "Europe/Berlin", after: str = "2026-11-21T00:00:00+00:00", count: int = 3, job: str = "a"
):
    schedule = parse(text, zone, job=job)
    fires = upcoming(schedule, int(datetime.fromisoformat(after).timestamp()) * NS, count)
    return [schedule.zone.at(fire).strftime("%a %m-%d %H:%M:%S %z") for fire in fires]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RRULE:FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", ["Sat 11-21 09:00:00 +0100", "Sun 11-22 09:00:00 +0100"]),
        ("TZ=UTC rrule:freq=daily;byhour=9;byminute=0;bysecond=0", ["Sat 11-21 09:00:00 +0000"]),
        ("DTSTART;TZID=Asia/Tokyo:20260101T090000 RRULE:FREQ=DAILY", ["Sun 11-22 09:00:00 +0900"]),
        ("DTSTART:20260101T090000Z RRULE:FREQ=DAILY", ["Sat 11-21 09:00:00 +0000"]),
        ("DTSTART;VALUE=DATE:20260101 RRULE:FREQ=WEEKLY", ["Thu 11-26 00:00:00 +0100"]),
        # The last workday of a month; several rules; dates more and less.
        (
            "DTSTART:20260101T180000 RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            ["Mon 11-30 18:00:00 +0100", "Thu 12-31 18:00:00 +0100"],
        ),
        (
            "DTSTART:20260101T080000\nRRULE:FREQ=WEEKLY;BYDAY=MO\nRRULE:FREQ=WEEKLY;BYDAY=FR;BYHOUR=12",
            ["Mon 11-23 08:00:00 +0100", "Fri 11-27 12:00:00 +0100"],
        ),
        (
            ("DTSTART:20260101T080000\r\nRRULE:FREQ=DAILY;INTE\r\n RVAL=1\r\nEXDATE:20261121T080000"
            ",20261122T070000Z\r\nEXDATE;VALUE=DATE:20261123,20261124\r\nRDATE:20261125T000000Z\r\n"),
            ["Wed 11-25 01:00:00 +0100", "Wed 11-25 08:00:00 +0100"],
        ),
        ("RDATE;TZID=America/New_York:20261224T180000,20270101T000000", ["Fri 12-25 00:00:00 +0100"]),
        # COUNT and UNTIL, as a day, a local time, and in UTC.
        ("DTSTART:20261120T090000 RRULE:FREQ=DAILY;COUNT=3", ["Sat 11-21 09:00:00 +0100", "Sun 11-22 09:00:00 +0100"]),
        ("DTSTART:20261120T090000 RRULE:FREQ=DAILY;UNTIL=20261121", ["Sat 11-21 09:00:00 +0100"]),
        ("DTSTART:20261120T090000 RRULE:FREQ=DAILY;UNTIL=20261122T085959", ["Sat 11-21 09:00:00 +0100"]),
        ("DTSTART:20261120T090000 RRULE:FREQ=DAILY;UNTIL=20261122T080000Z", [
            "Sat 11-21 09:00:00 +0100", "Sun 11-22 09:00:00 +0100"]),
        ("DTSTART:20251020T023000 RRULE:FREQ=DAILY;UNTIL=20251026T003000Z", []),
        # dateutil looks for the end of such a rule for hours.
        ("DTSTART:19700101T000000 RRULE:FREQ=SECONDLY;INTERVAL=86400", ["Sun 11-22 00:00:00 +0100"]),
    ],
)  # fmt: skip
def test_fires(text, expected):
    found = local(text, count=len(expected) + 1)
    assert found[: len(expected)] == expected
    assert len(found) == len(expected) or not ("COUNT" in text or "UNTIL" in text)


def test_the_last_of_a_repeated_hour_is_not_past_its_end():
    """02:30 of 26 October 2025 was first shown at 00:30 UTC; the end is the second time the clock shows 02:15."""
    text = "DTSTART:20251020T023000 RRULE:FREQ=DAILY;UNTIL=20251026T011500Z"
    assert local(text, after="2025-10-25T12:00:00+00:00") == ["Sun 10-26 02:30:00 +0200"]


def test_missing_parts_come_from_the_name_and_stay():
    daily = local("RRULE:FREQ=DAILY", count=1)[0].split()[2]
    assert local("H H H * * *", count=1)[0].split()[2] == daily
    for rule in ("FREQ=WEEKLY;INTERVAL=2", "FREQ=MONTHLY", "FREQ=YEARLY;INTERVAL=3", "FREQ=HOURLY;INTERVAL=5"):
        names = [f"job-{number}" for number in range(50)]
        firsts = {local(f"RRULE:{rule}", count=1, job=name)[0] for name in names}
        assert len(firsts) > 40
        for name in names[:5]:
            whole = local(f"RRULE:{rule}", count=12, job=name)
            assert whole[3:] == local(f"RRULE:{rule}", count=12, job=name)[3:]


def test_monthly_rules_of_names_have_no_missing_month():
    for number in range(200):
        fires = upcoming(parse("RRULE:FREQ=MONTHLY", "UTC", job=f"job-{number}"), 1_795_219_200 * NS, 12)
        assert {datetime.fromtimestamp(fire // NS, UTC).month for fire in fires} == set(range(1, 13))


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("RRULE:", "RRULE: '' is not NAME=VALUE"),
        ("RRULE:FREQ=DAYLY", "FREQ 'DAYLY': YEARLY, MONTHLY"),
        ("RRULE:INTERVAL=2", "FREQ is missing"),
        ("RRULE:FREQ=DAILY;FREQ=DAILY", "FREQ is given twice"),
        ("RRULE:FREQ=DAILY;INTERVAL=0", "INTERVAL '0' is not a number from 1"),
        ("RRULE:FREQ=DAILY;BYEASTER=0", "BYEASTER' is not known"),
        ("RRULE:FREQ=DAILY;BYHOUR=24", "BYHOUR '24' is not allowed: 0 … 23"),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY '0' is not allowed: 1 … 31, or -1 … -31"),
        ("RRULE:FREQ=DAILY;BYHOUR=", "is not NAME=VALUE"),
        ("RRULE:FREQ=DAILY;BYHOUR=9;", None),
        ("RRULE:FREQ=WEEKLY;BYDAY=XX", "BYDAY 'XX' is not a weekday"),
        ("RRULE:FREQ=WEEKLY;BYDAY=1MO", "write MO"),
        ("RRULE:FREQ=MONTHLY;BYDAY=0MO", "1 … 53"),
        ("RRULE:FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY has no meaning with FREQ=WEEKLY"),
        ("RRULE:FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO has no meaning with FREQ=MONTHLY"),
        ("RRULE:FREQ=DAILY;COUNT=5", "write DTSTART"),
        ("DTSTART:20260101T000000 RRULE:FREQ=DAILY;COUNT=5;UNTIL=20270101", "exclude each other"),
        ("DTSTART:20260101T000000 RRULE:FREQ=DAILY;COUNT=1000000", "1 to 10,000"),
        ("DTSTART:20260101T000000", "RRULE is missing"),
        ("DTSTART:20260101T000000 DTSTART:20260101T000000 RRULE:FREQ=DAILY", "more than once"),
        ("DTSTART:20260230T000000 RRULE:FREQ=DAILY", "DTSTART: 20260230T000000 is not a time that exists"),
        ("DTSTART:tomorrow RRULE:FREQ=DAILY", "write 20261224T180000"),
        ("DTSTART;TZID=Nowhere:20260101T000000 RRULE:FREQ=DAILY", "time zone 'Nowhere'"),
        ("RDATE;VALUE=PERIOD:20260101T000000/PT1H", "'VALUE=PERIOD' is not known"),
        ("RRULE:FREQ=DAILY EXRULE:FREQ=WEEKLY", "'EXRULE:FREQ=WEEKLY' is no line of a rule"),
        ("RRULE:FREQ=DAILY # daily", "'#' is no line"),
        ("RRULE;X=1:FREQ=DAILY", "RRULE takes no parameters"),
        ("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never fires: no year has a day"),
        ("DTSTART:20260106T000000 RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=MO", "never fires"),
        ("DTSTART:20260101T000030 RRULE:FREQ=SECONDLY;INTERVAL=60;BYSECOND=0", "never fires"),
        ("RRULE:FREQ=SECONDLY;BYSETPOS=2", "never fires"),
        ("DTSTART:20260101T000000 RRULE:FREQ=DAILY;UNTIL=20251231", "never fires"),
        ("RDATE:20260101T000000 EXDATE:20260101T000000", "never fires"),
        ("RRULE:FREQ=DAILY;BYHOUR=" + "9," * 6000, "at most 10000"),
        ("RRULE:FREQ=DÄILY", "'Ä'"),
    ],
)  # fmt: skip
def test_refused(text, mend):
    if mend is None:
        assert isinstance(parse(text), Rule)
        return
    with pytest.raises(ScheduleError) as refusal:
        parse(text, "UTC", job="a")
    assert mend in str(refusal.value)


line = st.builds(
    "{}{}:{}".format,
    st.sampled_from(["RRULE", "DTSTART", "RDATE", "EXDATE", "rrule", "X"]),
    st.sampled_from(["", ";TZID=UTC", ";VALUE=DATE", ";", ";x"]),
    st.one_of(rules(), st.text(max_size=30), st.just("20260101"), st.just("20260101T000000Z")),
)


@given(st.lists(line, min_size=1, max_size=4).map("\n".join), st.text(max_size=5), st.sampled_from(Hash))
def test_any_text_is_read_or_refused_and_soon(text, job, hash):
    began = time.perf_counter()
    try:
        schedule = parse(text, "Europe/Berlin", job=job, hash=hash)
        fire = schedule.next(1_800_000_000 * NS)
        assert fire is None or fire > 1_800_000_000 * NS
    except ScheduleError:
        pass
    assert time.perf_counter() - began < 5
