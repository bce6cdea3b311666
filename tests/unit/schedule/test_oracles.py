"""The engine against others: a plain reference second by second, cronsim, and croniter where it is right."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st

from dkronpy.schedule import Schedule, ScheduleError, parse
from dkronpy.schedule.zones import zone
from tests.unit.schedule.reference import Reference

NS: Final = 1_000_000_000
HOUR: Final = 3600
ZONES: Final = sorted(name for name in available_timezones() if "/" in name)
RESTLESS: Final = (
    *("America/New_York", "Europe/Berlin", "Australia/Lord_Howe"),
    *("Africa/Casablanca", "Africa/Cairo", "Pacific/Apia"),
)


def items(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """One item of a field's list that every implementation reads alike."""
    value = st.integers(low, high)
    ends = st.tuples(value, value).filter(lambda pair: pair[0] < pair[1])
    plain = value.map(str) if not names else value.map(lambda number: names[number - low])
    ranges = ends.map(lambda pair: f"{pair[0]}-{pair[1]}")
    steps = st.tuples(ends, st.integers(1, 5)).map(lambda drawn: f"{drawn[0][0]}-{drawn[0][1]}/{drawn[1]}")
    return st.one_of(plain, value.map(str), ranges, steps)


def field(low: int, high: int, often: list[str], names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    lists = st.lists(items(low, high, names), min_size=1, max_size=3).map(",".join)
    stars = st.integers(1, high - low + 1).map(lambda step: f"*/{step}")
    return st.one_of(st.just("*"), st.sampled_from(often), lists, stars)


MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
minutes = field(0, 59, ["0", "30", "0,30", "*/15", "59"])
hours = field(0, 23, ["0", "1", "2", "3", "0-3", "1,2", "*/2"])
days = field(1, 31, ["*", "L", "1", "29", "31"])
months = field(1, 12, ["*", "2"], MONTHS)
weekdays = field(0, 6, ["*", "5L", "1#1", "SUN#5", "7"], WEEKDAYS)
five = st.tuples(minutes, hours, days, months, weekdays).map(" ".join)
often = st.tuples(minutes, hours, field(1, 31, ["*"]), st.just("*"), field(0, 6, ["*"])).map(" ".join)
six = st.tuples(field(0, 59, ["0", "*"]), often).map(" ".join)


@st.composite
def moments(draw, names=ZONES) -> tuple[str, int]:
    """A zone and a second since the epoch, often close to a change of its clock."""
    name = draw(st.sampled_from(names))
    second = draw(st.integers(200_000_000, 4_000_000_000))
    if draw(st.booleans()):
        second = zone(name).span(second).start + draw(st.integers(-30 * HOUR, 30 * HOUR))
    return name, max(second, 100_000_000)


def schedule(text: str, name: str) -> Schedule:
    try:
        return parse(text, name)
    except ScheduleError as error:
        assume("never fires" not in str(error))
        raise


def compare(text: str, name: str, second: int, hours: int) -> None:
    after = second * NS
    until = after + hours * HOUR * NS
    wanted, found = Reference(text, name).fires(after, until), schedule(text, name)
    fires, fire = [], found.next(after)
    while fire is not None and fire <= until:
        fires.append(fire)
        fire = found.next(fire)
    assert fires == wanted
    assert found.count(after, until) == len(wanted)


@given(text=often, moment=st.one_of(moments(), moments(RESTLESS)))
def test_every_minute_of_two_days(text, moment):
    compare(text, *moment, hours=48)


@given(text=six, moment=moments(RESTLESS))
def test_every_second_of_two_hours(text, moment):
    compare(text, *moment, hours=2)


@given(text=five, second=st.integers(0, 4_000_000_000))
def test_no_day_is_missed(text, second):
    fire = schedule(text, "UTC").next(second * NS)
    assert fire is not None
    reference, local = Reference(text, "UTC"), datetime.fromtimestamp(fire // NS, UTC)
    assert reference.matches(local)
    between = range(datetime.fromtimestamp(second, UTC).toordinal() + 1, local.toordinal())
    assert not any(reference.holds_day(date.fromordinal(day)) for day in between)


def compare_with_cronsim(text: str, name: str, second: int) -> None:
    found = schedule(text, name).next(second * NS)
    # In a repeated hour cronsim starts from the first showing, so what is not later is passed over.
    theirs = CronSim(text, datetime.fromtimestamp(second, ZoneInfo(name)))
    wanted = next((int(fire.timestamp()) for fire in theirs if fire.timestamp() > second), None)
    assert found == (None if wanted is None else wanted * NS)


@given(text=five.filter(lambda text: not any(word.startswith("*") for word in text.split()[:2])), moment=moments())
def test_cronsim_agrees_on_fixed_times(text, moment):
    compare_with_cronsim(text, *moment)


@given(text=five, moment=moments(("America/New_York", "Europe/Berlin", "Asia/Kolkata")))
def test_cronsim_agrees_on_wildcards(text, moment):
    """Only where no clock changes at midnight or by half an hour: there cronsim's wildcards skip fires."""
    compare_with_cronsim(text, *moment)


@given(text=five, second=st.integers(0, 4_000_000_000))
def test_croniter_agrees_in_utc(text, second):
    # It cannot join a day of the month and an nth weekday by "or".
    assume(not set(text.split()[4]) & set("L#"))
    theirs = croniter(text, second, implement_cron_bug=True)
    assert schedule(text, "UTC").next(second * NS) == int(theirs.get_next()) * NS


@given(text=st.one_of(five, six), moment=moments(), reach=st.integers(0, 3 * 366 * 24 * HOUR))
def test_counts_add_up(text, moment, reach):
    """Over long spans: the parts of a span add up to the whole, and agree with `next` at the cut."""
    name, second = moment
    found = schedule(text, name)
    start, middle, end = second * NS, (second + reach // 3) * NS, (second + reach) * NS
    assert found.count(start, middle) + found.count(middle, end) == found.count(start, end)
    fire = found.next(middle)
    assert fire is not None
    assert found.count(middle, fire) == 1
    assert found.count(middle, fire - 1) == 0
    assert found.count(end, start) == 0


@given(interval=st.integers(1, 10**6), after=st.integers(0, 9 * 10**18), steps=st.integers(0, 50))
def test_intervals_are_multiples_since_the_epoch(interval, after, steps):
    found, fire = parse(f"@every {interval}s"), after
    for _ in range(steps):
        following = found.next(fire)
        assert following is not None
        assert following % (interval * NS) == 0
        assert fire < following <= fire + interval * NS
        fire = following
    assert found.count(after, fire) == steps
