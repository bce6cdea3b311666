"""Backfills under way: the next fire of each is started when the job may run, as many at once as were asked for.

A backfill takes no place in a queue and ends nothing: it waits until its job, its groups and a node are free, and
nobody waits before it. That a fire is started is written with its group, so that no leader starts it again.
"""

from __future__ import annotations

import msgspec

from dkronpy.model.backfill import Backfill, BackfillProgress
from dkronpy.model.execution import Execution, Origin, Reason, Trigger
from dkronpy.model.job import Job, JobState
from dkronpy.schedule import ScheduleError, env_at
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.fires import compiled
from dkronpy.scheduling.starting import hindered, start, targets
from dkronpy.scheduling.step import Step


def progress_of(wanted: Backfill, state: JobState) -> BackfillProgress:
    """How far a backfill has come; the state may still tell of the one before."""
    found = state.backfill
    return BackfillProgress(wanted.since) if found is None or found.since != wanted.since else found


def backfill(board: Board, step: Step, now: int, limit: int) -> None:
    """Start what backfills still want, as far as it may and there is room; end those that are over."""
    for name, wanted in list(board.backfills.items()):
        job = board.jobs.get(name)
        if job is None or wanted.since < job.created or name in board.debts or not step.room(3, limit):
            continue
        state = board.state(name)
        progress = was = progress_of(wanted, state)
        flying = _in_flight(board, name)
        left = 0 if wanted.cancelled else len(wanted.fires)
        while progress.started < left and flying < wanted.parallel and step.room(3, limit) and _may_start(board, job):
            fire = wanted.fires[progress.started]
            start(
                board,
                step,
                job,
                fire,
                now,
                trigger=Trigger.BACKFILL,
                number=board.free_group(name, now),
                env=_environment(job, fire),
                origin=Origin(wanted.by, wanted.since),
            )
            progress = msgspec.structs.replace(progress, started=progress.started + 1)
            flying += 1
        if progress.started >= left and not flying:
            progress = msgspec.structs.replace(progress, ended=now)
            del board.backfills[name]
        if progress != was:
            step.set_state(board.states, name, msgspec.structs.replace(board.state(name), backfill=progress))


def of_backfill(execution: Execution) -> bool:
    """Whether it is in flight for a backfill."""
    return execution.trigger is Trigger.BACKFILL and not execution.state.final


def _in_flight(board: Board, name: str) -> int:
    groups = (board.groups[name, number] for number in board.by_job.get(name, ()))
    return sum(any(map(of_backfill, group.executions.values())) for group in groups)


def _may_start(board: Board, job: Job) -> bool:
    if board.paused or hindered(board, job, arriving=True) is not None:
        return False
    _, lack = targets(board, job)
    return lack is None or lack.reason is not Reason.NO_TARGET


def _environment(job: Job, fire: int) -> dict[str, str]:
    """What the job's schedules give to the runs of this fire."""
    if not any(entry.env for entry in job.schedules):
        return {}
    try:
        return env_at(compiled(job), fire)
    except ScheduleError:
        return {}  # this version can't read it, and no schedule of the job fires here
