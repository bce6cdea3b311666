"""One group of executions: what a report makes of it, whether it is complete, and what then follows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

import msgspec

from dkronpy.model.checks import CheckStatus, check_status, worst
from dkronpy.model.execution import Execution, State
from dkronpy.model.figures import Figures, RunMark
from dkronpy.model.job import Job, JobState, JobStatus, RetryTarget
from dkronpy.model.member import Member
from dkronpy.model.records import GroupRecord
from dkronpy.model.run import Ended, Key
from dkronpy.scheduling.targeting import matching

Folded: TypeAlias = tuple[int, int]
"""Up to which observation of a job the history has folded its figures, of which origin: (origin, number)."""
MAX_ERROR = 500
"""Characters kept of an error text."""
MAX_GROUP_DATA = 32_000
"""Characters of the data that the runs of a group return."""


class Group:
    """The executions of one fire or request, by key."""

    __slots__ = ("archived", "children", "concurrency_group", "env", "executions", "group", "job", "origin")

    def __init__(self, executions: Iterable[Execution], children: tuple[str, ...] = ()) -> None:
        self.executions: dict[Key, Execution] = {execution.key: execution for execution in executions}
        first = next(iter(self.executions.values()))
        self.job = first.job
        self.group = first.group
        self.env = first.env
        self.origin = first.origin
        self.children = children
        """Jobs that are still to be told how it ended."""
        self.concurrency_group = first.concurrency_group
        self.archived: set[Key] = set()
        """Executions whose final record is in the history."""

    @property
    def record(self) -> GroupRecord:
        """The group as the store keeps it."""
        executions = tuple(self.executions.values())
        if self.env or self.origin is not None:
            executions = tuple(msgspec.structs.replace(execution, env={}, origin=None) for execution in executions)
        return GroupRecord(executions, self.env, self.origin, self.children)

    @property
    def placeholder(self) -> Execution | None:
        """What stands for a fire that waits for its turn; None once it is decided what becomes of it."""
        first = next(iter(self.executions.values()))
        return first if first.waits else None

    @property
    def complete(self) -> bool:
        """Whether every execution is final and no retry waits."""
        for execution in self.executions.values():  # noqa: SIM110  # quicker: it is asked for each fire of a tick
            if not execution.state.final:
                return False
        return True

    @property
    def ran(self) -> bool:
        """Whether anything was to run: false for a skipped or missed fire."""
        return any(execution.state.ran for execution in self.executions.values())

    @property
    def archived_whole(self) -> bool:
        """Whether the group is complete, all of it is in the history and its job's children know, so that it may leave
        the store."""
        return len(self.archived) == len(self.executions) and self.complete and not self.children

    @property
    def decided(self) -> int:
        """When (ns) it was decided: before its number, if it is a request for a later time that was cancelled."""
        return next(iter(self.executions.values())).decided

    @property
    def ended(self) -> int:
        """When (ns) its last execution ended; 0 while none has."""
        return max(execution.finished or 0 for execution in self.executions.values())

    @property
    def returned(self) -> int:
        """Characters of the data that its runs have returned."""
        return sum([len(execution.return_data) for execution in self.executions.values()])

    def put(self, execution: Execution) -> None:
        """Add or replace an execution."""
        self.executions[execution.key] = execution
        self.archived.discard(execution.key)

    def last_attempts(self) -> list[Execution]:
        """The newest attempt of each node's chain. A retry on another node continues the chain, so of every attempt
        number as many chains go on as there are executions with the next."""
        ordered = sorted(self.executions.values(), key=lambda execution: execution.attempt)
        continued = {(e.attempt - 1, e.retry_of or e.node) for e in ordered if e.attempt > 1}
        return [e for e in ordered if (e.attempt, e.node) not in continued]

    def status(self) -> JobStatus:
        """How the group ended, judged by the last attempt on each node."""
        succeeded = [execution.success for execution in self.last_attempts()]
        if all(succeeded):
            return JobStatus.SUCCESS
        return JobStatus.PARTIALLY_FAILED if any(succeeded) else JobStatus.FAILED

    def check(self) -> CheckStatus:
        """The worst that the checks of the last attempts found."""
        return worst(execution.check for execution in self.last_attempts())


def finished(execution: Execution, report: Ended, *, returned: int = 0, check: bool = False) -> Execution:
    """The execution with its result. `returned` counts the characters of data that its group has returned so far;
    `check` is whether its job is a check. A true report that replaces `lost` keeps that it was lost."""
    error, data = report.error, report.data
    by_itself = report.state in (State.SUCCESS, State.FAILED)
    if len(data) > MAX_GROUP_DATA - returned:
        data = ""
        error = "; ".join(filter(None, (error, "the data that it returned is not kept: its group has too much")))
    replaced = execution.replaced
    if execution.state is State.LOST:
        replaced = (*replaced, f"lost at {execution.finished}: {execution.error}")
    return msgspec.structs.replace(
        execution,
        state=report.state,
        started=report.started,
        finished=report.finished,
        exit_code=report.exit_code,
        error=error[:MAX_ERROR],
        return_data=data,
        check=check_status(report.exit_code, by_itself=by_itself) if check or execution.check else CheckStatus.NONE,
        output_size=report.size,
        output_sha256=report.sha256,
        replaced=replaced,
    )


def lost(execution: Execution, now: int, error: str, *, check: bool = False) -> Execution:
    """The execution, ended because nobody can know how it ended. `check` is whether its job is a check."""
    found = CheckStatus.UNKNOWN if check else CheckStatus.NONE
    return msgspec.structs.replace(execution, state=State.LOST, finished=now, error=error[:MAX_ERROR], check=found)


def counted(state: JobState, execution: Execution, folded: Folded) -> JobState:
    """The job's counters after an execution that ran has ended. `folded`: what the history's digests hold of the
    job."""
    figures = _figured(state.figures, execution, folded)
    finished = execution.finished or 0
    mark = RunMark(execution.id, execution.fire, execution.started, finished, execution.exit_code)
    if execution.success:
        return msgspec.structs.replace(
            state,
            success_count=state.success_count + 1,
            last_success=max(state.last_success or 0, finished),
            last_good=_later(state.last_good, mark),
            figures=figures,
        )
    return msgspec.structs.replace(
        state,
        error_count=state.error_count + 1,
        last_error=max(state.last_error or 0, finished),
        last_bad=_later(state.last_bad, mark),
        figures=figures,
    )


def _figured(figures: Figures, execution: Execution, folded: Folded) -> Figures:
    """The job's figures with one more run that ended; its duration and latency are observed if they are known."""
    state = execution.state
    figures = msgspec.structs.replace(
        figures,
        changes=figures.changes + 1,
        timed_out=figures.timed_out + (state is State.TIMED_OUT),
        killed=figures.killed + (state is State.KILLED),
        lost=figures.lost + (state is State.LOST),
    )
    if state is State.LOST or execution.started is None or execution.finished is None:
        return figures
    duration = max(execution.finished - execution.started, 0)
    latency = max(execution.started - execution.fire, 0)
    return figures.observing(duration, latency, folded=folded[1] if folded[0] == figures.origin else 0)


