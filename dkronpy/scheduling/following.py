"""What follows the end of a group: its job's status, and the runs of jobs that run after it.

Which children a group's end concerns is written with that end; they are told in the same step as far as there is room,
else in those that come. A child that needs several parents keeps what is met so far in its state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from dkronpy.model.dependency import Dependency, ParentRun
from dkronpy.model.execution import Trigger
from dkronpy.model.job import Job, JobStatus
from dkronpy.model.records import TriggerRecord
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.groups import Group
from dkronpy.scheduling.step import Step

MAX_MET: Final = 20
"""So many of each parent's newest groups wait for the other parents."""


def complete(board: Board, step: Step, group: Group, job: Job | None) -> None:
    """The last execution of a group has ended."""
    board.land(group)
    if job is None or not group.ran:
        return
    state = board.state(job.name)
    status = group.status()
    if group.group >= state.status_group:
        state = msgspec.structs.replace(state, status=status, status_group=group.group, check=group.check())
    if status is JobStatus.SUCCESS and job.ephemeral:
        state = msgspec.structs.replace(state, spent=True)
        board.timeline.remove(job.name)
        step.spent.append(job.name)
    step.set_state(board.states, job.name, state)
    success = status is JobStatus.SUCCESS
    children = sorted(board.children.get(job.name, ()))
    group.children = tuple(child for child in children if _concerns(board.jobs[child].dependency, job.name, success))
    if group.children:
        board.owing.append((group.job, group.group))
        step.put_group(group)


def _concerns(dependency: Dependency | None, parent: str, success: bool) -> bool:
    condition = None if dependency is None else dependency.condition(parent)
    return condition is not None and condition.met(success=success)


def tell_children(board: Board, step: Step, now: int, limit: int) -> None:
    """Tell the children of groups that have ended, as far as there is room."""
    while board.owing and step.room(3, limit):
        group = board.groups[board.owing[0]]
        run = ParentRun(group.job, group.group, group.ended)
        while group.children and step.room(3, limit):
            child, group.children = group.children[0], group.children[1:]
            _tell(board, step, child, run, now)
        step.put_group(group)
        if not group.children:
            board.owing.popleft()
            if group.archived_whole:
                board.archived.append((group.job, group.group))


def _tell(board: Board, step: Step, name: str, run: ParentRun, now: int) -> None:
    """A parent's run has met its condition: start the child, or remember it until the other parents have met theirs."""
    job = board.jobs.get(name)
    dependency = None if job is None else job.dependency
    if dependency is None or run.job not in dependency.names:
        return  # it was edited, or deleted, meanwhile
    started: Sequence[ParentRun] = (run,)
    if not dependency.alone:
        state = board.state(name)
        met, started = join(dependency, state.met, run)
        step.set_state(board.states, name, msgspec.structs.replace(state, met=met))
    if started:
        number = board.free_group(name, now)
        by = ", ".join(f"{parent.job}/{parent.group}" for parent in started)
        record = TriggerRecord(now, Trigger.PARENT, by, parents=tuple(started))
        step.triggers[name, number] = record
        board.triggered(name, number, record)


def join(
    dependency: Dependency, met: Sequence[ParentRun], run: ParentRun
) -> tuple[tuple[ParentRun, ...], tuple[ParentRun, ...]]:
    """Add a parent's run to those that are met: (what waits then, the runs that start one of the child).

    Each parent's oldest count together. One that ended so early that, of another parent, only runs beyond the window
    are left is dropped: it can't be used any more."""
    queues: dict[str, list[ParentRun]] = {name: [] for name in dependency.names}
    for found in sorted({*met, run}, key=lambda found: (found.at, found.group)):
        if found.job in queues:
            queues[found.job].append(found)
    started: tuple[ParentRun, ...] = ()
    while not started and all(queues.values()):
        heads = tuple(queue[0] for queue in queues.values())
        oldest = max(head.at for head in heads) - dependency.window
        early = [head for head in heads if head.at < oldest]
        for head in early or heads:
            queues[head.job].pop(0)
        started = () if early else heads
    waiting = [found for queue in queues.values() for found in queue[-MAX_MET:]]
    return tuple(sorted(waiting, key=lambda found: (found.at, found.group))), started
