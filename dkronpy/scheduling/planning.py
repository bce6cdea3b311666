"""The plan: what the leader does next, from what its board holds and the time. Pure but for the board's generator of
random numbers.

Order within a step: reports and what follows from them, groups that leave, edits and backlog, requests, retries, those
that have waited for their turn, due fires. Fires come last but have room reserved, so that neither a flood of results
nor a backlog starves them.
"""

from __future__ import annotations

import heapq
from itertools import islice

import msgspec

from dkronpy.model.checks import is_check
from dkronpy.model.duration import SECOND
from dkronpy.model.execution import Execution, Reason, State
from dkronpy.model.figures import Figures
from dkronpy.model.job import Adoption, Job, JobState
from dkronpy.model.lane import Kill
from dkronpy.model.run import Key
from dkronpy.schedule import env_at
from dkronpy.scheduling.backfilling import backfill
from dkronpy.scheduling.board import STARTED_DELAY, Board
from dkronpy.scheduling.debt import Due, decide
from dkronpy.scheduling.definitions import Debt
from dkronpy.scheduling.following import complete, tell_children
from dkronpy.scheduling.groups import counted, finished, lost, retry, uncounted
from dkronpy.scheduling.requests import cancel_request, take_requests
from dkronpy.scheduling.starting import order, start
from dkronpy.scheduling.step import MAX_CHANGES, Step
from dkronpy.scheduling.turns import end_waiting, take_turns

RESERVED = 16
"""Changes of a step that only due fires may use."""
LATEST = 60 * SECOND
"""ns after which no edit of before is still to be seen."""


def plan(board: Board, now: int) -> Step | None:
    """The next step at `now` (ns); None when there is nothing to do. Changes the board."""
    step = Step()
    limit = MAX_CHANGES - RESERVED
    board.note(now)
    board.look_at_nodes()
    _reports(board, step, now, limit)
    tell_children(board, step, now, limit)
    _leaving(board, step, now, limit)
    _debts(board, step, now, limit)
    _requests(board, step, now, limit)
    _retries(board, step, now, limit)
    _reorders(board, step, limit)
    take_turns(board, step, now, limit)
    backfill(board, step, now, limit)
    _fires(board, step, now)
    if not (step.changes or step.effects or step.cursor):
        return None
    step.cursor = board.cursor = msgspec.structs.replace(step.cursor or board.cursor, commit=board.cursor.commit + 1)
    return step


# ---- reports


def _reports(board: Board, step: Step, now: int, limit: int) -> None:
    while board.ended and step.room(4, limit):
        report = board.ended.popleft()
        board.started.pop(report.key, None)
        execution = board.execution(report.key)
        if execution is None:
            step.strays.append(report)
        elif execution.state.final and execution.state is not State.LOST:
            step.archive.append((execution, report))
        else:
            returned = board.groups[execution.job, execution.group].returned
            result = finished(execution, report, returned=returned, check=_is_check(board, execution))
            step.archive.append((result, report))
            if execution.state is State.LOST:
                _replace(board, step, result)
            else:
                _finish(board, step, result, now)
    while board.lost and step.room(4, limit):
        key, error = board.lost.popleft()
        execution = board.execution(key)
        if execution is not None and not execution.state.final:
            result = lost(execution, now, error, check=_is_check(board, execution))
            step.archive.append((result, None))
            _finish(board, step, result, now)
    due = [key for key, report in board.started.items() if report.at + STARTED_DELAY <= now]
    for key in due:
        if not step.room(1, limit):
            break
        report = board.started.pop(key)
        execution = board.execution(key)
        if execution is not None and execution.state is State.DISPATCHED:
            _replace(board, step, msgspec.structs.replace(execution, state=State.RUNNING, started=report.at))


def _is_check(board: Board, execution: Execution) -> bool:
    job = board.job_of(execution)
    return job is not None and is_check(job.executor_config)


