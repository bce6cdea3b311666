"""systemd's calendar expressions (`OnCalendar=`): text → what it means → a schedule here, and systemd's own fires.

Source: systemd.time(7), and for what it leaves open what systemd 252's `systemd-analyze calendar` makes of it. A wall
clock time that a day lacks is passed over; one that it has twice fires once, the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, islice, pairwise, product
from typing import Final
from zoneinfo import ZoneInfo

from dkronpy.model.duration import SECOND
from dkronpy.model.times import rfc3339
from dkronpy.schedule import local_zone

FIRST_YEAR, LAST_YEAR = 1970, 2199
_SHORT: Final = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "anually": "*-01-01 00:00:00",  # systemd takes this spelling too
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
}
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CODES: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ITEM: Final = re.compile(r"(\d+)(?:\.(\d+))?(?:\.\.(\d+)(?:\.(\d+))?)?(?:/(\d+)(?:\.(\d+))?)?", re.ASCII)
_WEEKDAYS: Final = re.compile(r"[a-z]{3,9}(?:(?:\.\.|-|,)[a-z]{3,9})*,?", re.IGNORECASE | re.ASCII)
_ABBREVIATIONS: Final = frozenset(day[:3] for day in _DAYS)
_FREQUENCIES: Final = (("BYSECOND", "SECONDLY"), ("BYMINUTE", "MINUTELY"), ("BYHOUR", "HOURLY"))
_MAX_SCHEDULES: Final = 20


class CalendarError(ValueError):
    """No calendar expression, or one that can't be carried over; the message says why."""


