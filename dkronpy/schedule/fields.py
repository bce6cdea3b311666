"""One field of a cron expression: text → the set of its values, as a bit mask."""

from __future__ import annotations

import functools
import re
from typing import Final

import msgspec
from croniter import croniter

from dkronpy.schedule.base import ScheduleError

LAST: Final = 0
"""In ``nth``: the last of its kind in the month."""


class Field(msgspec.Struct, frozen=True, gc=False):
    """What may stand in one place of a cron expression."""

    name: str
    low: int
    high: int
    column: int  # croniter's place for it
    modulus: int  # how many values, counted from ``low``, may be drawn for a job: no day that months lack
    names: str = ""  # of the values from ``low`` on


SECOND: Final = Field("second", 0, 59, 5, 60)
MINUTE: Final = Field("minute", 0, 59, 0, 60)
HOUR: Final = Field("hour", 0, 23, 1, 24)
DAY: Final = Field("day of month", 1, 31, 2, 28)
MONTH: Final = Field("month", 1, 12, 3, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")
WEEKDAY: Final = Field("day of week", 0, 7, 4, 7, "SUN MON TUE WED THU FRI SAT")
FIELDS: Final = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)

_ITEM: Final = re.compile(r"(\*|\d{1,4}|[A-Z]{3})(?:-(\d{1,4}|[A-Z]{3}))?(?:/(\d{1,4}))?")
_NTH: Final = re.compile(r"(\d|[A-Z]{3})#(\d)")
_LAST_WEEKDAY: Final = re.compile(r"(\d)L|L(\d)")


class Values(msgspec.Struct, frozen=True, gc=False):
    """The values of one field: bit n of ``mask`` stands for n; Sunday is 0."""

    mask: int
    star: bool
    """Whether the text starts with a star: what Debian's cron goes by in its rules on days and day-light saving."""
    last: bool = False
    """Day of month only: also the last one of the month."""
    nth: tuple[tuple[int, int], ...] = ()
    """Day of week only: also (weekday, its number in the month: 1 … 5 or LAST)."""


@functools.lru_cache(maxsize=4096)
def expand(text: str, field: Field) -> Values:
    """The values of a field's text: a list of values, names, ranges and steps, ``*`` or ``?``, ``L``, ``5L``, ``1#2``.

    croniter expands each item of the list; what it takes but nobody means is refused before.
    Raises: ScheduleError.
    """
    mask, last, nth = 0, False, list[tuple[int, int]]()
    text = text.upper().replace("?", "*")
    for item in text.split(","):
        if field is DAY and item == "L":
            last = True
        elif field is WEEKDAY and (match := _NTH.fullmatch(item) or _LAST_WEEKDAY.fullmatch(item)):
            weekday, number = value_of(field, match[1] or match[2]) % 7, LAST if "L" in item[:2] else int(item[-1])
            if number > 5 or "#0" in item:
                raise fault(field, item, "a month has at most five of a weekday: write #1 … #5")
            nth.append((weekday, number))
        else:
            for value in _croniter(field, _checked(field, item)):
                mask |= 1 << (value % 7 if field is WEEKDAY else value)
    return Values(mask, text.startswith("*"), last, tuple(sorted(set(nth))))


def _checked(field: Field, item: str) -> str:
    """The item of a list, as croniter reads it rightly.

    Raises: ScheduleError if it is malformed, or croniter would make something of it that nobody means.
    """
    match = _ITEM.fullmatch(item)
    if match is None or (match[1] == "*" and match[2]):
        raise fault(field, item, _hint(item))
    start, end, step = match.groups()
    size = 7 if field is WEEKDAY else field.high - field.low + 1
    if step and not 1 <= int(step) <= size:
        raise fault(field, item, f"the step must be 1 … {size}")
    if end is None:
        return item if start == "*" else item.replace(start, str(value_of(field, start)), 1)
    low, high = value_of(field, start), value_of(field, end)
    if field is WEEKDAY and end == "SUN" and low:
        high = 7  # FRI-SUN
    if low > high:
        raise fault(field, item, f"the range runs backwards: write {end}-{start}, or two ranges with a comma")
    # croniter takes a range from a value to itself for the whole field.
    return str(low) if low == high else f"{low}-{high}" + (f"/{step}" if step else "")


def _croniter(field: Field, item: str) -> list[int]:
    """The values of one checked item, by croniter."""
    columns = ["*"] * len(FIELDS)
    columns[field.column] = item
    values = croniter.expand(" ".join(columns))[0][field.column]
    return list(range(field.low, field.high + 1)) if values == ["*"] else [int(value) for value in values]


def value_of(field: Field, text: str) -> int:
    """The number of a value or name.

    Raises: ScheduleError if it is not one of the field's.
    """
    names = field.names.split()
    if text in names:
        return names.index(text) + field.low
    if not text.isdecimal():
        raise fault(field, text, _hint(text))
    if not field.low <= int(text) <= field.high:
        raise fault(field, text, "it is out of range")
    return int(text)


def _hint(item: str) -> str:
    if re.match(r"[HR](?![A-Z])", item):
        return "write H, H(10-20), H/5 or H(10-20)/5 for a value that is drawn from the job's name"
    if "W" in item and not re.search(r"[A-Z]{3}", item):
        return "W (nearest weekday) is not supported"
    if not item:
        return "it is empty; is there a comma too many?"
    return "it is not understood"


def fault(field: Field, item: str, why: str) -> ScheduleError:
    """The error of an item of a field's list."""
    allowed = f"{field.low}-{field.high}"
    if field.names:
        allowed += f" or {field.names[:3]}-{field.names[-3:]}"
    if field is WEEKDAY:
        allowed += " (0 and 7 are Sunday), 5L for the last Friday, 1#2 for the second Monday"
    if field is DAY:
        allowed += ", L for the last"
    return ScheduleError(f"{field.name} {item!r}: {why}. Allowed: {allowed}, and * , - /")