def _finish(board: Board, step: Step, result: Execution, now: int) -> None:
    """Record a result and what follows from it: counters, a retry or the group's end."""
    group = board.groups[result.job, result.group]
    group.put(result)
    if result.key in board.kills:
        board.kills.discard(result.key)
        board.forced.discard(result.key)
        step.kills_done.add(result.key)
    job = board.job_of(result)
    if job is not None:
        state = counted(board.states.get(job.name, JobState()), result, board.folded_of(job.name))
        step.set_state(board.states, job.name, state)
        again = retry(job, result, board.targets, board.reachable, now, board.epoch)
        if again is not None:
            group.put(again)
            heapq.heappush(board.retries, (again.not_before, again.key))
    step.put_group(group)
    if group.complete:
        complete(board, step, group, job)


def _leaving(board: Board, step: Step, now: int, limit: int) -> None:
    while board.archived and step.room(1, limit):
        name, number = board.archived.popleft()
        group = board.groups.get((name, number))
        if group is None or not group.archived_whole:
            continue
        board.drop_group(name, number)
        step.groups[name, number] = None
    for name, until in list(board.doomed.items()):
        settled = board.states[name].settled if name in board.states else ()
        if settled and settled[-1] + LATEST > now:
            continue  # a new job of this name may have been written before these fires
        if all(min(number, board.groups[name, number].decided) > until for number in board.by_job.get(name, ())):
            step.purge.append((name, until))
            del board.doomed[name]
    while board.purged and step.room(1, limit):
        name = board.purged.popleft()
        board.folded.pop(name, None)
        if name in board.jobs:
            step.set_state(board.states, name, msgspec.structs.replace(board.states[name], purge=0))
        elif name not in board.debts and name not in board.coming:  # a job that has edits has a state
            board.states.pop(name, None)
            step.states[name] = None


# ---- the past


def _debts(board: Board, step: Step, now: int, limit: int) -> None:
    for name in list(islice(board.debts, MAX_CHANGES)):
        while name in board.debts and step.room(3, limit):
            spans = board.spans(name)
            state = board.states.get(name, JobState())
            if not spans:
                _settle(board, step, name, state)
                break
            room = limit - step.changes - 1
            found, position = decide(spans[0], now, board.pause, board.exclusions, min(room, 20))
            for due in found:
                _decide_due(board, step, due, now)
            edits = board.adoption(name)
            if edits:
                state = msgspec.structs.replace(state, adopting=Adoption(edits[-1].since, position))
            else:
                state = msgspec.structs.replace(state, decided=position)
            step.set_state(board.states, name, state)
        if not step.room(3, limit):
            return
    if board.cursor.sweeps and not board.debts:
        step.cursor = board.cursor = msgspec.structs.replace(board.cursor, sweeps=())


def _settle(board: Board, step: Step, name: str, state: JobState) -> None:
    """All that the job owed is decided: its newest definition is adopted, of those looked at."""
    debt, edits = board.debts[name], board.adoption(name)
    if not edits:
        del board.debts[name]
        return
    since, newest = edits[-1].since, edits[-1].job
    board.waiting.changed = True
    settled = board.settled(name)
    if _conditions(debt.adopted) != _conditions(newest):
        state = msgspec.structs.replace(state, met=())
    gone = [edit.since for edit in edits if edit.job is None]
    if gone:
        state = JobState(purge=gone[-1], figures=Figures(origin=gone[-1]))
        board.doomed[name] = gone[-1]
    state = msgspec.structs.replace(
        state,
        adopted=since,
        adopting=None,
        decided=max((sweep.to for sweep in board.cursor.sweeps), default=0),
        settled=() if settled is None else settled.since(since),
    )
    if newest is None:
        board.forget(name)
    else:
        board.adopt(newest)
        if newest.ephemeral and state.spent:
            board.timeline.remove(name)
            step.spent.append(name)
    later = debt.pending[len(edits) :]
    if later:
        board.debts[name] = Debt(newest, later)
        board.timeline.remove(name)
    else:
        del board.debts[name]
    step.set_state(board.states, name, state)