@dataclass(frozen=True)
class Calendar:
    """A calendar expression. Empty sets mean any; `from_end` counts `days` back from the month's last, which is 1."""

    weekdays: frozenset[int]
    """0 is Monday."""
    years: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    from_end: bool
    hours: frozenset[int]
    minutes: frozenset[int]
    seconds: frozenset[int]
    zone: str
    """"": the machine's."""

    def fires(self, after: int, count: int, zone: str = "") -> list[int]:
        """The first `count` times (ns) after `after`, as systemd has them; `zone` is the machine's."""
        return list(islice(self._fires(after, ZoneInfo(self.zone or zone or local_zone())), count))

    def _fires(self, after: int, zone: ZoneInfo) -> Iterator[int]:
        clock = (sorted(self.hours or range(24)), sorted(self.minutes or range(60)), sorted(self.seconds or range(60)))
        begin = datetime.fromtimestamp(after // SECOND, zone)
        day = begin.date()
        # Cheaply past the first day's earlier times, but for those that a change of clocks may bring again.
        passed = begin.hour * 3600 + begin.minute * 60 + begin.second - 3 * 3600
        while day.year <= LAST_YEAR:
            if self.years and day.year not in self.years:
                if not (later := [year for year in self.years if year > day.year]):
                    return
                day = date(min(later), 1, 1)
                continue
            for hour, minute, second in product(*clock) if self._on(day) else ():
                if day == begin.date() and hour * 3600 + minute * 60 + second < passed:
                    continue
                shown = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
                time = int(shown.timestamp())
                there = datetime.fromtimestamp(time, zone).replace(tzinfo=None) == shown.replace(tzinfo=None)
                if there and time * SECOND > after:
                    yield time * SECOND
            day += timedelta(1)

    def _on(self, day: date) -> bool:
        if self.months and day.month not in self.months:
            return False
        if self.weekdays and day.weekday() not in self.weekdays:
            return False
        last = ((day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)).day
        return not self.days or (last - day.day + 1 if self.from_end else day.day) in self.days

    def schedules(self, now: int) -> list[str]:
        """Schedules here that fire at the same times from `now` (ns) on; none where it is past. Raises CalendarError
        where there are too many."""
        if once := self._once():
            return [f"@at {rfc3339(once)}"]
        if not self.years:
            return [self._cron() or f"RRULE:{self._rule()}"]
        first = datetime.fromtimestamp(now // SECOND, UTC).year - 1
        years = sorted(year for year in self.years if year >= first)
        runs = [[year for _, year in group] for _, group in groupby(enumerate(years), lambda pair: pair[1] - pair[0])]
        runs = [run for run in runs if replace(self, years=frozenset(run)).fires(now, 1)]
        if len(runs) > _MAX_SCHEDULES and len(gaps := {after - before for before, after in pairwise(years)}) == 1:
            return [f"DTSTART:{years[0]}0101T000000 RRULE:{self._yearly(*gaps)}"]
        if len(runs) > _MAX_SCHEDULES:
            raise CalendarError(f"its years make more than {_MAX_SCHEDULES} schedules: name fewer")
        return [
            f"DTSTART:{run[0]}0101T000000 RRULE:{self._rule()}"
            + (f";UNTIL={run[-1]}1231T235959" if run[-1] < LAST_YEAR else "")
            for run in runs
        ]

    def _once(self) -> int | None:
        """The only time there is, where it is one."""
        parts = (self.years, self.months, self.days, self.hours, self.minutes, self.seconds)
        if self.weekdays or self.from_end or any(len(part) != 1 for part in parts):
            return None
        found = self.fires(-1, 1)
        return found[0] if found else None

    def _cron(self) -> str:
        """As a cron expression; "" where that can't say it."""
        if (self.weekdays and self.days) or (self.from_end and self.days != frozenset({1})):
            return ""
        weekdays = frozenset((day + 1) % 7 for day in self.weekdays)
        fields = [
            _field(self.minutes, 0, 59),
            _field(self.hours, 0, 23),
            "L" if self.from_end else _field(self.days, 1, 31),
            _field(self.months, 1, 12),
            _field(weekdays, 0, 6),
        ]
        seconds = _field(self.seconds, 0, 59)
        return " ".join(fields if seconds == "0" else [seconds, *fields])

    def _rule(self) -> str:
        """As a rule of RFC 5545, in which all parts must match."""
        days = [-day for day in self.days] if self.from_end else self.days
        parts = {
            "BYMONTH": _numbers(self.months),
            "BYMONTHDAY": _numbers(days),
            "BYDAY": ",".join(_CODES[day] for day in sorted(self.weekdays)),
            "BYHOUR": _numbers(self.hours),
            "BYMINUTE": _numbers(self.minutes),
            "BYSECOND": _numbers(self.seconds),
        }
        frequency = next((name for key, name in _FREQUENCIES if not parts[key]), "DAILY")
        return ";".join([f"FREQ={frequency}", *(f"{key}={values}" for key, values in parts.items() if values)])

    def _yearly(self, step: int) -> str:
        """The same in every `step`-th year: all parts are named, as what is left out would come from the start."""
        days = [-day for day in self.days] if self.from_end else self.days or range(1, 32)
        parts = {
            "BYMONTH": _numbers(self.months or range(1, 13)),
            "BYMONTHDAY": _numbers(days),
            "BYDAY": ",".join(_CODES[day] for day in sorted(self.weekdays)),
            "BYHOUR": _numbers(self.hours or range(24)),
            "BYMINUTE": _numbers(self.minutes or range(60)),
            "BYSECOND": _numbers(self.seconds or range(60)),
        }
        return ";".join([f"FREQ=YEARLY;INTERVAL={step}", *(f"{k}={values}" for k, values in parts.items() if values)])


def parse_calendar(text: str) -> Calendar:
    """Read a calendar expression. Raises CalendarError."""
    words = text.split()
    if len(words) == 1 and words[0].startswith("@"):
        return _of_epoch(words[0][1:])
    zone = _zone(words.pop()) if len(words) > 1 and not _is_part(words[-1]) else ""
    if len(words) == 1 and words[0].lower() in _SHORT:
        words = _SHORT[words[0].lower()].split()
    weekdays = frozenset[int]()
    if words and _WEEKDAYS.fullmatch(words[0]):
        weekdays = _weekdays(words.pop(0))
    date_text = words.pop(0) if words and "-" in words[0] else "*-*-*"
    time_text = words.pop(0) if words and ":" in words[0] else "00:00:00"
    if words or not text.strip():
        raise CalendarError(
            f"{text!r} is no calendar expression: write weekdays, a date and a time, such as Mon *-*-1 12:00"
        )
    years, months, days, from_end = _date(date_text)
    clock = time_text.split(":")
    if len(clock) not in (2, 3):
        raise CalendarError(f"{time_text!r} is no time: write hours:minutes or hours:minutes:seconds")
    hours, minutes, seconds = (
        _values(part, "time", low, high)
        for part, low, high in zip([*clock, "0"][:3], (0, 0, 0), (23, 59, 59), strict=True)
    )
    return Calendar(weekdays, years, months, days, from_end, hours, minutes, seconds, zone)


def _of_epoch(text: str) -> Calendar:
    if not re.fullmatch(r"\d{1,11}", text, re.ASCII) or int(text) >= 7258118400:
        raise CalendarError(f"@{text} is no time: write whole seconds since 1970")
    at = datetime.fromtimestamp(int(text), UTC)
    parts = (frozenset({part}) for part in (at.year, at.month, at.day))
    clock = (frozenset({part}) for part in (at.hour, at.minute, at.second))
    years, months, days = parts
    hours, minutes, seconds = clock
    return Calendar(frozenset(), years, months, days, False, hours, minutes, seconds, "UTC")


def _is_part(word: str) -> bool:
    return word[0] in "*0123456789" or bool(_WEEKDAYS.fullmatch(word) and word[:3].lower() in _ABBREVIATIONS)


def _zone(name: str) -> str:
    name = "UTC" if name.lower() == "utc" else name
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError) as error:
        raise CalendarError(f"there is no time zone {name[:64]!r}") from error


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for item in text.rstrip(",").split(","):
        first, _, last = item.replace("..", "-").partition("-")
        begin, end = _weekday(first), _weekday(last or first)
        if begin > end:
            raise CalendarError(f"{item!r} runs backwards: weekdays begin with Monday")
        found.update(range(begin, end + 1))
    return frozenset(found) if len(found) < 7 else frozenset()


def _weekday(text: str) -> int:
    for number, name in enumerate(_DAYS):
        if text.lower() in (name, name[:3]):
            return number
    raise CalendarError(f"{text!r} is no day of the week")


def _date(text: str) -> tuple[frozenset[int], frozenset[int], frozenset[int], bool]:
    """Years, months, days, and whether the days count from the month's end."""
    parts = re.split(r"[-~]", text)
    from_end = text[-len(parts[-1]) - 1] == "~" if len(parts) > 1 else False
    if len(parts) not in (2, 3) or "~" in text[: len(text) - len(parts[-1]) - 1]:
        raise CalendarError(f"{text!r} is no date: write year-month-day, month-day, or month~day from its end")
    years = _values(parts[0], "year", FIRST_YEAR, LAST_YEAR) if len(parts) == 3 else frozenset[int]()
    days = _values(parts[-1], "day", 1, 31, from_end=from_end)
    return years, _values(parts[-2], "month", 1, 12), days, from_end and bool(days)


def _values(text: str, what: str, low: int, high: int, *, from_end: bool = False) -> frozenset[int]:
    """The values of a part; empty for any."""
    if text == "*":
        return frozenset()
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise CalendarError(f"{item!r} is no {what}: write a number, a..b, either with /step, or *")
        first, _, last, _, step, _ = match.groups()
        if any(int(fraction or 0) for fraction in match.group(2, 4, 6)):
            raise CalendarError(f"{item!r}: fires are at whole seconds here")
        begin = _year(int(first)) if what == "year" else int(first)
        end = int(last) if last else begin
        if what == "year" and last:
            end = _year(end)
        if not low <= begin <= end <= high or (step is not None and not int(step)):
            if what == "year" and begin == end:  # a year out of reach never comes
                continue
            raise CalendarError(f"{item!r} is no {what}: it must lie in {low} to {high}, and not run backwards")
        if from_end and step and not last:
            found.update(range(begin, 0, -int(step)))
        else:
            found.update(range(begin, (high if step and not last else end) + 1, int(step or 1)))
    if not found:
        raise CalendarError(f"{text!r}: none of its years comes any more")
    return frozenset(found) if len(found) <= high - low else frozenset()


def _year(number: int) -> int:
    return number + (2000 if number < 70 else 1900 if number < 100 else 0)


def _numbers(values: Iterable[int]) -> str:
    return ",".join(map(str, sorted(values)))


def _field(values: frozenset[int], low: int, high: int) -> str:
    """A set as a cron field, as short as it goes."""
    found = sorted(values)
    if not found:
        return "*"
    steps = {after - before for before, after in pairwise(found)}
    if len(found) > 2 and len(steps) == 1:
        (step,) = steps
        if found[0] == low and found[-1] + step > high:
            return f"*/{step}"
        return f"{found[0]}-{found[-1]}" + (f"/{step}" if step > 1 else "")
    return _numbers(found)
