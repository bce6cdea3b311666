"""What every history does with executions: which record wins, what is counted, what becomes one record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dkronpy.model.execution import Execution, State

if TYPE_CHECKING:
    from dkronpy.history.contract import Query

IDLE = tuple(state for state in State if not state.ran)
"""The states of fires that did not run."""
RAN = tuple(state for state in State if state.ran)


_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


def bounds(query: Query) -> tuple[int, int]:
    """The range of groups asked for, within int64; the first above the second when there is none."""
    since = _LOWEST if query.since is None else query.since
    until = _HIGHEST if query.until is None else query.until
    if query.group is not None:
        since, until = max(since, query.group), min(until, query.group)
    if since > _HIGHEST or until < _LOWEST:
        return 1, 0
    return max(since, _LOWEST), min(until, _HIGHEST)


def keeps(old: Execution, new: Execution) -> bool:
    """Whether the record `old` stays as it is when `new`, which has its key, is written."""
    return old == new or not replaces(new.state, old.state) or covers(old, new)


def replaces(new: State, old: State) -> bool:
    """Whether a record in state `new` may take the place of one in state `old` with the same key."""
    if not old.final:
        return True
    return new.final and (new is not State.LOST or old is State.LOST)


def ended(execution: Execution) -> int | None:
    """The time (ns) from which a final record's age counts; None for one that is not final."""
    if not execution.state.final:
        return None
    return execution.finished or execution.decided or execution.group


def outcome(execution: Execution) -> tuple[str, int, int] | None:
    """What the execution adds to its UTC day: (YYYY-MM-DD, successes, failures); None when nothing."""
    state = execution.state
    if not (state.final and state.ran) or execution.finished is None:
        return None
    day = datetime.fromtimestamp(execution.finished // 1_000_000_000, UTC).date().isoformat()
    return day, int(execution.success), int(not execution.success)


def covers(record: Execution, execution: Execution) -> bool:
    """Whether `record` stands for several fires that did not run and the fires of `execution` are among them."""
    return (
        record.count > 1
        and _alike(record, execution)
        and record.group <= execution.group
        and _end(execution) <= record.last
    )


def joined(older: Execution, newer: Execution) -> Execution | None:
    """One record for the fires of two neighbours of a job; None unless both did not run, for the same reason."""
    if not _alike(older, newer):
        return None
    return Execution(
        job=older.job,
        group=older.group,
        attempt=older.attempt,
        node=older.node,
        state=older.state,
        reason=older.reason,
        trigger=older.trigger,
        fire=older.fire,
        decided=newer.decided,
        finished=newer.finished,
        epoch=newer.epoch,
        last=max(_end(older), _end(newer)),
        count=older.count + newer.count,
    )


def _alike(one: Execution, other: Execution) -> bool:
    """Whether both are fires of one job that did not run, for the same reason."""
    return one.state in IDLE and (one.job, one.attempt, one.node, one.state, one.reason) == (
        other.job,
        other.attempt,
        other.node,
        other.state,
        other.reason,
    )


def _end(execution: Execution) -> int:
    return max(execution.last, execution.group)
