"""Backfills: fires of the past that somebody wants to be run now, and how far that has come."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

MAX_FIRES: Final = 10_000
"""Fires of one backfill: they are kept in one record."""


class BackfillPolicy(StrEnum):
    """Which fires are run; each takes in those before it."""

    MISSING = "missing"
    """Those that did not run: skipped, missed, or of a time when the job had no such fire."""
    FAILED = "failed"
    """Those, too, whose run did not succeed."""
    ALL = "all"
    """Every one, also those that have succeeded."""


class Backfill(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A durable request to run fires of the past, the newest one of its job; only cancelling changes it.

    `since` (ns) is when it was asked for, and names it; one from before its job was created was of a deleted job.
    (`start`, `end`] is the range asked for."""

    since: int
    by: str
    start: int
    end: int
    policy: BackfillPolicy
    parallel: int
    fires: tuple[int, ...]
    """What is to be run, oldest first."""
    before: tuple[tuple[int, int], ...] = ()
    """Ranges of fires (first, last) that earlier backfills of the job have run, oldest first."""
    cancelled: int = 0
    cancelled_by: str = ""

    def ranges(self, started: int) -> tuple[tuple[int, int], ...]:
        """`before` with what this one has run, once so many of its fires are started."""
        found = [*self.before, (self.fires[0], self.fires[started - 1])] if started else list(self.before)
        merged: list[tuple[int, int]] = []
        for first, last in sorted(found):
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return tuple(merged)


class BackfillProgress(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How far the backfill of this `since` has come: so many of its fires are started. `ended` (ns): none runs, and
    none is to be started any more; 0 while that is not so."""

    since: int
    started: int = 0
    ended: int = 0
