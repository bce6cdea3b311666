"""The days of iCalendar rules, of every shape of a year, against dateutil."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta

import pytest
from dateutil.rrule import MONTHLY, YEARLY, rrule, weekday
from hypothesis import given, settings
from hypothesis import strategies as st

from dkronpy.model.job import Hash
from dkronpy.schedule import parse
from dkronpy.schedule.icalendar import icalendar
from dkronpy.schedule.years import DayParts, YearDays, year_days
from dkronpy.schedule.zones import zone
from tests.conftest import FULL

FIRST = 9972
"""From here to the end of the calendar each shape of a year comes up, and dateutil's search ends."""
EPOCH = date(1970, 1, 1).toordinal()


def expected(parts: DayParts) -> set[date]:
    """The days in 9972 … 9999, as dateutil has them."""
    found = rrule(
        MONTHLY if parts.by_month else YEARLY,
        dtstart=datetime(FIRST, 1, 1),  # noqa: DTZ001 - days of no zone
        wkst=parts.week_start,
        bymonth=parts.months or None,
        byweekno=parts.weeks or None,
        byyearday=parts.days_of_year or None,
        bymonthday=parts.days_of_month or None,
        byweekday=tuple(weekday(day, nth or None) for day, nth in parts.weekdays) or None,
    )
    return {day.date() for day in found}


def days(found: YearDays | None) -> set[date]:
    """The days in 9972 … 9999 of a set: the years' shapes come round every 28."""
    if found is None:
        return set()
    result: set[date] = set()
    for year in range(FIRST, 10_000):
        start = date(year, 1, 1)
        leap, after = (int(date(y, 12, 31).timetuple().tm_yday == 366) for y in (year, year - 1))
        mask = found.shapes[start.weekday() * 3 + (1 if leap else 2 if after else 0)]
        result |= {date.fromordinal(start.toordinal() + day) for day in range(366) if mask >> day & 1}
    return result


def some(low: int, high: int, *, signed: bool = False) -> st.SearchStrategy[tuple[int, ...]]:
    values = st.integers(low, high)
    if signed:
        values = st.tuples(values, st.sampled_from([1, -1])).map(lambda pair: pair[0] * pair[1])
    found = st.lists(values, min_size=1, max_size=4, unique=True).map(lambda found: tuple(sorted(found)))
    return st.one_of(st.just(()), found)


PARTS = st.builds(
    DayParts,
    months=some(1, 12),
    weeks=some(1, 51, signed=True),
    days_of_year=some(1, 366, signed=True),
    days_of_month=some(1, 31, signed=True),
    weekdays=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([0, 0, 1, -1, 2, 5, -5])), max_size=3, unique=True
    ).map(tuple),
    week_start=st.integers(0, 6),
    by_month=st.booleans(),
).filter(
    lambda parts: (
        (parts.weekdays or parts.days_of_month or parts.days_of_year or parts.weeks)
        and not (parts.weeks and (parts.by_month or any(nth for _, nth in parts.weekdays)))
        and not (parts.days_of_year and parts.by_month)
        and len({bool(nth) for _, nth in parts.weekdays}) < 2
    )
)


@settings(max_examples=200 if FULL else 15)
@given(PARTS)
def test_dateutil_agrees(parts: DayParts) -> None:
    assert days(year_days.__wrapped__(parts)) == expected(parts)


def week(day: date, week_start: int) -> tuple[int, int]:
    """The number of the day's week, and how many weeks the year has that it belongs to; by the standard's words."""
    middle = day.toordinal() - (day.weekday() - week_start) % 7 + 3
    year = date.fromordinal(middle).year

    def first(year: int) -> int:
        fourth = date(year, 1, 4)
        return fourth.toordinal() - (fourth.weekday() - week_start) % 7

    return (middle - first(year)) // 7 + 1, (first(year + 1) - first(year)) // 7


@pytest.mark.parametrize("week_start", range(7))
def test_weeks_by_the_words_of_the_standard(week_start: int) -> None:
    """Not against dateutil: it takes the first days of a year for week 53 of one that has 52 weeks."""
    every = [date(FIRST, 1, 1) + timedelta(number) for number in range(365 * 27)]
    for number in (1, 2, 20, 51, 52, 53, -1):
        found = days(year_days.__wrapped__(DayParts(weeks=(number,), week_start=week_start)))
        for day in every:
            which, of = week(day, week_start)
            assert (day in found) is (number in (which, which - of - 1)), (number, day)


def test_weekdays_with_and_without_a_number() -> None:
    """Not against dateutil: it wants a day to be both, and finds none."""
    found = days(year_days(DayParts(weekdays=((0, 1), (1, 0)), by_month=True)))
    every = [date(FIRST, 1, 1) + timedelta(number) for number in range(365 * 27)]
    assert all((day in found) is (day.weekday() == 1 or (day.weekday() == 0 and day.day <= 7)) for day in every)


@pytest.mark.parametrize(("nth", "count"), [(53, 5), (-53, 5), (5, 28), (6, 28)])
def test_the_last_weekdays_of_a_year_that_not_every_year_has(nth: int, count: int) -> None:
    found = days(year_days.__wrapped__(DayParts(weekdays=((0, nth),))))
    assert len(found) == count
    assert all(day.weekday() == 0 for day in found)
    assert year_days(DayParts(weekdays=((0, nth),), by_month=True)) is None or nth == 5


def cost(text: str) -> float:
    """ms of the processor to read a rule for the first time."""
    begun = time.process_time()
    parse(text, "Europe/Berlin", job="a")
    return (time.process_time() - begun) * 1e3


def test_a_rule_is_read_at_once() -> None:
    rules = [
        "DTSTART:20200101T090000 RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-{}",
        "DTSTART:20200101T090000 RRULE:FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA;BYMONTH=1,2,3,4,5,6,{}",
        "DTSTART:20200101T090000 RRULE:FREQ=YEARLY;BYWEEKNO=1,2,3,4,5,6,7,-{};BYDAY=MO,TU,WE,TH,FR",
        "DTSTART:202001{:02}T090000 RRULE:FREQ=SECONDLY;COUNT=10000",
    ]
    cost(rules[0].format(9))
    # It was 10 to 25 ms; the best of several, since the machine has other work.
    for rule in rules:
        assert min(cost(rule.format(number)) for number in range(7, 13)) < 8


@pytest.mark.parametrize(
    "rule",
    ["DAILY;INTERVAL=3", "HOURLY;INTERVAL=5", "MINUTELY;INTERVAL=7", "SECONDLY", "SECONDLY;INTERVAL=11;BYSECOND=3"],
)
def test_the_end_of_a_count_is_where_it_was(rule: str) -> None:
    start = "DTSTART:20270115T080003Z"
    one = icalendar.__wrapped__(f"{start} RRULE:FREQ={rule};COUNT=50", zone("UTC"), "a", Hash.INDEPENDENT)
    free = icalendar.__wrapped__(f"{start} RRULE:FREQ={rule}", zone("UTC"), "a", Hash.INDEPENDENT)
    times: list[int] = []
    time = 0
    for _ in range(50):
        time = free.next_local(time)
        times.append(time)
        time += 1
    assert one.rules[0].until == times[-1]
