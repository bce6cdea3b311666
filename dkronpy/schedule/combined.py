"""Schedules that are made of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dkronpy.schedule.base import Schedule, Source
from dkronpy.schedule.plain import END
from dkronpy.schedule.zones import Zone


class Shifted(msgspec.Struct, frozen=True):
    """Every fire of ``schedule``, ``shift`` ns later."""

    schedule: Schedule
    shift: int

    @property
    def zone(self) -> Zone:
        return self.schedule.zone

    @property
    def grace(self) -> int | None:
        return self.schedule.grace

    @property
    def arithmetic(self) -> bool:
        return self.schedule.arithmetic

    def next(self, after: int) -> int | None:
        fire = self.schedule.next(after - self.shift)
        return None if fire is None or fire + self.shift >= END else fire + self.shift

    def count(self, after: int, until: int) -> int:
        return self.schedule.count(after - self.shift, min(until, END - 1) - self.shift)

    def sources(self, fire: int) -> Sequence[Source]:
        return self.schedule.sources(fire - self.shift)


class Part(msgspec.Struct, frozen=True):
    """One of several schedules, and what its runs find in their environment."""

    schedule: Schedule
    env: Mapping[str, str] = {}


class Several(msgspec.Struct, frozen=True):
    """Whenever one of the parts fires; two that fire at the same time are one fire. There is at least one."""

    parts: tuple[Part, ...]

    @property
    def zone(self) -> Zone:
        return self.parts[0].schedule.zone

    @property
    def grace(self) -> int | None:
        return self.parts[0].schedule.grace

    @property
    def arithmetic(self) -> bool:
        return len(self.parts) == 1 and self.parts[0].schedule.arithmetic

    def next(self, after: int) -> int | None:
        return min((fire for part in self.parts if (fire := part.schedule.next(after)) is not None), default=None)

    def count(self, after: int, until: int) -> int:
        if len(self.parts) == 1:
            return self.parts[0].schedule.count(after, until)
        total = 0
        while (fire := self.next(after)) is not None and fire <= until:
            total, after = total + 1, fire
        return total

    def sources(self, fire: int) -> Sequence[Source]:
        return [
            msgspec.structs.replace(source, env={**source.env, **part.env})
            for part in self.parts
            if part.schedule.next(fire - 1) == fire
            for source in part.schedule.sources(fire)
        ]
