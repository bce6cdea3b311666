"""Schedules that are made of others."""

from __future__ import annotations

from collections.abc import Sequence

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
