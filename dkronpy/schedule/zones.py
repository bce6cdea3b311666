"""Time zones as spans of constant offset, so that a usual step of a schedule needs no call of zoneinfo."""

from __future__ import annotations

import difflib
import functools
import logging
import os
import re
from bisect import bisect_right
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from dkronpy.model.duration import SECOND
from dkronpy.schedule.base import ScheduleError

log = logging.getLogger(__name__)

DAY: Final = 86_400
FIRST_SECOND: Final = 0
"""Schedules are reckoned from the epoch …"""
LAST_SECOND: Final = (2**63 - 1) // SECOND
"""… to 2262-04-11, where the nanoseconds in 64 bits end."""
_REACH: Final = 400 * DAY
"""How far a change of offset is looked for: a little more than a year."""
_STEP: Final = 5 * DAY
"""How it is looked for: no zone has had two changes within 6.9 days since 1970, nor plans to."""
_LOCALTIME: Final = Path("/etc/localtime")
_TIMEZONE: Final = Path("/etc/timezone")


class Span(NamedTuple):
    """The seconds [start, end) of UTC, in which local time is UTC + ``offset`` seconds.

    ``resume`` is what the local clock before the span would have shown at ``start``. Local time jumps there from
    ``resume`` to ``start + offset``: forward over a gap, or back into an hour that it repeats up to ``resume``.
    """

    start: int
    end: int
    offset: int
    resume: int


class Zone:
    """One time zone of the IANA database; `zone` gives the same object for the same name."""

    __slots__ = ("_info", "_last", "_spans", "name")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name: Final = name
        self._info: Final = info
        self._spans: list[Span] = []
        fixed = info.utcoffset(None)  # known without a date only where the offset never changes
        if fixed is not None:
            offset = int(fixed.total_seconds())
            self._spans.append(Span(FIRST_SECOND - DAY, LAST_SECOND + DAY, offset, FIRST_SECOND - DAY + offset))
        self._last = self._spans[0] if self._spans else Span(0, 0, 0, 0)

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"

    def span(self, second: int) -> Span:
        """The span that holds ``second`` (seconds since the epoch; FIRST_SECOND - DAY … LAST_SECOND + DAY)."""
        last = self._last
        if last.start <= second < last.end:
            return last
        spans = self._spans  # never changed but replaced, as other threads may be searching it
        index = bisect_right(spans, (second + 1,))  # as tuples: the spans that start by then are before it
        if index and second < spans[index - 1].end:
            span = spans[index - 1]
        else:
            span = self._find(second)
            self._spans = [*spans[:index], span, *spans[index:]]
        self._last = span
        return span

    def at(self, ns: int) -> datetime:
        """The local date and time at ``ns``, cut to microseconds."""
        return datetime.fromtimestamp(ns // SECOND, self._info).replace(microsecond=ns // 1_000 % 1_000_000)

    def _offset(self, second: int) -> int:
        offset = datetime.fromtimestamp(second, self._info).utcoffset()
        assert offset is not None
        return int(offset.total_seconds())

    def _find(self, second: int) -> Span:
        """Probe for the changes of offset around ``second``, then halve the steps that hold them."""
        offset = self._offset(second)
        low = high = second
        while low > max(second - _REACH, FIRST_SECOND) and self._offset(low - _STEP) == offset:
            low -= _STEP
        while high < min(second + _REACH, LAST_SECOND) and self._offset(high + _STEP) == offset:
            high += _STEP
        # Where no change was met, the span is cut so far after the last probe that no repeated hour reaches over it.
        before, after = self._offset(low - _STEP), self._offset(high + _STEP)
        start = min(low + _STEP, second) if before == offset else self._change(low - _STEP, low)
        end = high + 1 if after == offset else self._change(high, high + _STEP)
        return Span(start, end, offset, start + self._offset(start - 1))

    def _change(self, low: int, high: int) -> int:
        """The first second after ``low`` with the offset of ``high``."""
        offset = self._offset(high)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._offset(middle) == offset else (middle, high)
        return high


@functools.cache
def zone(name: str) -> Zone:
    """The zone of an IANA name such as ``Europe/Berlin``.

    Raises: ScheduleError with names that are close to an unknown one.
    """
    # right/… counts leap seconds, posix/… only repeats the others.
    if re.fullmatch(r"(?!right/|posix/)[A-Za-z][A-Za-z0-9_+\-/]{0,63}", name):
        try:
            return Zone(name, ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name is a folder of zones
            log.debug("no zone %s: %s", name, error)
    raise ScheduleError(f"time zone {name[:64]!r} is not known: {_close_names(name[:64])}", field="timezone")


def _close_names(name: str) -> str:
    """A mend for an unknown zone: names that contain or resemble it."""
    names = {known.lower(): known for known in sorted(available_timezones())}
    wanted = name.lower().replace(" ", "_")
    cities = [lower for lower in names if lower == wanted or lower.endswith("/" + wanted)]
    close = (cities or difflib.get_close_matches(wanted, names, n=3, cutoff=0.75))[:3]
    hint = "use an IANA name such as Europe/Berlin or UTC"
    return f"did you mean {' or '.join(names[lower] for lower in close)}?" if close else hint


@functools.cache
def local_zone() -> str:
    """The IANA name of this host's zone, read once: ``TZ``, then /etc/localtime, then /etc/timezone, then UTC."""
    if (setting := os.environ.get("TZ")) is not None:
        candidates = [setting.removeprefix(":")]
    else:
        candidates = [
            os.path.realpath(_LOCALTIME) if _LOCALTIME.is_symlink() else "",
            _TIMEZONE.read_text(encoding="utf-8").strip() if _TIMEZONE.is_file() else "",
        ]
    for name in filter(None, candidates):
        try:
            return zone(name.rpartition("zoneinfo/")[2]).name
        except ScheduleError as error:
            log.warning("the zone of this host cannot be used: %s", error)
    return "UTC"
