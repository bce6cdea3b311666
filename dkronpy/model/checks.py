"""Checks: runs of jobs with `exit_codes: nagios`, whose exit code and output speak as Nagios' plugins do.

Source: the development guidelines of the Nagios plugins. The first line of the output is text, then, after a `|`,
performance data; further lines may bring more of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

NAGIOS: Final = "nagios"
"""The value of `executor_config.exit_codes` that makes a job a check."""
MAX_FIGURES: Final = 20
"""Figures that are read from one output."""
MAX_LABEL: Final = 64
"""Characters of a figure's name."""
_FIGURE: Final = re.compile(
    r"""\s*(?:'((?:[^']|'')+)'|([^\s='|]+))=(-?\d{1,30}(?:\.\d{1,30})?)(?:[eE]([+-]?\d{1,2}))?([a-zA-Z%]{0,8})(?:;\S*)?(?=\s|$)""",
    re.ASCII,
)


class CheckStatus(StrEnum):
    """What a check has found, from best to worst."""

    NONE = ""
    """Nothing: the job is no check, or has not run."""
    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    """It could not find out: another exit code, no end in time, or none that is known."""
    CRITICAL = "critical"

    @property
    def code(self) -> int:
        """The exit code of a plugin that says so; where there is nothing, that of `unknown`."""
        return _CODES.index(self) if self in _CODES else _CODES.index(CheckStatus.UNKNOWN)


_CODES: Final = (CheckStatus.OK, CheckStatus.WARNING, CheckStatus.CRITICAL, CheckStatus.UNKNOWN)
_RANKS: Final = (*CheckStatus,)


class Figure(NamedTuple):
    """One of the performance data. `unit` is as the plugin writes it: `s`, `%`, `MB`, `c` for a counter."""

    label: str
    value: float
    unit: str


def is_check(config: Mapping[str, str]) -> bool:
    """Whether a job with this `executor_config` is a check."""
    return config.get("exit_codes") == NAGIOS


def check_status(exit_code: int | None, *, by_itself: bool) -> CheckStatus:
    """What an exit code means; `by_itself` is false for a run that was ended or lost."""
    if not by_itself or exit_code is None or not 0 <= exit_code < len(_CODES):
        return CheckStatus.UNKNOWN
    return _CODES[exit_code]


def worst(found: Iterable[CheckStatus]) -> CheckStatus:
    """The worst of several; `NONE` for none."""
    return max(found, key=_RANKS.index, default=CheckStatus.NONE)


def figures(output: bytes) -> list[Figure]:
    """The performance data in a plugin's output, the first of each label; what is malformed is passed over."""
    found: dict[str, Figure] = {}
    for figure in _figures(output.decode("utf-8", "replace")):
        found.setdefault(figure.label, figure)
        if len(found) == MAX_FIGURES:
            break
    return list(found.values())


def _figures(text: str) -> Iterator[Figure]:
    position = 0
    data = _performance(text)
    while position < len(data):
        if match := _FIGURE.match(data, position):
            label = (match[1] or match[2]).replace("''", "'")[:MAX_LABEL]
            yield Figure(label, float(match[3] + (f"e{match[4]}" if match[4] else "")), match[5])
            position = match.end()
        else:  # past the word that is none
            rest = data[position:].lstrip()
            word = rest.split(None, 1)[0] if rest else ""
            position = len(data) - len(rest) + len(word)


def _performance(text: str) -> str:
    """What stands after the `|` of the first line, and from the next `|` on in the lines below."""
    first, _, below = text.partition("\n")
    return f"{first.partition('|')[2]} {below.partition('|')[2]}"
