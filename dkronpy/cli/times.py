"""Times and durations for people: how they are shown, and how they may be written on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dkronpy.model.duration import parse_duration

WHEN = "RFC 3339, a local time like 2026-11-21T07:30, a duration back (2h) or ahead (+2h), or now"
_STEPS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def parse_when(text: str, now: datetime) -> str:
    """A time on the command line as RFC 3339 in UTC; see `WHEN` for its forms.

    Raises: ValueError, which names the forms.
    """
    written = text.strip()
    try:
        if written == "now":
            time = now
        elif written[:1] == "+":
            time = now + _span(written[1:])
        elif written[4:5] == "-":
            time = datetime.fromisoformat(written)
        else:
            time = now - _span(written.removeprefix("-"))
        return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a time: write {WHEN}") from error


def _span(text: str) -> timedelta:
    return timedelta(microseconds=parse_duration(text) // 1000)


def show_time(text: str | None) -> str:
    """An RFC 3339 time to the second, in this machine's zone; `-` for never."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else "-"


def show_relative(text: str | None, now: datetime) -> str:
    """How far an RFC 3339 time is from now: `in 5m`, `2h 5m ago`; `-` for never."""
    if not text:
        return "-"
    seconds = (datetime.fromisoformat(text) - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"in {show_span(seconds)}" if seconds > 0 else f"{show_span(-seconds)} ago"


def show_span(seconds: float) -> str:
    """A duration to about two figures that matter: `120ms`, `3.2s`, `2h 5m`, `12d`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms" if seconds >= 0.0005 else "<1ms"
    if seconds < 10:
        return f"{seconds:.1f}s".replace(".0s", "s")
    rest = round(seconds)
    shown: list[str] = []
    for unit, size in _STEPS:
        number, rest = divmod(rest, size)
        if number or shown:
            shown.append(f"{number}{unit}" if number else "")
        if len(shown) == 2 or number >= 10:
            break
    return " ".join(filter(None, shown))


def show_elapsed(start: str | None, end: str | None, now: datetime) -> str:
    """How long something took, or has taken so far."""
    if not start:
        return "-"
    until = datetime.fromisoformat(end) if end else now
    return show_span(max(0.0, (until - datetime.fromisoformat(start)).total_seconds()))
