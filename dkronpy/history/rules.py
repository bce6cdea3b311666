"""What every history does with executions: which record wins, what is counted, what becomes one record."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from dkronpy.model.execution import Execution, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkronpy.history.contract import Query, Retention

IDLE = tuple(state for state in State if not state.ran)
"""The states of fires that did not run."""
RAN = tuple(state for state in State if state.ran)
FAILED = tuple(state for state in RAN if state.final and state is not State.SUCCESS)
"""The states of runs that may be kept longer than others."""

_DAY = 86_400_000_000_000
"""Nanoseconds."""
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


def deleted(execution: Execution, until: int) -> bool:
    """Whether it goes with all that a job has had up to `until` (ns), as `History.delete` says."""
    return execution.group <= until or (execution.state is State.SKIPPED and (ended(execution) or until) < until)


def outcome(execution: Execution) -> tuple[str, int, int] | None:
    """What the execution adds to its UTC day: (YYYY-MM-DD, successes, failures); None when nothing."""
    state = execution.state
    if not (state.final and state.ran) or execution.finished is None:
        return None
    success = execution.success
    return _date(execution.finished // _DAY), int(success), int(not success)


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    """Of a day counted from 1970-01-01."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


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


def age_of(execution: Execution, retention: Retention) -> int | None:
    """How old (ns) the execution may get."""
    apart = execution.state in FAILED and retention.failed_age is not None
    return retention.failed_age if apart else retention.age


def due(records: Sequence[Execution], retention: Retention) -> int | None:
    """The time (ns) after which the first of `records` is too old."""
    ends = ((ended(record), age_of(record, retention)) for record in records)
    return min((end + age for end, age in ends if end is not None and age is not None), default=None)


def excess(records: Sequence[Execution], retention: Retention, *, now: int, output_limit: int) -> list[Execution]:
    """Of all records of one job, oldest first, those that `retention` does not keep, in the order in which they go.
    What did not run goes by its age alone; beyond the count it is joined (`joined`)."""
    aged: list[tuple[int, int]] = []
    for number, record in enumerate(records):
        age, end = age_of(record, retention), ended(record)
        if age is not None and end is not None and end < now - age:
            aged.append((end, number))
    gone = {number: None for _, number in sorted(aged)}
    apart = retention.failed_count is not None
    counts = [(retention.count, RAN, tuple(s for s in RAN if s not in FAILED) if apart else RAN)]
    if retention.failed_count is not None:
        counts.append((retention.failed_count, FAILED, FAILED))
    for count, counted, going in counts:
        groups = sorted({r.group for n, r in enumerate(records) if n not in gone and r.state in counted})
        too_many = set(groups[: max(len(groups) - count, 0)])
        if too_many:
            until = max(too_many)
            gone |= {n: None for n, r in enumerate(records) if n not in gone and r.state in going and r.group <= until}
    if retention.size is not None:
        sizes: Counter[int] = Counter()
        for n, r in enumerate(records):
            if n not in gone and r.output_size > 0:
                sizes[r.group] += min(r.output_size, output_limit)
        total = 0
        for place, group in enumerate(sorted(sizes, reverse=True)):
            total += sizes[group]
            if place and total > retention.size:
                gone |= {
                    n: None for n, r in enumerate(records) if n not in gone and r.state in RAN and r.group <= group
                }
                break
    return [records[number] for number in gone]
