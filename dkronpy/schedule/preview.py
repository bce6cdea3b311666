"""Fires as people read them: the local clock, and what day-light saving did to it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from dkronpy.model.duration import SECOND
from dkronpy.schedule.base import Schedule
from dkronpy.schedule.wall import Wall


class Shift(StrEnum):
    """What a change of the clock did to a fire."""

    AFTER_GAP = "after_gap"
    """Its time was skipped that day; it runs right after the gap."""
    FIRST_OF_TWO = "first_of_two"
    """Its time is shown twice that day; it runs at the first showing only."""


class Fire(msgspec.Struct, frozen=True, gc=False):
    """One fire of a schedule, for showing."""

    at: int
    """ns since the epoch, UTC."""
    local: str
    """RFC 3339 in the schedule's zone, with its offset."""
    clock_changed: bool
    """Whether the zone's offset at the fire before was another."""
    shift: Shift | None


def describe_fire(schedule: Schedule, fire: int, previous: int | None = None) -> Fire:
    """Describe the fire at ``fire`` ns; ``previous`` is the fire before it, or where the preview starts."""
    source = schedule.sources(fire)[0]
    zone = source.schedule.zone
    local = zone.at(fire)
    changed = previous is not None and zone.at(previous).utcoffset() != local.utcoffset()
    shift = None
    if isinstance(source.schedule, Wall) and not source.schedule.real_time:
        named = zone.at(source.time)
        if source.schedule.moved(source.time // SECOND):
            shift = Shift.AFTER_GAP
        elif named.replace(fold=1).utcoffset() != named.utcoffset():
            shift = Shift.FIRST_OF_TWO
    return Fire(fire, local.isoformat(), changed, shift)
