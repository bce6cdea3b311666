"""What every schedule answers, and the error that every bad one raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from dkronpy.schedule.zones import Zone


class ScheduleError(ValueError):
    """A schedule or time zone that cannot be used; the message names the place and the mend.

    ``field`` is the setting at fault: ``schedule``, ``timezone``, or one of several as ``schedules.0.timezone``.
    """

    def __init__(self, message: str, field: str = "schedule") -> None:
        super().__init__(message)
        self.field: Final = field


class Schedule(Protocol):
    """A rule for when to fire: immutable, hashable, equal when it fires at the same times, safe to share.

    All times are nanoseconds since the epoch in UTC.
    """

    @property
    def zone(self) -> Zone:
        """The time zone whose clock the schedule follows, and in which its fires are shown."""
        ...

    @property
    def grace(self) -> int | None:
        """How late (ns) a fire may still start whatever the job's catch-up says; None: the job's catch-up decides."""
        ...

    def next(self, after: int) -> int | None:
        """The first fire strictly after ``after``; None when there is none before 2262, where int64 ns end."""
        ...

    def count(self, after: int, until: int) -> int:
        """The number of fires in (``after``, ``until``]."""
        ...

    @property
    def arithmetic(self) -> bool:
        """Whether ``count`` is found by arithmetic; otherwise fire by fire, which takes as long as there are many."""
        ...

    def sources(self, fire: int) -> Sequence[Source]:
        """The plain schedules that make the fire at ``fire``, which must be one; the first is the one to show."""
        ...


class Source(msgspec.Struct, frozen=True, gc=False):
    """Where a fire comes from: ``schedule``, a schedule that is not made of others, has it at ``time`` (ns), before
    any spread."""

    schedule: Schedule
    time: int
    env: Mapping[str, str] = {}
    """What its runs find in their environment."""


class Atom(msgspec.Struct, frozen=True, gc=False):
    """A schedule that is not made of others."""

    def sources(self: Schedule, fire: int) -> Sequence[Source]:
        return (Source(self, fire),)


def upcoming(schedule: Schedule, after: int, count: int) -> list[int]:
    """The first ``count`` fires strictly after ``after``; fewer when the schedule ends."""
    fires: list[int] = []
    fire: int | None = after
    while len(fires) < count and (fire := schedule.next(fire)) is not None:
        fires.append(fire)
    return fires


def env_at(schedule: Schedule, fire: int) -> dict[str, str]:
    """What a schedule's fire gives to the environment of its runs; of several at the same time the last one wins."""
    if isinstance(schedule, Atom):
        return {}
    return {name: value for source in schedule.sources(fire) for name, value in source.env.items()}
