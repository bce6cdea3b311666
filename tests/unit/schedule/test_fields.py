"""One field of a cron expression: which values its text means, and which texts are refused and how."""

from __future__ import annotations

import pytest

from dkronpy.model.job import Hash
from dkronpy.schedule import ScheduleError
from dkronpy.schedule.fields import DAY, FIELDS, HOUR, LAST, MINUTE, MONTH, SECOND, WEEKDAY, expand
from dkronpy.schedule.hashing import resolve


def values(text, field):
    mask = expand(text, field).mask
    return [bit for bit in range(64) if mask >> bit & 1]


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        (MINUTE, "*", list(range(60))),
        (MINUTE, "?", list(range(60))),
        (MINUTE, "0", [0]),
        (MINUTE, "05", [5]),
        (MINUTE, "*/20", [0, 20, 40]),
        (MINUTE, "?/20", [0, 20, 40]),
        (MINUTE, "*/60", [0]),
        (MINUTE, "5/15", [5, 20, 35, 50]),
        (MINUTE, "59/15", [59]),
        (MINUTE, "10-20/5", [10, 15, 20]),
        (MINUTE, "10-10", [10]),
        (MINUTE, "10-10/3", [10]),
        (MINUTE, "0-59", list(range(60))),
        (MINUTE, "50-51/15", [50]),
        (MINUTE, "1,2,2,30-31", [1, 2, 30, 31]),
        (MINUTE, "*/30,7", [0, 7, 30]),
        (SECOND, "*/7", [0, 7, 14, 21, 28, 35, 42, 49, 56]),
        (HOUR, "*/24", [0]),
        (HOUR, "22-23", [22, 23]),
        (DAY, "31", [31]),
        (DAY, "*/10", [1, 11, 21, 31]),
        (MONTH, "JAN,dec", [1, 12]),
        (MONTH, "Mar-May", [3, 4, 5]),
        (MONTH, "JAN-JAN", [1]),
        (MONTH, "OCT/2", [10, 12]),
        (MONTH, "*/12", [1]),
        (WEEKDAY, "0", [0]),
        (WEEKDAY, "7", [0]),
        (WEEKDAY, "5-7", [0, 5, 6]),
        (WEEKDAY, "0-7", list(range(7))),
        (WEEKDAY, "1-7/2", [0, 1, 3, 5]),
        (WEEKDAY, "MON-FRI", [1, 2, 3, 4, 5]),
        (WEEKDAY, "fri-sun", [0, 5, 6]),
        (WEEKDAY, "SUN-TUE", [0, 1, 2]),
        (WEEKDAY, "SUN-SUN", [0]),
        (WEEKDAY, "*/2", [0, 2, 4, 6]),
        (WEEKDAY, "*/7", [0]),
        (WEEKDAY, "MON,3-4", [1, 3, 4]),
    ],
)
def test_values(field, text, expected):
    assert values(text, field) == expected


def test_last_day_of_month():
    last = expand("L", DAY)
    assert (last.last, last.mask) == (True, 0)
    both = expand("1,L", DAY)
    assert (both.last, both.mask) == (True, 2)


@pytest.mark.parametrize(
    ("text", "nth", "mask"),
    [
        ("5L", ((5, LAST),), 0),
        ("L5", ((5, LAST),), 0),  # croniter's spelling
        ("7L", ((0, LAST),), 0),
        ("1#2", ((1, 2),), 0),
        ("mon#1", ((1, 1),), 0),
        ("7#5,MON#1", ((0, 5), (1, 1)), 0),
        ("2,1#3", ((1, 3),), 4),  # croniter refuses such a mixture
    ],
)
def test_nth_weekday(text, nth, mask):
    found = expand(text, WEEKDAY)
    assert (found.nth, found.mask) == (nth, mask)


@pytest.mark.parametrize(("text", "star"), [("*", True), ("*/2", True), ("?", True), ("*,5", True), ("5,*", False)])
def test_star_is_how_the_text_starts(text, star):
    assert expand(text, MINUTE).star is star


