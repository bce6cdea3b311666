"""Deciding one fire or request: executions on the nodes that its job's tags pick, or one record of why it does not
run."""

from __future__ import annotations

from dkronpy.model.execution import Execution, Reason, State, Trigger, execution_id
from dkronpy.model.job import Concurrency, Job
from dkronpy.model.run import RunSpec
from dkronpy.model.times import rfc3339
from dkronpy.scheduling.board import Board
from dkronpy.scheduling.groups import Group
from dkronpy.scheduling.step import Order, Step
from dkronpy.scheduling.targeting import select

MAX_TARGETS = 700
"""Executions that fit one group's record."""
_LATE = frozenset({Reason.OUTSIDE_WINDOW, Reason.SUPERSEDED, Reason.NOT_WANTED})


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
    reason: Reason | None = None,
    last: int = 0,
    count: int = 1,
) -> None:
    """Decide a fire of `job` due at `fire` (ns), or a request whose group is `number`. With `reason` it does not run,
    and the record stands for `count` fires up to `last`; overlap and lack of nodes are found here."""
    if number is None:
        number = board.free_group(job.name, fire)
    detail = ""
    nodes: list[str] = []
    if reason is None and job.concurrency is Concurrency.FORBID and (flying := board.in_flight.get(job.name)):
        reason, detail = Reason.OVERLAP, f"group {min(flying)} is in flight"
    if reason is None:
        try:
            nodes = select(job.tags, board.targets, board.reachable, board.rng)
        except ValueError as error:
            # Tags are checked when a job is written; one that came into the store by another way must not stop the
            # plan.
            detail = f"tags: {error}"
        if not nodes:
            reason = Reason.NO_TARGET
        elif len(nodes) > MAX_TARGETS:
            reason, detail = Reason.TOO_MANY_TARGETS, f"{len(nodes)} nodes match; one group holds at most {MAX_TARGETS}"
    if reason is not None:
        executions = [
            Execution(
                job.name,
                number,
                state=State.MISSED if reason in _LATE else State.SKIPPED,
                reason=reason,
                trigger=trigger,
                fire=fire,
                decided=now,
                finished=now,
                error=detail,
                epoch=board.epoch,
                last=last,
                count=count,
            )
        ]
    else:
        executions = [
            Execution(
                job.name,
                number,
                1,
                node,
                trigger=trigger,
                fire=fire,
                decided=now,
                epoch=board.epoch,
                spool=board.spools.get(node, ""),
                env=env or {},
            )
            for node in nodes
        ]
    group = Group(executions)
    board.add_group(group)
    step.put_group(group)
    step.decided.append(executions[0])
    for execution in executions:
        if execution.state.final:
            step.archive.append((execution, None))
        else:
            order(board, step, job, execution)


def order(board: Board, step: Step, job: Job, execution: Execution) -> None:
    """Add the order of a recorded execution to the step."""
    env = {
        "DKRON_JOB_NAME": job.name,
        "DKRON_EXECUTION_ID": execution_id(execution.group, execution.attempt, execution.node),
        "DKRON_FIRE_TIME": rfc3339(execution.fire),
        "DKRON_ATTEMPT": str(execution.attempt),
        "DKRON_EPOCH": str(board.epoch),
        "ENV_JOB_NAME": job.name,
    }
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
