"""The text of a schedule → the schedule."""

from __future__ import annotations

import difflib
import functools
import re
from typing import Final

from dkronpy.model.duration import SECOND, parse_duration
from dkronpy.model.job import Hash
from dkronpy.model.times import parse_rfc3339
from dkronpy.schedule.base import Schedule, ScheduleError
from dkronpy.schedule.combined import Shifted
from dkronpy.schedule.cron import Cron
from dkronpy.schedule.days import days
from dkronpy.schedule.fields import DAY, FIELDS, MONTH, WEEKDAY, expand
from dkronpy.schedule.hashing import crc, resolve
from dkronpy.schedule.icalendar import icalendar, is_icalendar
from dkronpy.schedule.plain import Every, Never, Once
from dkronpy.schedule.times import Times
from dkronpy.schedule.zones import Zone, local_zone, zone

LONGEST: Final = 1000
"""Characters a schedule may have …"""
LONGEST_RULE: Final = 10_000
"""… and one of iCalendar's."""
_CRON_NAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@minutely": "* * * * *",
}
_HASHED_NAMES: Final = {
    "@h-yearly": "H H H H *",
    "@h-annually": "H H H H *",
    "@h-monthly": "H H H * *",
    "@h-weekly": "H H * * H",
    "@h-daily": "H H * * *",
    "@h-midnight": "H H(0-2) * * *",
    "@h-hourly": "H * * * *",
}
"""In dsari the same names without their ``h-``."""
_NAMES: Final = (*_CRON_NAMES, *_HASHED_NAMES, "@every", "@at", "@after", "@manually")
_DRAWN: Final = re.compile(r"~|(?<![A-Za-z])[HhRr](?![A-Za-z])")
"""What is drawn from the job's name."""
_GRACE: Final = re.compile(
    r"P(?=[\dT])(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?"
)


def parse(text: str, timezone: str = "", *, job: str = "", hash: Hash = Hash.INDEPENDENT) -> Schedule:
    """Read a schedule.

    Forms: five cron fields (minute, hour, day of month, month, day of week) or six with seconds first; ``@every 90s``;
    ``@at 2026-12-24T18:00:00+01:00``; ``@after 2026-12-24T18:00:00Z <PT2H`` (as ``@at``, but may start 2 h late);
    ``@manually``; ``@yearly`` … ``@minutely``; ``@H-yearly`` … ``@H-hourly``, at a time drawn from the job's name;
    ``RRULE:FREQ=DAILY;BYHOUR=9`` and more lines of iCalendar.
    ``TZ=Area/City`` or ``CRON_TZ=Area/City`` may stand before any of them and wins over ``timezone``, an IANA name or
    "" for this host's zone. ``job`` is the name that ``H``, ``R`` and ``~`` are drawn from.

    With ``Hash.DSARI`` it is read as dsari does: five fields get ``H`` for their second, six have seconds last, the
    names ``@yearly`` … ``@hourly`` are hashed, and every fire is up to a second later, by the job's name.

    Raises: ScheduleError, and no other, whatever the text.
    """
    where = zone(timezone or local_zone())
    # What is drawn has a letter of its own, and what iCalendar says has a colon; all else is one for all jobs.
    drawn = hash is Hash.DSARI or ":" in text or _DRAWN.search(text) is not None
    return _read(text, where, job if drawn else "", hash)


@functools.lru_cache(maxsize=16384)
def _read(text: str, where: Zone, job: str, hash: Hash) -> Schedule:
    """As `parse`, where no zone stands in the text; the same object for the same arguments."""
    text = text.strip()
    if prefix := re.match(r"(?:CRON_)?TZ=(\S*)\s*", text[:LONGEST]):
        where, text = zone(prefix[1]), text[prefix.end() :]
    rule = is_icalendar(text)
    longest = LONGEST_RULE if rule else LONGEST
    if len(text) > longest:
        raise ScheduleError(f"the schedule has {len(text)} characters; at most {longest} are allowed")
    if strange := re.search(r"[^\t\r\n -~]" if rule else r"[^\t -~]", text):
        raise ScheduleError(f"the schedule holds the character {strange[0]!r}; only plain ASCII on one line is allowed")
    if rule:
        found = icalendar(text, where, job, hash)
        return _later(found, job) if hash is Hash.DSARI else found
    words = text.split()
    if not words:
        raise ScheduleError(f"the schedule is empty: write cron fields such as '*/5 * * * *', or {', '.join(_NAMES)}")
    if hash is Hash.DSARI:
        return _dsari(words, where, job)
    if words[0].startswith("@"):
        return _named(words[0].lower(), " ".join(words[1:]), where, job)
    return _fields(["0", *words] if len(words) == 5 else words, where, job, hash, "first")