@pytest.mark.parametrize(
    ("field", "text", "place", "mend"),
    [
        (MINUTE, "60", "minute '60'", "Allowed: 0-59"),
        (SECOND, "61", "second '61'", "Allowed: 0-59"),
        (HOUR, "24", "hour '24'", "Allowed: 0-23"),
        (DAY, "0", "day of month '0'", "Allowed: 1-31"),
        (DAY, "32", "day of month '32'", "Allowed: 1-31"),
        (MONTH, "0", "month '0'", "Allowed: 1-12 or JAN-DEC"),
        (MONTH, "13", "month '13'", "1-12"),
        (MONTH, "JUNE", "month 'JUNE'", "JAN-DEC"),
        (MONTH, "MON", "month 'MON'", "JAN-DEC"),
        (HOUR, "JAN", "hour 'JAN'", "0-23"),
        (WEEKDAY, "8", "day of week '8'", "0 and 7 are Sunday"),
        (MINUTE, "5-1", "minute '5-1'", "write 1-5"),
        (WEEKDAY, "SAT-MON", "day of week 'SAT-MON'", "backwards"),
        (MINUTE, "*/70", "minute '*/70'", "step must be 1 … 60"),
        (HOUR, "*/25", "hour '*/25'", "step must be 1 … 24"),
        (WEEKDAY, "*/8", "day of week '*/8'", "step must be 1 … 7"),
        (MINUTE, "*/0", "minute '*/0'", "step must be 1 … 60"),
        (MINUTE, "1-5/0", "minute '1-5/0'", "step must be 1 … 60"),
        (MINUTE, "*-5", "minute '*-5'", "not understood"),
        (MINUTE, "1-", "minute '1-'", "not understood"),
        (MINUTE, "-1", "minute '-1'", "not understood"),
        (MINUTE, "1/2/3", "minute '1/2/3'", "not understood"),
        (MINUTE, "1.5", "minute '1.5'", "not understood"),
        (MINUTE, "99999", "minute '99999'", "Allowed: 0-59"),
        (MINUTE, "1,,2", "minute ''", "comma too many"),
        (MINUTE, "1,", "minute ''", "comma too many"),
        (MINUTE, "L", "minute 'L'", "not understood"),
        (DAY, "L-3", "day of month 'L-3'", "L for the last"),
        (DAY, "15W", "day of month '15W'", "W (nearest weekday) is not supported"),
        (DAY, "LW", "day of month 'LW'", "W (nearest weekday) is not supported"),
        (WEEKDAY, "L", "day of week 'L'", "5L for the last Friday"),
        (WEEKDAY, "8L", "day of week '8'", "0-7"),
        (WEEKDAY, "1#6", "day of week '1#6'", "#1 … #5"),
        (WEEKDAY, "1#0", "day of week '1#0'", "#1 … #5"),
        (DAY, "1#2", "day of month '1#2'", "not understood"),
        (MINUTE, "H", "minute 'H'", "write H, H(10-20)"),
        (MINUTE, "H/15", "minute 'H/15'", "write H"),
        (HOUR, "R(0-5)", "hour 'R(0-5)'", "write H"),
    ],
)
def test_refused(field, text, place, mend):
    with pytest.raises(ScheduleError) as refusal:
        expand(text, field)
    assert place in str(refusal.value)
    assert mend in str(refusal.value)


def test_tilde_is_the_sum_of_the_names_code_points():
    total = sum(map(ord, "job1"))  # 364
    expected = [total % 60, total % 60, total % 24, total % 28 + 1, total % 12 + 1, total % 7]
    assert resolve(["~"] * 6, "job1", Hash.INDEPENDENT) == tuple(map(str, expected))
    assert resolve(["~/5", "*", "0,~", "*", "*", "*"], "job1", Hash.DSARI) == ("4/5", "*", "0,4", "*", "*", "*")


@pytest.mark.parametrize("name", ["a", "job1", "z" * 64, "Ωmega"])
def test_tilde_always_gives_an_allowed_value(name):
    for field, text in zip(FIELDS, resolve(["~"] * 6, name, Hash.INDEPENDENT), strict=True):
        assert expand(text, field).mask
