"""Coming fires, as tables and as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkronpy.cli.output import Column, Listing
from dkronpy.cli.times import show_relative

if TYPE_CHECKING:
    from datetime import datetime

    from dkronpy.client import Fire

_DST: Final = {
    "after_gap": "the clock skips its time that day; runs right after",
    "first_of_two": "the clock shows its time twice; runs the first time only",
    "clock_changed": "the clock has changed since the fire before",
}


def fire_listing(now: datetime) -> Listing:
    """How fires are listed; relative to `now`."""
    return Listing(
        (
            Column("LOCAL TIME", lambda fire: fire["local"], whole=True),
            Column("WHEN", lambda fire: show_relative(fire["time"], now), rank=2),
            Column("UTC", lambda fire: fire["time"], rank=3),
            Column("DAY-LIGHT SAVING", _dst, rank=1, style="yellow"),
        ),
        ("time", "local", "dst"),
    )


def describe_fire(fire: Fire) -> str:
    """A fire on one line: in the job's zone, with what day-light saving does to it."""
    return f"{fire['local']}  {_dst(fire)}".rstrip()


def _dst(fire: Fire) -> str:
    return _DST.get(fire["dst"] or "", fire["dst"] or "")
