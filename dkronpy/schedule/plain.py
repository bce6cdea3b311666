"""The schedules that are no cron expressions: at an interval, once, never."""

from __future__ import annotations

from typing import Final

from dkronpy.model.duration import SECOND
from dkronpy.schedule.base import Atom
from dkronpy.schedule.zones import LAST_SECOND, Zone

END: Final = LAST_SECOND * SECOND
"""Beyond the last fire (ns)."""


class Every(Atom, frozen=True, gc=False):
    """Fires at the multiples of ``interval`` ns since the epoch, so every server and every restart agrees on them."""

    interval: int
    zone: Zone

    @property
    def grace(self) -> None:
        return None

    @property
    def arithmetic(self) -> bool:
        return True

    def next(self, after: int) -> int | None:
        fire = (after // self.interval + 1) * self.interval
        return fire if fire < END else None

    def count(self, after: int, until: int) -> int:
        return max(0, min(until, END - 1) // self.interval - after // self.interval)


class Once(Atom, frozen=True, gc=False):
    """Fires at one time, ``at``; with a ``grace`` it may still start that much later."""

    at: int
    grace: int | None
    zone: Zone

    @property
    def arithmetic(self) -> bool:
        return True

    def next(self, after: int) -> int | None:
        return self.at if after < self.at else None

    def count(self, after: int, until: int) -> int:
        return int(after < self.at <= until)


class Never(Atom, frozen=True, gc=False):
    """Fires only when somebody asks."""

    zone: Zone

    @property
    def grace(self) -> None:
        return None

    @property
    def arithmetic(self) -> bool:
        return True

    def next(self, after: int) -> int | None:
        return None

    def count(self, after: int, until: int) -> int:
        return 0
