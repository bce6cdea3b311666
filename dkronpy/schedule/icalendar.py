"""The text of iCalendar rules (RFC 5545): lines of DTSTART, RRULE, RDATE and EXDATE → one schedule.

Missing parts of a rule come from its DTSTART, as in dateutil; a rule without DTSTART has its own, drawn from the job's
name, so it is the same for ever.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

import msgspec

from dkronpy.model.job import Hash
from dkronpy.schedule.base import ScheduleError
from dkronpy.schedule.fields import FIELDS
from dkronpy.schedule.hashing import crc, draw
from dkronpy.schedule.recurrence import MAX_LEAPS, Frequency, Recurrence
from dkronpy.schedule.rule import Rule
from dkronpy.schedule.times import Times
from dkronpy.schedule.years import DayParts, year_days
from dkronpy.schedule.zones import DAY, LAST_SECOND, Zone, zone

MAX_COUNT: Final = 10_000
MAX_INTERVAL: Final = 10_000_000
_LINE: Final = re.compile(r"(DTSTART|RRULE|RDATE|EXDATE)((?:;[^:;]*)*):(.*)", re.ASCII | re.IGNORECASE)
_MOMENT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)
_WEEKDAY: Final = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_RANGES: Final[dict[str, tuple[int, int]]] = {
    "BYSECOND": (0, 59),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYMONTH": (1, 12),
    "BYSETPOS": (-366, 366),
}
_PARTS: Final = ("FREQ", "UNTIL", "COUNT", "INTERVAL", *_RANGES, "BYDAY", "WKST")
_FORBIDDEN: Final[dict[str, tuple[Frequency, ...]]] = {
    "BYWEEKNO": tuple(frequency for frequency in Frequency if frequency is not Frequency.YEARLY),
    "BYYEARDAY": (Frequency.MONTHLY, Frequency.WEEKLY, Frequency.DAILY),
    "BYMONTHDAY": (Frequency.WEEKLY,),
}
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Moment(msgspec.Struct, frozen=True, gc=False):
    """A date or time as written. ``local`` is in seconds of the clock of ``where``, None for the schedule's own."""

    local: int
    where: Zone | None
    whole_day: bool

    def on(self, clock: Zone) -> int:
        """Its second on another clock."""
        return self.local if self.where is None else localized(globalized(self.local, self.where), clock)


def is_icalendar(text: str) -> bool:
    """Whether a schedule is written in this form."""
    return _LINE.match(text) is not None


