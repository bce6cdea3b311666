"""The events of an iCalendar file (RFC 5545) as spans of time."""

from __future__ import annotations

import re
from typing import Final

from dkronpy.model.duration import SECOND
from dkronpy.model.job import Hash
from dkronpy.schedule.base import ScheduleError
from dkronpy.schedule.exclusion import Once, Recurring, Spans
from dkronpy.schedule.icalendar import globalized, icalendar, moment
from dkronpy.schedule.zones import DAY, Zone

MAX_EVENTS: Final = 500
_LINE: Final = re.compile(r"([A-Za-z-]+)((?:;[^:]*?)?):(.*)", re.ASCII)
_DURATION: Final = re.compile(r"\+?P(?:(\d{1,4})W|(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?)")


def events(text: str, zone: Zone) -> list[Spans]:
    """What the events of the file cover; ``zone`` is that of times without one. Events that are marked as transparent
    or cancelled cover nothing.

    Raises: ScheduleError with the number of the event.
    """
    found: list[Spans] = []
    event: dict[str, list[tuple[str, str]]] | None = None
    number = depth = 0
    for line in re.sub(r"\r?\n[ \t]", "", text).splitlines():
        name, _, value = line.strip().upper().partition(":")
        if (name, value) == ("BEGIN", "VEVENT"):
            event, depth, number = {}, 0, number + 1
            if number > MAX_EVENTS:
                raise ScheduleError(f"more than {MAX_EVENTS} events", "icalendar")
        elif event is not None and name == "BEGIN":
            depth += 1
        elif event is not None and depth and name == "END":
            depth -= 1
        elif event is not None and (name, value) == ("END", "VEVENT"):
            try:
                found.extend(_spans(event, zone))
            except ScheduleError as error:
                raise ScheduleError(f"event {number}: {error}", "icalendar") from error
            event = None
        elif event is not None and not depth and (match := _LINE.fullmatch(line.strip())):
            event.setdefault(match[1].upper(), []).append((match[2], match[3]))
    if event is not None or not number:
        raise ScheduleError("there is no event: BEGIN:VEVENT … END:VEVENT is missing", "icalendar")
    return found


def _spans(event: dict[str, list[tuple[str, str]]], zone: Zone) -> list[Spans]:
    hidden = {"TRANSP": "TRANSPARENT", "STATUS": "CANCELLED"}
    if any(value.upper() == hidden[name] for name in hidden for _, value in event.get(name, ())):
        return []
    if "DTSTART" not in event:
        raise ScheduleError("DTSTART is missing")
    parameters, value = event["DTSTART"][0]
    start = moment("DTSTART", value, parameters)
    where = start.where or zone
    if "DTEND" in event:
        parameters, value = event["DTEND"][0]
        end = moment("DTEND", value, parameters)
        seconds = globalized(end.local, end.where or zone) - globalized(start.local, where)
        if start.whole_day:
            seconds = end.local - start.local
    else:
        seconds = _seconds(event["DURATION"][0][1]) if "DURATION" in event else DAY if start.whole_day else 0
    if seconds < 0:
        raise ScheduleError("it ends before it begins")
    if "RRULE" in event or "RDATE" in event:
        names = ("DTSTART", "RRULE", "RDATE", "EXDATE")
        lines = [f"{name}{parameters}:{value}" for name in names for parameters, value in event.get(name, ())]
        rule = icalendar("\n".join(lines), zone, "", Hash.INDEPENDENT)
        return [Recurring(rule, seconds * SECOND, start.whole_day)]
    first = globalized(start.local, where)
    last = globalized(start.local + seconds, where) if start.whole_day else first + seconds
    return [Once(first * SECOND, last * SECOND)]


def _seconds(text: str) -> int:
    match = _DURATION.fullmatch(text.upper())
    if match is None:
        raise ScheduleError(f"DURATION {text[:40]!r} is not one such as P1D or PT2H30M")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (weeks * 7 + days) * DAY + hours * 3600 + minutes * 60 + seconds