def _later(old: RunMark | None, new: RunMark) -> RunMark:
    return new if old is None or new.finished >= old.finished else old


def uncounted(state: JobState, now: int) -> JobState:
    """The job's state with its counters at zero, from `now` (ns) on."""
    return msgspec.structs.replace(
        state,
        success_count=0,
        error_count=0,
        last_success=None,
        last_error=None,
        last_good=None,
        last_bad=None,
        status=JobStatus.UNTRIGGERED,
        status_group=0,
        figures=Figures(origin=now),
        check=CheckStatus.NONE,
    )


def retry(
    job: Job, failed: Execution, members: Sequence[Member], reachable: Collection[str], now: int, epoch: int
) -> Execution | None:
    """The next attempt after a failed one; None where the job allows none. Another node is one in contact, if there
    is one.

    A killed run is not retried (somebody wanted it ended), a lost one only where the job says `on: any`."""
    if failed.attempt > job.retries or failed.state not in _RETRIED:
        return None
    node = failed.node
    if job.retry.on is RetryTarget.ANY:
        nodes = matching(job.tags, members) or [failed.node]
        others = [name for name in nodes if name != failed.node] or nodes
        choice = [name for name in others if name in reachable] or others
        node = choice[failed.group % len(choice)]
    elif failed.state is State.LOST:
        return None
    delay = min(job.retry.initial * min(job.retry.factor, 100.0) ** min(failed.attempt - 1, 60), job.retry.maximum)
    return Execution(
        job=failed.job,
        group=failed.group,
        attempt=failed.attempt + 1,
        node=node,
        state=State.QUEUED,
        trigger=failed.trigger,
        fire=failed.fire,
        decided=now,
        not_before=now + int(delay),
        epoch=epoch,
        env=failed.env,
        origin=failed.origin,
        concurrency_group=failed.concurrency_group,
        retry_of="" if node == failed.node else failed.node,
    )


_RETRIED = frozenset({State.FAILED, State.TIMED_OUT, State.LOST})
