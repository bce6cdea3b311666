"""Deciding one fire or request: executions on the nodes that its job's tags pick, a place among those that wait, or one
record of why it does not run."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from dkronpy.model.execution import OF_FIRES, Execution, Origin, Reason, State, Trigger
from dkronpy.model.job import Concurrency, Job
from dkronpy.model.parameter import with_defaults
from dkronpy.model.run import RunSpec
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.environment import automatic
from dkronpy.scheduling.groups import Group
from dkronpy.scheduling.step import Order, Step
from dkronpy.scheduling.targeting import select

MAX_TARGETS = 700
"""Executions that fit one group's record."""
_LATE = frozenset({Reason.OUTSIDE_WINDOW, Reason.SUPERSEDED, Reason.NOT_WANTED})


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What keeps a fire from starting now."""

    reason: Reason
    detail: str = ""


def start(
    board: Board,
    step: Step,
    job: Job,
    fire: int,
    now: int,
    *,
    trigger: Trigger = Trigger.SCHEDULE,
    number: int | None = None,
    env: dict[str, str] | None = None,
    origin: Origin | None = None,
    reason: Reason | None = None,
    detail: str = "",
    last: int = 0,
    count: int = 1,
) -> None:
    """Decide a fire of `job` due at `fire` (ns), or a request whose group is `number`. With `reason` it does not run,
    and the record stands for `count` fires up to `last`; overlap, full groups and lack of nodes are found here."""
    if number is None:
        number = board.free_group(job.name, fire)
    decided = Execution(
        job.name,
        number,
        trigger=trigger,
        fire=fire,
        decided=now,
        epoch=board.epoch,
        env=with_defaults(job.parameters, env or {}),
        origin=origin,
        last=last,
        count=count,
    )
    if reason is not None:
        _skip(board, step, decided, Hindrance(reason, detail))
        return
    hindrance = hindered(board, job, arriving=True)
    if hindrance is not None and (refusal := _refusal(board, job, hindrance, trigger)) is not None:
        _skip(board, step, decided, refusal)
        return
    nodes, lack = targets(board, job)
    deadline = 0
    if lack is not None and lack.reason is Reason.NO_TARGET and hindrance in (None, lack):
        deadline = now + job.wait_for_target if job.wait_for_target else 0
    if hindrance is not None or deadline:
        why = hindrance or lack
        assert why is not None, "only a lack of nodes has a deadline"
        waits = msgspec.structs.replace(
            decided, state=State.QUEUED, reason=why.reason, error=why.detail, not_before=deadline
        )
        _add(board, step, [waits])
    elif lack is not None:
        _skip(board, step, decided, lack)
    else:
        launch(board, step, job, decided, nodes)


def hindered(board: Board, job: Job, *, arriving: bool) -> Hindrance | None:
    """What keeps a fire of the job from starting now: one of its oldest that wait, or one that arrives and may not
    overtake those. Whether there are nodes for it is another question."""
    waiting = board.waiting
    if arriving and (numbers := waiting.by_job.get(job.name)):
        first = board.placeholder(job.name, numbers[0])
        if first.reason == Reason.NO_TARGET:
            return NO_TARGET
        return Hindrance(Reason(first.reason), f"group {numbers[0]} waits before it")
    if job.concurrency is not Concurrency.ALLOW and (flying := board.in_flight.get(job.name)):
        return Hindrance(Reason.OVERLAP, f"group {min(flying)} is in flight")
    if job.concurrency_groups:
        names = job.concurrency_groups
        if waiting.free(names) is None or (arriving and board.wanted(names)):
            return Hindrance(Reason.GROUP_FULL, f"no place in {', '.join(names)}")
    return None


def _refusal(board: Board, job: Job, hindrance: Hindrance, trigger: Trigger) -> Hindrance | None:
    """Why a hindered fire that arrives may not even wait, by its job's policy of overlap."""
    waiting = len(board.waiting.by_job.get(job.name, ()))
    match job.concurrency:
        case Concurrency.FORBID if waiting or hindrance.reason is Reason.OVERLAP:
            return Hindrance(Reason.OVERLAP, hindrance.detail or "another waits for a node")
        case Concurrency.QUEUE_ONE if waiting:
            return Hindrance(Reason.OVERLAP, hindrance.detail or "another waits for a node")
        case Concurrency.QUEUE_NEWEST if waiting and trigger in OF_FIRES:
            return Hindrance(Reason.OVERLAP, hindrance.detail or "another waits for a node")
        case Concurrency.QUEUE_NEWEST | Concurrency.CANCEL_OTHER | Concurrency.REPLACE:
            return None
        case _ if waiting >= job.queue_limit:
            return Hindrance(Reason.QUEUE_FULL, f"{waiting} wait already, of queue_limit {job.queue_limit}")
        case _:
            return None


NO_TARGET = Hindrance(Reason.NO_TARGET)


def targets(board: Board, job: Job) -> tuple[list[str], Hindrance | None]:
    """The nodes that a run of the job has now, or why there are none that will do."""
    try:
        nodes = select(job.tags, board.candidates, board.reachable, board.rng)
    except ValueError as error:
        # Tags are checked when a job is written; one that came into the store by another way must not stop the plan.
        return [], Hindrance(Reason.NO_TARGET, f"tags: {error}")
    if not nodes:
        return [], NO_TARGET
    if len(nodes) > MAX_TARGETS:
        detail = f"{len(nodes)} nodes match; one group holds at most {MAX_TARGETS}"
        return [], Hindrance(Reason.TOO_MANY_TARGETS, detail)
    return nodes, None


def launch(board: Board, step: Step, job: Job, decided: Execution, nodes: list[str]) -> None:
    """Run a fire that was decided, or has waited, on these nodes."""
    place = board.waiting.free(job.concurrency_groups) or ""
    executions = [
        msgspec.structs.replace(
            decided,
            attempt=1,
            node=node,
            state=State.DISPATCHED,
            reason="",
            not_before=0,
            error="",
            epoch=board.epoch,
            spool=board.spools.get(node, ""),
            concurrency_group=place,
        )
        for node in nodes
    ]
    _add(board, step, executions)
    step.decided.append(executions[0])
    for execution in executions:
        order(board, step, job, execution)


def _skip(board: Board, step: Step, decided: Execution, why: Hindrance) -> None:
    skipped = msgspec.structs.replace(
        decided,
        state=State.MISSED if why.reason in _LATE else State.SKIPPED,
        reason=why.reason,
        error=why.detail,
        finished=decided.decided,
        env={},
    )
    _add(board, step, [skipped])
    step.decided.append(skipped)
    step.archive.append((skipped, None))


def _add(board: Board, step: Step, executions: list[Execution]) -> None:
    group = Group(executions)
    board.add_group(group)
    step.put_group(group)


def order(board: Board, step: Step, job: Job, execution: Execution) -> None:
    """Add the order of a recorded execution to the step."""
    env = automatic(job, execution, board.states.get(job.name), board.epoch)
    env.update(board.env)
    run = RunSpec(
        execution.job,
        execution.group,
        execution.attempt,
        execution.node,
        job.executor,
        job.executor_config,
        env,
        execution.env,
    )
    step.orders.append(Order(run, execution.spool))
