"""Requests to run a job: carried out when they are due, or cancelled before.

One that is asked for now runs as soon as it is seen. One that is asked for a later time waits for it on the board, and
is then held to what holds for the job's fires: pause, exclusions, whether it is enabled, and how late it may be.
"""

from __future__ import annotations

import heapq
from collections import deque

from dkronpy.model.execution import Reason, Trigger
from dkronpy.model.job import CatchupPolicy, Job
from dkronpy.model.records import TriggerRecord
from dkronpy.model.run import Key
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.fires import ON_TIME
from dkronpy.scheduling.starting import start
from dkronpy.scheduling.step import Step


def take_requests(board: Board, step: Step, now: int, limit: int) -> None:
    """Carry out the requests that are due, as far as there is room."""
    while board.planned and board.planned[0][0] <= now:
        _, name, number = heapq.heappop(board.planned)
        board.triggers_new.append((name, number))
    waiting: deque[tuple[str, int]] = deque()
    while board.triggers_new and step.room(2, limit):
        name, number = board.triggers_new.popleft()
        record = board.triggers.get((name, number))
        if record is None:
            continue  # it was cancelled
        if board.awaits(name, record.at):
            waiting.append((name, number))
        elif record.planned and record.at > now and name in board.jobs:
            heapq.heappush(board.planned, (record.at, name, number))
        else:
            _decide(board, step, name, number, record, now)
    board.triggers_new.extendleft(reversed(waiting))


def cancel_request(board: Board, step: Step, key: Key, now: int) -> bool:
    """End a request that has not been carried out, if the key is of one. Returns false for one whose job is not known
    yet: it can't be decided now."""
    name, number, attempt, node = key
    record = board.triggers.get((name, number))
    if record is None or attempt or node:
        return True
    if name not in board.jobs and board.awaits(name, record.at):
        return False
    _decide(board, step, name, number, record, now, Reason.CANCELLED)
    return True


def _decide(
    board: Board, step: Step, name: str, number: int, record: TriggerRecord, now: int, reason: Reason | None = None
) -> None:
    del board.triggers[name, number]
    step.triggers[name, number] = None
    job = board.jobs.get(name)
    if job is None or record.since < job.created:
        return  # the job that was meant is gone, with its history
    start(
        board,
        step,
        job,
        record.at,
        now,
        trigger=record.kind,
        number=number,
        env=record.env,
        origin=record.origin,
        reason=reason or _refusal(board, job, record, now),
    )


def _refusal(board: Board, job: Job, record: TriggerRecord, now: int) -> Reason | None:
    """Why a request is not carried out. A person may run any job now; what a parent starts, or was asked for a later
    time, obeys as a fire does."""
    if record.kind is not Trigger.PARENT and not record.planned:
        return None
    if board.pause is not None and board.pause.covers(record.at):
        return Reason.PAUSED
    if board.exclusions.at(job, record.at) is not None:
        return Reason.EXCLUDED
    begun = job.starts_at is None or record.at >= job.starts_at
    over = job.expires_at is not None and record.at > job.expires_at
    if not begun or over or job.disabled:
        return Reason.DISABLED
    late = now - record.at
    if not record.planned or late < ON_TIME:
        return None
    if late > job.catchup.window:
        return Reason.OUTSIDE_WINDOW
    return Reason.NOT_WANTED if job.catchup.policy is CatchupPolicy.NONE else None