@functools.lru_cache(maxsize=4096)
def icalendar(text: str, where: Zone, job: str, hash: Hash) -> Rule:
    """Read the lines; they may be folded, and be separated by any white space. ``where`` is the zone of times without
    one, unless DTSTART names another.

    Raises: ScheduleError.
    """
    starts: list[Moment] = []
    rules: list[str] = []
    added: list[Moment] = []
    removed: list[Moment] = []
    for line in re.sub(r"\r?\n[ \t]", "", text).split():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ScheduleError(f"{line[:40]!r} is no line of a rule: DTSTART, RRULE, RDATE and EXDATE are allowed")
        name, parameters, value = match[1].upper(), match[2], match[3]
        if name == "RRULE":
            if parameters:
                raise ScheduleError(f"RRULE takes no parameters: take {parameters!r} away")
            rules.append(value)
        else:
            moments = [moment(name, text, parameters) for text in value.split(",")]
            {"DTSTART": starts, "RDATE": added, "EXDATE": removed}[name].extend(moments)
    if len(starts) > 1:
        raise ScheduleError("DTSTART is given more than once: one is allowed")
    if not rules and not added:
        raise ScheduleError("RRULE is missing: write one such as RRULE:FREQ=DAILY;BYHOUR=9, or dates with RDATE")
    if starts and starts[0].where is not None:
        where = starts[0].where
    start = starts[0].local if starts else _anchor(job, hash)
    read = [_recurrence(rule, start, where, counted=bool(starts)) for rule in rules]
    rule = Rule(
        bool(read) and all(recurrence.frequency >= Frequency.HOURLY for recurrence in read),
        where,
        tuple(read),
        tuple(sorted({moment.on(where) for moment in added})),
        frozenset(moment.on(where) for moment in removed if not moment.whole_day),
        frozenset(moment.local // DAY for moment in removed if moment.whole_day),
    )
    if rule.next_local(0) >= LAST_SECOND:
        raise ScheduleError(f"the schedule never fires: nothing matches within {MAX_LEAPS:,} steps of {text[:80]!r}")
    return rule


def localized(second: int, where: Zone) -> int:
    """What the clock of ``where`` shows at a second since the epoch, in seconds since its own 1970."""
    return second + where.span(min(max(second, 0), LAST_SECOND)).offset


def globalized(local: int, where: Zone) -> int:
    """The second since the epoch at which the clock of ``where`` first shows ``local``, or has just leapt over it."""
    span = where.span(min(max(local - 2 * DAY, 0), LAST_SECOND))
    while local >= span.end + span.offset:
        span = where.span(span.end)
    return max(local - span.offset, span.start)


def _anchor(job: str, hash: Hash) -> int:
    """The start of a rule that names none: a second of 1970 … 1997 that is drawn from the job's name.

    The time of day is that of ``H H H * * *``; in dsari it is the CRC of the name.
    """
    second, minute, hour, day, month, _ = (draw(job, f"H {field.name}", field.modulus) for field in FIELDS)
    days = date(1970 + draw(job, "H year", 28), month + 1, day + 1).toordinal() - _EPOCH
    return days * DAY + (crc(job) % DAY if hash is Hash.DSARI else hour * 3600 + minute * 60 + second)


def moment(name: str, text: str, parameters: str) -> Moment:
    """A value of the property ``name``, with its parameters as ``;TZID=Area/City``. Raises: ScheduleError."""
    where: Zone | None = None
    for parameter in filter(None, parameters.split(";")):
        key, _, value = parameter.partition("=")
        if key.upper() == "TZID":
            where = zone(value.strip('"'))
        elif (key.upper(), value.upper()) not in {("VALUE", "DATE"), ("VALUE", "DATE-TIME")}:
            raise ScheduleError(f"{name}: the parameter {parameter[:40]!r} is not known; TZID, VALUE=DATE are allowed")
    local, utc, whole_day = _parsed(name, text)
    return Moment(local, zone("UTC") if utc else where, whole_day)


def _parsed(name: str, text: str) -> tuple[int, bool, bool]:
    """(seconds since 1970 as written, whether in UTC, whether a day without time)."""
    match = _MOMENT.fullmatch(text.upper())
    if match is None:
        raise ScheduleError(
            f"{name}: {text[:40]!r} is not a time; write 20261224T180000, with Z for UTC, or a day as 20261224"
        )
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - on no clock yet
    except ValueError as error:
        raise ScheduleError(f"{name}: {text} is not a time that exists ({error})") from error
    if not 1970 <= year <= 2262:
        raise ScheduleError(f"{name}: {text} lies outside the years 1970 … 2262")
    seconds = (moment.toordinal() - _EPOCH) * DAY + hour * 3600 + minute * 60 + second
    return seconds, match[7] == "Z", match[4] is None


def _recurrence(text: str, start: int, where: Zone, *, counted: bool) -> Recurrence:
    """One RRULE. ``counted``: whether its start was given, so that COUNT means something."""
    given = _given(text)
    frequency = _frequency(given)
    interval = _integer(given, "INTERVAL", MAX_INTERVAL) or 1
    count = _integer(given, "COUNT", MAX_COUNT)
    if count is not None and not counted:
        raise ScheduleError("COUNT needs to know from when: write DTSTART:20261224T180000 before the RRULE, or UNTIL")
    if count is not None and "UNTIL" in given:
        raise ScheduleError("RRULE: COUNT and UNTIL exclude each other: take one away")
    week_start = _choice(given, "WKST", _WEEKDAYS, 0)
    parts = _day_parts(given, frequency, start, week_start)
    real_time = frequency >= Frequency.HOURLY
    hour, minute, second = start % DAY // 3600, start % 3600 // 60, start % 60
    rule = Recurrence(
        frequency=frequency,
        interval=interval,
        start=start,
        until=_until(given["UNTIL"], where, real_time=real_time) if "UNTIL" in given else LAST_SECOND + DAY,
        week_start=week_start,
        days=None,
        times=Times(
            _mask(given, "BYHOUR", hour if frequency < Frequency.HOURLY else None),
            _mask(given, "BYMINUTE", minute if frequency < Frequency.MINUTELY else None),
            _mask(given, "BYSECOND", second if frequency < Frequency.SECONDLY else None),
        ),
        positions=_numbers(given, "BYSETPOS"),
    )
    if parts is not None:
        days = year_days(parts)
        if days is None:
            raise ScheduleError(f"the schedule never fires: no year has a day that RRULE:{text[:80]} means")
        rule = msgspec.structs.replace(rule, days=days)
    return rule if count is None else msgspec.structs.replace(rule, until=_last(rule, count))


def _last(rule: Recurrence, count: int) -> int:
    """The time of the rule's ``count``-th match, or of the last where there are fewer."""
    last = time = rule.start
    if (step := rule.step) is not None:
        first = rule.next(time)
        return last if first is None else first + (count - 1) * step
    for _ in range(count):
        found = rule.next(time)
        if found is None:
            break
        last, time = found, found + 1
    return last


def _given(text: str) -> dict[str, str]:
    """The parts of a rule, by name."""
    given: dict[str, str] = {}
    for part in text.upper().rstrip(";").split(";"):
        name, separator, value = part.partition("=")
        if not separator or not value:
            raise ScheduleError(f"RRULE: {part[:40]!r} is not NAME=VALUE, such as FREQ=DAILY")
        if name not in _PARTS:
            raise ScheduleError(f"RRULE: {name[:40]!r} is not known. Allowed: {', '.join(_PARTS)}")
        if name in given:
            raise ScheduleError(f"RRULE: {name} is given twice: take one away")
        given[name] = value
    return given


def _frequency(given: Mapping[str, str]) -> Frequency:
    frequency = Frequency(_choice(given, "FREQ", tuple(Frequency.__members__), None))
    for name, frequencies in _FORBIDDEN.items():
        if name in given and frequency in frequencies:
            raise ScheduleError(f"RRULE: {name} has no meaning with FREQ={frequency.name}: take it away")
    return frequency


def _day_parts(given: Mapping[str, str], frequency: Frequency, start: int, week_start: int) -> DayParts | None:
    """What picks the days, with what the start gives where nothing is said; None for every day."""
    weekdays = _weekdays(given, frequency)
    days_of_month, days_of_year = _numbers(given, "BYMONTHDAY"), _numbers(given, "BYYEARDAY")
    months, weeks = _numbers(given, "BYMONTH"), _numbers(given, "BYWEEKNO")
    if frequency <= Frequency.WEEKLY and not (weekdays or days_of_month or days_of_year or weeks):
        began = date.fromordinal(start // DAY + _EPOCH)
        if frequency is Frequency.WEEKLY:
            weekdays = ((began.weekday(), 0),)
        else:
            days_of_month = (began.day,)
            months = months or ((began.month,) if frequency is Frequency.YEARLY else ())
    if not (weekdays or days_of_month or days_of_year or weeks):
        if not months:
            return None
        days_of_month = tuple(range(1, 32))
    by_month = frequency is Frequency.MONTHLY
    return DayParts(months, weeks, days_of_year, days_of_month, weekdays, week_start if weeks else 0, by_month)


def _weekdays(given: Mapping[str, str], frequency: Frequency) -> tuple[tuple[int, int], ...]:
    found: set[tuple[int, int]] = set()
    for text in given["BYDAY"].split(",") if "BYDAY" in given else ():
        match = _WEEKDAY.fullmatch(text)
        if match is None:
            raise ScheduleError(f"RRULE: BYDAY {text[:20]!r} is not a weekday: MO … SU, 2MO, -1FR")
        nth = int(match[1] or 0)
        if match[1] and (frequency > Frequency.MONTHLY or "BYWEEKNO" in given):
            raise ScheduleError(f"RRULE: BYDAY {text} needs FREQ=MONTHLY or YEARLY without BYWEEKNO: write {match[2]}")
        if match[1] and not 1 <= abs(nth) <= 53:
            raise ScheduleError(f"RRULE: BYDAY {text}: a number is 1 … 53, or -1 … -53 from the end")
        found.add((_WEEKDAYS.index(match[2]), nth))
    return tuple(sorted(found))


def _numbers(given: Mapping[str, str], name: str) -> tuple[int, ...]:
    """The values of a part, distinct and ascending; empty when it is not given."""
    low, high = _RANGES[name]
    found: set[int] = set()
    for text in given[name].split(",") if name in given else ():
        number = int(text) if re.fullmatch(r"[+-]?\d{1,3}", text, re.ASCII) else None
        if number is None or not low <= number <= high or (low < 0 and number == 0):
            allowed = f"1 … {high}, or -1 … {low} from the end" if low < 0 else f"{low} … {high}"
            raise ScheduleError(f"RRULE: {name} {text[:20]!r} is not allowed: {allowed}")
        found.add(number)
    return tuple(sorted(found))


def _mask(given: Mapping[str, str], name: str, default: int | None) -> int:
    """The values of a part as bits; when it is not given the default's, None being all."""
    if name not in given:
        return (2 << _RANGES[name][1]) - 1 if default is None else 1 << default
    return sum(1 << number for number in _numbers(given, name))


def _integer(given: Mapping[str, str], name: str, most: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise ScheduleError(f"RRULE: {name} {text[:20]!r} is not a number from 1 to {most:,}")
    return int(text)


def _choice(given: Mapping[str, str], name: str, allowed: tuple[str, ...], default: int | None) -> int:
    text = given.get(name)
    if text is None and default is not None:
        return default
    if text is None or text not in allowed:
        raise ScheduleError(f"RRULE: {name} {'is missing' if text is None else repr(text[:20])}: {', '.join(allowed)}")
    return allowed.index(text)


def _until(text: str, where: Zone, *, real_time: bool) -> int:
    """The last second of the clock of ``where`` that a rule may match."""
    local, utc, whole_day = _parsed("UNTIL", text)
    if whole_day:
        return local + DAY - 1
    if not utc:
        return local
    span = where.span(local)
    # A time that comes twice is meant at its first showing, and that was before.
    return max(local + span.offset, span.resume - 1) if not real_time else local + span.offset