def fields_of(text: str, job: str, hash: Hash) -> tuple[str, ...] | None:
    """The six fields, seconds first, of a cron schedule that `parse` accepts, with what is drawn for the job; None for
    a schedule of another form. ``text`` has no ``TZ=``."""
    words = text.split()
    name = words[0].lower()
    if name in _CRON_NAMES and hash is Hash.INDEPENDENT:
        words = ["0", *_CRON_NAMES[name].split()]
    elif name in _HASHED_NAMES:
        words, hash = ["H", *_HASHED_NAMES[name].split()], Hash.INDEPENDENT
    elif is_icalendar(text) or (name.startswith("@") and hash is Hash.INDEPENDENT):
        return None
    elif hash is Hash.DSARI:
        words = _dsari_fields(words)
    elif len(words) == 5:
        words = ["0", *words]
    return resolve(words, job, hash)


def _dsari(words: list[str], where: Zone, job: str) -> Schedule:
    """A schedule as dsari reads it."""
    name = words[0].lower()
    if name.startswith("@") and (len(words) > 1 or name.replace("@", "@h-") not in _HASHED_NAMES):
        return _named(name, " ".join(words[1:]), where, job)
    return _later(_fields(_dsari_fields(words), where, job, Hash.DSARI, "last"), job)


def _dsari_fields(words: list[str]) -> list[str]:
    """The fields of a schedule of dsari, with seconds first."""
    words = _HASHED_NAMES.get(words[0].lower().replace("@", "@h-"), "").split() or words
    return ["H", *words] if len(words) == 5 else [*words[5:6], *words[:5], *words[6:]]


def _later(schedule: Schedule, job: str) -> Shifted:
    """The schedule as dsari has it: later by a part of a second that is drawn from the job's name."""
    return Shifted(schedule, crc(job) * SECOND // 0xFFFF_FFFF)


def _fields(texts: list[str], where: Zone, job: str, hash: Hash, seconds: str) -> Cron:
    """A cron schedule; ``texts`` should be six fields with seconds first, ``seconds`` is where its writer puts them."""
    if len(texts) != 6:
        raise ScheduleError(
            f"the schedule has {len(texts)} fields; 5 are allowed (minute, hour, day of month, month, day of week),"
            f" or 6 with seconds {seconds}"
        )
    return _cron(resolve(texts, job, hash) if _DRAWN.search(" ".join(texts)) else tuple(texts), where)


def _named(name: str, rest: str, where: Zone, job: str) -> Schedule:
    """A schedule that starts with ``@``."""
    match name:
        case "@every":
            return Every(_interval(rest), where)
        case "@at":
            return Once(_time(name, rest), None, where)
        case "@after":
            time, separator, grace = rest.partition("<")
            if not separator:
                raise ScheduleError("@after takes a time and how late it may start: @after 2026-12-24T18:00:00Z <PT2H")
            return Once(_time(name, time.strip()), _grace(grace.strip()), where)
        case _ if rest:
            raise ScheduleError(f"{name} stands alone: take {rest!r} away" if name in _NAMES else _unknown(name))
        case "@manually":
            return Never(where)
        case _ if name in _CRON_NAMES:
            return _cron(("0", *_CRON_NAMES[name].split()), where)
        case _ if name in _HASHED_NAMES:
            return _fields(["H", *_HASHED_NAMES[name].split()], where, job, Hash.INDEPENDENT, "first")
        case _:
            raise ScheduleError(_unknown(name))


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _NAMES, n=1)
    mend = f"did you mean {close[0]}? " if close else ""
    return f"the schedule {name[:64]!r} is not known: {mend}Allowed: {', '.join(_NAMES)}"


@functools.lru_cache(maxsize=16384)
def _cron(texts: tuple[str, ...], where: Zone) -> Cron:
    """A cron schedule of six fields, seconds first; the same object for the same fields."""
    second, minute, hour, day, month, weekday = map(expand, texts, FIELDS)
    on = days(day, month, weekday)
    if on is None:
        _, _, _, *named = texts
        shown = ", ".join(f"{field.name} {text!r}" for field, text in zip((DAY, MONTH, WEEKDAY), named, strict=True))
        raise ScheduleError(f"the schedule never fires: no year has a day with {shown}")
    return Cron(minute.star or hour.star, where, on, Times(hour.mask, minute.mask, second.mask))


def _interval(text: str) -> int:
    try:
        interval = parse_duration(text)
    except ValueError as error:
        raise ScheduleError(f"@every: {error}") from error
    if interval < SECOND or interval % SECOND:
        raise ScheduleError(f"@every {text}: the interval must be whole seconds, at least one, such as 1s or 1h30m")
    return interval


def _time(name: str, text: str) -> int:
    try:
        ns = parse_rfc3339(text)
    except ValueError as error:
        raise ScheduleError(f"{name}: {error}") from error
    if not re.search(r"(?:[Zz]|[+-]\d\d:\d\d)$", text):
        raise ScheduleError(f"{name} {text}: the offset is missing; add Z for UTC, or one such as +01:00")
    return ns


def _grace(text: str) -> int:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds as ns."""
    match = _GRACE.fullmatch(text)
    if match is None:
        raise ScheduleError(
            f"@after … <{text}: write how late it may start as an ISO 8601 duration, such as PT2H or P1DT12H"
        )
    weeks, days_, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return ((weeks * 7 + days_) * 86_400 + hours * 3600 + minutes * 60 + seconds) * SECOND
