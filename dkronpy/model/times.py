"""Times as users read and write them: RFC 3339 text for ns since the epoch."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from dkronpy.model.duration import SECOND

_LATEST: Final = 9_223_372_036 * SECOND
"""2262-04-11, the last whole second that a signed 64-bit count of ns holds."""
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_ALLOWED: Final = "write it as 2026-12-24T18:00:00Z or with an offset, 2026-12-24T19:00:00+01:00"


def rfc3339(ns: int) -> str:
    """`2026-01-31T12:00:00Z`, in UTC, with a fraction only where there is one, as short as it can be."""
    seconds, fraction = divmod(ns, SECOND)
    text = _second(seconds)
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else f"{text}Z"


@functools.lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


@functools.lru_cache(1024)
def epoch_text(ns: int) -> str:
    """Seconds since the epoch as dsari gives them to runs: `1795000000.25`."""
    return str(ns / SECOND)


def parse_rfc3339(text: str) -> int:
    """Read a time of up to nanoseconds; its seconds may be left out, and a missing offset means UTC.

    Returns: ns since the epoch, 0 … 2^63; 0 also for Go's zero time `0001-01-01T00:00:00Z`, which stands for "never".
    Raises: ValueError, which says what is allowed.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is not a time: {_ALLOWED}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=_offset(match[8]))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time that exists ({error}): {_ALLOWED}") from error
    if year == 1:
        return 0
    ns = int(local.timestamp()) * SECOND + int((match[7] or "").ljust(9, "0"))
    if not 0 <= ns <= _LATEST:
        raise ValueError(f"{text!r} lies outside the years 1970 … 2262")
    return ns


def _offset(text: str | None) -> timezone:
    """The offset `+01:00` as a zone. Raises ValueError where none is so large."""
    if text is None or text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if minutes > 59:
        raise ValueError("an offset has at most 59 minutes")
    shift = timedelta(hours=hours, minutes=minutes)
    return timezone(-shift if text[0] == "-" else shift)