def _conditions(job: Job | None) -> object:
    """What a job's parents have to do; when that changes, what was met of it counts no more."""
    dependency = None if job is None else job.dependency
    return None if dependency is None else (dependency.parents, dependency.require)


# ---- requests


def _requests(board: Board, step: Step, now: int, limit: int) -> None:
    take_requests(board, step, now, limit)
    unknown: list[Key] = []
    while board.kills_new and step.room(4, limit):
        key = board.kills_new.popleft()
        execution = board.execution(key)
        if execution is None and not cancel_request(board, step, key, now):
            unknown.append(key)
        elif execution is None or execution.state.final:
            board.kills.discard(key)
            step.kills_done.add(key)
        elif execution.waits:
            end_waiting(board, step, execution, Reason.CANCELLED, now)
            board.kills.discard(key)
            step.kills_done.add(key)
        elif execution.state is State.QUEUED:
            result = msgspec.structs.replace(
                execution, state=State.KILLED, finished=now, error="ended while it waited to be tried again"
            )
            step.archive.append((result, None))
            _finish(board, step, result, now)
        else:
            step.kills.append(Kill(key, key in board.forced))
    board.kills_new.extend(unknown)
    while board.cleared and step.room(2, limit):
        name, until = board.cleared.popleft()
        step.clears_done.add(name)
        if name in board.states:
            step.set_state(board.states, name, uncounted(board.states[name], until))


def _retries(board: Board, step: Step, now: int, limit: int) -> None:
    while board.retries and board.retries[0][0] <= now and step.room(4, limit):
        _, key = heapq.heappop(board.retries)
        execution = board.execution(key)
        if execution is None or execution.state is not State.QUEUED:
            continue
        job = board.job_of(execution)
        if job is None:
            result = msgspec.structs.replace(execution, state=State.KILLED, finished=now, error="the job was deleted")
            step.archive.append((result, None))
            _finish(board, step, result, now)
            continue
        spool = board.spools.get(execution.node, "")
        sent = msgspec.structs.replace(execution, state=State.DISPATCHED, epoch=board.epoch, spool=spool)
        _replace(board, step, sent)
        order(board, step, job, sent)


def _reorders(board: Board, step: Step, limit: int) -> None:
    while board.reorder and step.room(1, limit):
        execution = board.execution(board.reorder.popleft())
        if execution is None or execution.state is not State.DISPATCHED:
            continue
        job = board.job_of(execution)
        if job is None:
            board.report_lost(execution.key, "the job was deleted before its order was confirmed")
            continue
        if not execution.spool:
            execution = msgspec.structs.replace(execution, spool=board.spools[execution.node])
            _replace(board, step, execution)
        order(board, step, job, execution)


# ---- fires


def _fires(board: Board, step: Step, now: int) -> None:
    if board.adopting:
        return
    last: tuple[int, str] | None = None
    while (head := board.timeline.head()) is not None and head[0] <= now and step.room(2):
        fire, job, schedule = board.timeline.pop()
        reason, detail = board.exclusions.verdict(job, schedule, fire, now, board.pause)
        env = env_at(schedule, fire) if reason is None else None
        start(board, step, job, fire, now, env=env, reason=reason, detail=detail)
        last = fire, job.name
    if last is not None:
        step.cursor = board.cursor = msgspec.structs.replace(board.cursor, time=last[0], job=last[1])


def _decide_due(board: Board, step: Step, due: Due, now: int) -> None:
    start(
        board,
        step,
        due.job,
        due.fire,
        now,
        env=due.env,
        reason=due.reason,
        detail=due.detail,
        last=due.last,
        count=due.count,
    )


def _replace(board: Board, step: Step, execution: Execution) -> None:
    group = board.groups[execution.job, execution.group]
    group.put(execution)
    step.put_group(group)
