"""Whose turn it is: what keeps a fire from starting now, and starting those that have waited.

A fire that waits is a group with one placeholder: attempt 0, no node, state `queued`, and why it waits as its reason.
"""

from __future__ import annotations

import heapq

import msgspec

from dkronpy.model.execution import Execution, Reason, State
from dkronpy.model.job import Concurrency, Job
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.starting import hindered, launch, targets
from dkronpy.scheduling.step import Step

ENDS_OTHERS = {Concurrency.CANCEL_OTHER: False, Concurrency.REPLACE: True}
"""Policies by which a fire ends what it finds in flight; the value: at once, without a grace."""
NEWEST_ONLY = {*ENDS_OTHERS, Concurrency.QUEUE_NEWEST}
"""Policies by which a fire takes the place of one that waits."""


def take_turns(board: Board, step: Step, now: int, limit: int) -> None:
    """Start what waits and may start, in order of rank, and end what waits in vain, as far as there is room."""
    waiting = board.waiting
    _expire(board, step, now, limit)
    if not waiting.by_job or not (waiting.changed or waiting.deadlines) or board.paused:
        return
    heap: list[tuple[tuple[int, int, int, str], Job]] = []
    for name in list(waiting.by_job):
        job = _job(board, step, name, now, limit)
        if job is not None and name not in board.debts:
            heap.append((waiting.rank(job, now), job))
    heapq.heapify(heap)
    while heap:
        if not step.room(2, limit):
            return
        _, job = heapq.heappop(heap)
        if _start_first(board, step, job, now) and job.name in waiting.by_job:
            heapq.heappush(heap, (waiting.rank(job, now), job))
    waiting.changed = not step.room(2, limit)


def _job(board: Board, step: Step, name: str, now: int, limit: int) -> Job | None:
    """The job whose fires wait. Those of one that was deleted end, and those that a newer one replaces."""
    waiting = board.waiting
    while (numbers := waiting.by_job.get(name)) and step.room(2, limit):
        placeholder = board.placeholder(name, numbers[0])
        job = board.job_of(placeholder)
        if job is None:
            end_waiting(board, step, placeholder, Reason.DELETED, now)
        elif job.concurrency in NEWEST_ONLY and len(numbers) > 1:
            *older, newest = sorted(numbers, key=lambda number: board.placeholder(name, number).decided)
            placeholder = board.placeholder(name, older[0])
            end_waiting(board, step, placeholder, Reason.SUPERSEDED, now, f"group {newest} came after it")
        else:
            return job
    return None


def _start_first(board: Board, step: Step, job: Job, now: int) -> bool:
    """Start the job's oldest fire that waits, if it may. Returns whether it waits no more."""
    placeholder = board.placeholder(job.name, board.waiting.by_job[job.name][0])
    if hindered(board, job, arriving=False) is not None:
        if job.concurrency in ENDS_OTHERS:
            board.kill_all(job.name, force=ENDS_OTHERS[job.concurrency])
        return False
    nodes, lack = targets(board, job)
    if lack is not None and lack.reason is Reason.NO_TARGET and job.wait_for_target:
        if not placeholder.not_before:  # it has waited for something else until now
            _wait_for_target(board, step, placeholder, now + job.wait_for_target)
        return False
    if lack is not None:
        end_waiting(board, step, placeholder, lack.reason, now, lack.detail)
        return True
    board.drop_waiting(placeholder)
    board.waiting.turn(job.name)
    launch(board, step, job, placeholder, nodes)
    return True


def _wait_for_target(board: Board, step: Step, placeholder: Execution, deadline: int) -> None:
    group = board.groups[placeholder.job, placeholder.group]
    group.put(msgspec.structs.replace(placeholder, reason=Reason.NO_TARGET, error="", not_before=deadline))
    board.waiting.expect(group.job, group.group, deadline)
    step.put_group(group)


def _expire(board: Board, step: Step, now: int, limit: int) -> None:
    deadlines = board.waiting.deadlines
    while deadlines and step.room(2, limit):
        at, name, number = deadlines[0]
        group = board.groups.get((name, number))
        placeholder = None if group is None else group.placeholder
        if placeholder is not None and placeholder.not_before == at:
            if at > now:
                return
            detail = "no node with the job's tags has come in time"
            end_waiting(board, step, placeholder, Reason.NO_TARGET, now, detail)
        heapq.heappop(deadlines)


def end_waiting(board: Board, step: Step, placeholder: Execution, reason: Reason, now: int, detail: str = "") -> None:
    """A fire that waits will not run."""
    group = board.groups[placeholder.job, placeholder.group]
    board.waiting.remove(group.job, group.group)
    result = msgspec.structs.replace(
        placeholder, state=State.SKIPPED, reason=reason, not_before=0, finished=now, error=detail
    )
    group.put(result)
    step.put_group(group)
    step.decided.append(result)
    step.archive.append((result, None))
