"""Durations as text: Go's form (``1h30m``, ``250ms``) with ``d`` for days of 24 hours."""

from __future__ import annotations

import re
from typing import Final

SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek mu; Go reads both
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?(" + "|".join(sorted(_UNITS, key=len, reverse=True)) + ")")
_LONGEST_TEXT: Final = 64
_LONGEST: Final = 2**63 - 1
_ALLOWED: Final = "numbers with a unit each, such as 1h30m, 250ms or 2d (units: ns, us, ms, s, m, h, d)"


def parse_duration(text: str) -> int:
    """Read a duration; parts may have fractions (``1.5h``) and come in any order. A bare ``0`` needs no unit.

    Returns: nanoseconds, 0 … 2^63 - 1; what is finer than a nanosecond is cut off.
    Raises: ValueError, which names what is allowed.
    """
    if text == "0":
        return 0
    shown = repr(text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…")
    if text.startswith("-"):
        raise ValueError(f"{shown} is negative: a duration is 0 or more, {_ALLOWED}")
    total = position = 0
    while position < len(text) <= _LONGEST_TEXT:
        part = _PART.match(text, position)
        if part is None or not (part[1] or part[2]):
            break
        unit, fraction = _UNITS[part[3]], part[2] or ""
        total += int(part[1] or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        position = part.end()
    if not text or position < len(text):
        raise ValueError(f"{shown} is not a duration: write {_ALLOWED}")
    if total > _LONGEST:
        raise ValueError(f"{shown} is too long: a duration is at most {format_duration(_LONGEST)}")
    return total


def format_duration(ns: int) -> str:
    """Write ``ns`` nanoseconds in the one form that `parse_duration` reads back as the same number.

    Days, hours and minutes are whole; the rest is one decimal number of its largest fitting unit: ``1d2h``, ``1m1.5s``.
    Raises: ValueError if ``ns`` is negative.
    """
    if ns < 0:
        raise ValueError(f"{ns} ns is negative: a duration is 0 or more")
    text, rest = "", ns
    for unit in ("d", "h", "m"):
        number, rest = divmod(rest, _UNITS[unit])
        text += f"{number}{unit}" if number else ""
    if rest or not text:
        unit = next((unit for unit in ("s", "ms", "us") if rest >= _UNITS[unit]), "ns" if rest else "s")
        whole, fraction = divmod(rest, _UNITS[unit])
        digits = f"{fraction:0{len(str(_UNITS[unit])) - 1}d}".rstrip("0") if fraction else ""
        text += f"{whole}.{digits}{unit}" if digits else f"{whole}{unit}"
    return text
