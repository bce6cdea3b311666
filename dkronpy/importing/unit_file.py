"""systemd's unit files: text → sections of settings, as `systemd.syntax(7)` has them, and command lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

Unit = dict[str, dict[str, list[str]]]
"""Settings by section and name; a setting given several times is a list, which an empty one begins anew."""

_SECTION: Final = re.compile(r"\[([^\[\]]+)\]")
_ESCAPES: Final = {**dict(zip("abfnrtvs", "\a\b\f\n\r\t\v ", strict=True)), "\\": "\\", '"': '"', "'": "'"}
_SPACE: Final = " \t\n\r"


class UnitError(ValueError):
    """What is no unit file, or a command line that can't be read; the message names the place."""


def read_unit(path: Path) -> Unit:
    """A unit with its drop-ins (`NAME.d/*.conf` beside it). Raises UnitError and OSError."""
    unit: Unit = {}
    parts = sorted((path.parent / f"{path.name}.d").glob("*.conf"))
    for part in (path, *parts):
        try:
            text = part.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnitError(f"{part} is not UTF-8 text: byte {error.start} cannot be read") from error
        parse_unit(text, str(part), unit)
    return unit


def parse_unit(text: str, source: str, unit: Unit) -> None:
    """Add what a file says to a unit."""
    section: dict[str, list[str]] | None = None
    for number, line in _lines(text):
        if match := _SECTION.fullmatch(line):
            section = unit.setdefault(match[1], {})
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name or section is None:
            raise UnitError(f"{source}, line {number}: {line[:60]!r} is neither [Section] nor NAME=value in a section")
        if value:
            section.setdefault(name, []).append(value)
        else:
            section[name] = []


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their number; what a backslash at the end continues is one."""
    begun, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip()[:1] in ("#", ";"):
            continue
        first = first or number
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        if whole := (begun + line).strip():
            yield first, whole
        begun, first = "", 0
    if begun.strip():
        yield first, begun.strip()


def last(section: Mapping[str, Sequence[str]], name: str, default: str = "") -> str:
    """The setting that holds of those given."""
    found = section.get(name)
    return found[-1] if found else default


def split_words(text: str) -> list[str]:
    """A command line's or list's words, quotes and escapes read. Raises UnitError."""
    words: list[str] = []
    word: str | None = None
    quote, position = "", 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "\\":
            escaped, position = _escape(text, position)
            word = (word or "") + escaped
        elif quote:
            if char == quote:
                quote = ""
            else:
                word = (word or "") + char
        elif char in "\"'":
            quote, word = char, word or ""
        elif char in _SPACE:
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + char
    if quote:
        raise UnitError(f"{text[:60]!r} has a quotation without an end")
    return words if word is None else [*words, word]


def _escape(text: str, position: int) -> tuple[str, int]:
    """The character that the escape after a backslash stands for, and where the text goes on."""
    char = text[position : position + 1]
    if char in _ESCAPES and char:
        return _ESCAPES[char], position + 1
    for lead, length, base in (("x", 2, 16), ("u", 4, 16), ("U", 8, 16), ("", 3, 8)):
        digits = text[position + len(lead) : position + len(lead) + length]
        if text.startswith(lead, position) and len(digits) == length:
            try:
                return chr(int(digits, base)), position + len(lead) + length
            except (ValueError, OverflowError):
                continue
    raise UnitError(f"{text[:60]!r} has an escape that is not known: \\{char}")


def time_span(text: str) -> int:
    """A span of time such as `1h 30min` in ns. Raises UnitError."""
    rest, total = text.strip(), 0.0
    if re.fullmatch(r"\d+(?:\.\d+)?", rest, re.ASCII):
        rest += "s"
    if not rest:
        raise UnitError("an empty span of time")
    while rest:
        match = _SPAN.match(rest)
        if match is None or match[2] not in _UNITS:
            raise UnitError(f"{text!r} is no span of time: write such as 90s, 5min or 1h 30min")
        total += float(match[1]) * _UNITS[match[2]]
        rest = rest[match.end() :].strip()
    if total > 3650 * _UNITS["d"]:
        raise UnitError(f"{text!r} is longer than ten years")
    return round(total * 1_000_000_000)


_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Zµμ]+)", re.ASCII)
_UNITS: Final = {
    unit: seconds
    for names, seconds in (
        ("us usec µs μs", 1e-6),
        ("ms msec", 1e-3),
        ("s sec second seconds", 1.0),
        ("m min minute minutes", 60.0),
        ("h hr hour hours", 3600.0),
        ("d day days", 86400.0),
        ("w week weeks", 7 * 86400.0),
        ("M month months", 30.44 * 86400.0),
        ("y year years", 365.25 * 86400.0),
    )
    for unit in names.split()
}
