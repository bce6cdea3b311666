"""Schedules in plain English."""

from __future__ import annotations

import functools
import re
from typing import Final

from cron_descriptor import ExpressionDescriptor, FormatError, MissingFieldError, Options

from dkronpy.model.job import Hash
from dkronpy.schedule.text import fields_of

_UNITS: Final = {
    "YEARLY": "year",
    "MONTHLY": "month",
    "WEEKLY": "week",
    "DAILY": "day",
    "HOURLY": "hour",
    "MINUTELY": "minute",
    "SECONDLY": "second",
}
_PARTS: Final = {
    "BYMONTH": "in month {}",
    "BYWEEKNO": "in week {}",
    "BYYEARDAY": "on day {} of the year",
    "BYMONTHDAY": "on day {} of the month",
    "BYDAY": "on {}",
    "BYHOUR": "at hour {}",
    "BYMINUTE": "at minute {}",
    "BYSECOND": "at second {}",
    "BYSETPOS": "of these only number {}",
    "COUNT": "{} times",
    "UNTIL": "until {}",
}


def describe(text: str, job: str = "", hash: Hash = Hash.INDEPENDENT) -> str:
    """A schedule that `parse` accepts in words, with the values that are drawn for the job."""
    prefix = re.match(r"(?:CRON_)?TZ=(\S*)\s*", text.strip())
    rest = text.strip()[prefix.end() :] if prefix else text.strip()
    words = _describe(rest, job, hash)
    return f"{words}, on the clock of {prefix[1]}" if prefix else words


def _describe(text: str, job: str, hash: Hash) -> str:
    name, _, rest = text.partition(" ")
    match name.lower():
        case "@every":
            return f"Every {rest.strip()}, counted from 1970-01-01T00:00:00Z"
        case "@at":
            return f"Once, at {rest.strip()}"
        case "@after":
            return f"Once, at {rest.partition('<')[0].strip()}, or up to {rest.partition('<')[2].strip()} later"
        case "@manually":
            return "Only when somebody asks"
        case _:
            fields = fields_of(text, job, hash)
            return _rules(text) if fields is None else _cron(fields)


def _cron(fields: tuple[str, ...]) -> str:
    *_, day, _month, weekday = fields
    words = " ".join(fields)
    # Of a list with such an item cron-descriptor makes nonsense.
    if not any("," in field and re.search(r"L|#", field) for field in (day, weekday)):
        try:
            return ExpressionDescriptor(words, _options()).get_description()
        except (FormatError, MissingFieldError):
            pass
    return f"When second, minute, hour, day of month, month and day of week are {words}"


@functools.cache
def _options() -> Options:
    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = "en_US"
    return options


def _rules(text: str) -> str:
    found: list[str] = []
    lines = re.sub(r"\r?\n[ \t]", "", text).upper().split()
    for line in lines:
        if line.startswith("RRULE:"):
            parts = dict(part.split("=", 1) for part in line[6:].rstrip(";").split(";"))
            unit, interval = _UNITS[parts["FREQ"]], int(parts.get("INTERVAL", "1"))
            every = f"every {unit}" if interval == 1 else f"every {interval} {unit}s"
            found.append(
                ", ".join(
                    [every, *(words.format(_listed(parts[key])) for key, words in _PARTS.items() if key in parts)]
                )
            )
    words = ", and ".join(found) or "at the dates given"
    if found and any(line.startswith("RDATE") for line in lines):
        words += ", and at the dates added"
    if any(line.startswith("EXDATE") for line in lines):
        words += ", but for the dates taken out"
    return words[0].upper() + words[1:]


def _listed(values: str) -> str:
    *most, last = values.split(",")
    return f"{', '.join(most)} or {last}" if most else last
