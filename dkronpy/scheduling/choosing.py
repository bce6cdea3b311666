"""Which fires of the past a backfill runs, by the definitions and the records of the job."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from dkronpy.model.backfill import MAX_FIRES, BackfillPolicy
from dkronpy.model.execution import OF_FIRES, Execution
from dkronpy.model.job import Edit, Job, JobStatus
from dkronpy.schedule import Schedule, ScheduleError
from dkronpy.scheduling.exclusions import Exclusions
from dkronpy.scheduling.fires import compiled, next_fire
from dkronpy.scheduling.groups import Group


class LeftOut(StrEnum):
    """Why a fire is not run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It ran and did not succeed, and only those are wanted that did not run."""
    IN_FLIGHT = "in_flight"
    EXCLUDED = "excluded"
    """A calendar or a blackout excludes its time."""
    UNDECIDED = "undecided"
    """The leader has still to decide it."""
    FORGOTTEN = "forgotten"
    """It was decided, and its record is no longer kept: it may have run."""


class TooManyFires(Exception):
    """A backfill has more fires than one record can hold."""


@dataclass
class Choice:
    """The fires to run, oldest first, and how many are left out for which reason."""

    fires: list[int] = field(default_factory=list[int])
    left_out: dict[LeftOut, int] = field(default_factory=dict[LeftOut, int])


@dataclass(frozen=True)
class Past:
    """What is known of a job's past. `edits` are all its revisions, oldest first; `backfilled` ranges (first, last)
    that backfills have run; `decided` tells whether the leader is past a time."""

    edits: Sequence[Edit]
    executions: Iterable[Execution]
    backfilled: Sequence[tuple[int, int]]
    exclusions: Exclusions
    decided: Callable[[int], bool]


def choose(job: Job, start: int, end: int, policy: BackfillPolicy, past: Past) -> Choice:
    """The fires of the job, as it is defined now, in (start, end] that a backfill runs; that it is disabled does not
    matter. Raises ScheduleError, TooManyFires."""
    job = msgspec.structs.replace(job, disabled=False)
    schedule = compiled(job)
    known = _Known(past)
    choice = Choice()
    fire = next_fire(job, schedule, start)
    seen = 0
    while fire is not None and fire <= end:
        seen += 1
        if seen > MAX_FIRES:
            raise TooManyFires
        reason = known.reason(job, fire, policy)
        if reason is None:
            choice.fires.append(fire)
        else:
            choice.left_out[reason] = choice.left_out.get(reason, 0) + 1
        fire = next_fire(job, schedule, fire)
    return choice


class _Known:
    """A job's past, indexed by fire."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._groups: dict[int, list[Group]] = defaultdict(list)
        self._idle: set[int] = set()
        """Fires that were decided not to run …"""
        self._idle_ranges: list[tuple[int, int]] = []
        """… and those (first, last) that share one record."""
        by_group: dict[tuple[int, int], list[Execution]] = defaultdict(list)
        for execution in past.executions:
            if execution.trigger in OF_FIRES:
                by_group[execution.fire, execution.group].append(execution)
        for (fire, _), executions in by_group.items():
            group = Group(executions)
            if group.complete and not group.ran:
                self._idle.add(fire)
                if executions[0].last > fire:
                    self._idle_ranges.append((fire, executions[0].last))
            else:
                self._groups[fire].append(group)
        self._since = [edit.since for edit in past.edits]
        self._schedules: dict[int, Schedule | None] = {}

    def reason(self, job: Job, fire: int, policy: BackfillPolicy) -> LeftOut | None:
        """Why this fire is not run; None if it is."""
        if not self._past.decided(fire):
            return LeftOut.UNDECIDED
        if self._past.exclusions.at(job, fire) is not None:
            return LeftOut.EXCLUDED
        groups = self._groups.get(fire, ())
        if not all(group.complete for group in groups):
            return LeftOut.IN_FLIGHT
        if policy is BackfillPolicy.ALL:
            return None
        if any(group.status() is JobStatus.SUCCESS for group in groups):
            return LeftOut.SUCCEEDED
        if groups:
            return None if policy is BackfillPolicy.FAILED else LeftOut.FAILED
        if fire in self._idle or _within(fire, self._idle_ranges):
            return None
        backfilled = _within(fire, self._past.backfilled)
        return LeftOut.FORGOTTEN if backfilled or self._existed(fire) else None

    def _existed(self, fire: int) -> bool:
        """Whether the definition that held then had this fire: it was decided, whatever is still known of it."""
        index = bisect_left(self._since, fire) - 1
        job = self._past.edits[index].job if index >= 0 else None
        if job is None:
            return False
        if index not in self._schedules:
            try:
                self._schedules[index] = None if job.dependency is not None else compiled(job)
            except ScheduleError:
                self._schedules[index] = None
        schedule = self._schedules[index]
        return schedule is not None and next_fire(job, schedule, fire - 1) == fire


def _within(fire: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= fire <= last for first, last in ranges)
