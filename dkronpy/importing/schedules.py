"""A Dkron's schedule → the one here that fires at the same times."""

from __future__ import annotations

import re
from typing import Final

from dkronpy.importing.changes import Change, Kind
from dkronpy.importing.cron import NAMED, Values, texts_of, values_of
from dkronpy.importing.dump import Dialect
from dkronpy.model.duration import SECOND, format_duration, parse_duration
from dkronpy.model.times import parse_rfc3339
from dkronpy.schedule import ScheduleError, local_zone
from dkronpy.schedule.fields import DAY, FIELDS, WEEKDAY, Field, expand

_STARS: Final = ("*", "?")
_PREFIX: Final = re.compile(r"(?:CRON_)?TZ=\S+\s+")


def translated(schedule: str, timezone: str, dialect: Dialect, *, job: str, now: int) -> tuple[str, list[Change]]:
    """The schedule to write, and what changes; `job` is the name that Dkron knew. Raises ValueError for a schedule that
    the Dkron itself did not take."""
    prefix = match[0] if dialect is Dialect.V4 and (match := _PREFIX.match(schedule)) else ""
    text, changes = schedule[len(prefix) :].strip(), list[Change]()
    if not text.startswith("@"):
        if not timezone and not prefix:
            changes.append(_zone_change())
        fields = _fields(text, dialect, job, changes)
        return prefix + fields, changes
    name, _, rest = text.partition(" ")
    if name in NAMED:
        if dialect is Dialect.V4 and timezone:
            told = f"{name} ran by the clock of Dkron's server; here it runs by the clock of {timezone}"
            changes.append(Change(Kind.NAMED_ZONE, told))
        elif not timezone:
            changes.append(_zone_change())
    elif name == "@every":
        whole = format_duration(max(parse_duration(rest) // SECOND, 1) * SECOND)
        if parse_duration(whole) != parse_duration(rest):
            changes.append(Change(Kind.FIELDS, f"{text} fired every {whole}, and is written so"))
            text = f"@every {whole}"
        told = f"{text} counted from the start of Dkron's server; here it counts from 1970, whatever restarts"
        changes.append(Change(Kind.EVERY, told))
    elif name == "@at" and parse_rfc3339(rest.strip()) <= now:
        changes.append(Change(Kind.PAST, f"{text} is past: it fires no more, as in Dkron"))
    return prefix + text, changes


def _zone_change() -> Change:
    told = f"it has no time zone: the zone of Dkron's server counted, here this server's does ({local_zone()})"
    return Change(Kind.ZONE, told)


def _fields(text: str, dialect: Dialect, job: str, changes: list[Change]) -> str:
    resolved = texts_of(text, dialect, job)
    given = text.split()
    if len(given) == 5:
        given.append("*")
        told = f"{text!r} has seconds first, and so is written with six fields; here five are minute to day of week"
        changes.append(Change(Kind.FIVE_FIELDS, told))
    meant = [values_of(old, field, dialect) for old, field in zip(resolved, FIELDS, strict=True)]
    written = [
        old if "~" in old or _means(old, field, values) else _listed(values)
        for old, field, values in zip(given, FIELDS, meant, strict=True)
    ]
    _mend_days(written, given, meant)
    for old, new, field in zip(given, written, FIELDS, strict=True):
        if old != new:
            changes.append(Change(Kind.FIELDS, f"{field.name} {old!r} is written {new!r}, which means the same"))
    return " ".join(written)


def _means(text: str, field: Field, meant: Values) -> bool:
    try:
        return expand(text, field).mask == sum(1 << number for number in meant.numbers)
    except ScheduleError:
        return False


def _listed(values: Values) -> str:
    return ",".join(map(str, sorted(values.numbers)))


def _mend_days(written: list[str], given: list[str], meant: list[Values]) -> None:
    """Whether a day must match both of its fields hangs on their stars, on which the two readings can differ: here a
    star counts that comes first, in Dkron 1 any, later one without steps."""
    places = (FIELDS.index(DAY), FIELDS.index(WEEKDAY))
    both = any(meant[place].star for place in places)
    if both == any(written[place][:1] in _STARS for place in places):
        return
    for place in places:
        if both and meant[place].star:
            star = next(item for item in given[place].split(",") if item[:1] in _STARS)
            step = min(int(star.partition("/")[2] or 1), 7 if place == places[1] else 31)
            written[place] = "*" if step == 1 else f"*/{step},{_listed(meant[place])}"
        elif not both and written[place][:1] in _STARS:
            written[place] = _listed(meant[place])
