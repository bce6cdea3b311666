"""Recording and deleting executions in a database, by the rules that every history keeps."""

from __future__ import annotations

from collections.abc import Sequence

from dkronpy.history.rules import covers, joined, keeps, outcome
from dkronpy.history.table import Counted, Key, Table
from dkronpy.history.work import Work
from dkronpy.model.execution import Execution


def write(table: Table, executions: Sequence[Execution]) -> Work[None]:
    """As `History.write`."""
    if not executions:
        return
    idle_jobs = {execution.job for execution in executions if not execution.state.ran}
    folded = (yield from table.folded(idle_jobs)) if idle_jobs else {}
    days: list[Counted] = []
    changed: dict[Key, Execution] = {}
    if folded:
        known = yield from table.records({execution.key for execution in executions})
    else:
        newest = _newest(executions)
        added, known = yield from table.add(list(newest.values()))
        if added:
            days = [day for key in added for day in _counted(None, newest[key])]
            executions = [execution for execution in executions if execution.key not in added]
    for new in executions:
        old = known.get(new.key)
        if old is not None and keeps(old, new):
            continue
        if not new.state.ran and new.group <= folded.get(new.job, -1):
            yield from table.put(list(changed.values()), days)
            changed.clear()
            days.clear()
            before = None if old else (yield from table.before_alike(new.job, new.state, new.group))
            if before is not None and covers(before, new):
                continue
            yield from table.put([new], _counted(old, new))
            yield from join_neighbours(table, new.job, new.group, folded[new.job])
            known = yield from table.records({execution.key for execution in executions})
            continue
        days += _counted(old, new)
        changed[new.key] = known[new.key] = new
    yield from table.put(list(changed.values()), days)


def _newest(executions: Sequence[Execution]) -> dict[Key, Execution]:
    """What is to be kept of each key if nothing is there yet."""
    newest: dict[Key, Execution] = {}
    for new in executions:
        key = new.key
        old = newest.get(key)
        if old is None or not keeps(old, new):
            newest[key] = new
    return newest


def remove(table: Table, keys: Sequence[Key]) -> Work[None]:
    """Delete executions with their output; what did not run on both sides of them may become one record."""
    if not keys:
        return
    yield from table.remove(keys)
    jobs = {key[0] for key in keys}
    folded = yield from table.folded(jobs)
    for job, group in dict.fromkeys(key[:2] for key in keys):
        if group <= folded.get(job, -1):
            yield from join_neighbours(table, job, group, folded[job])
    if folded:
        yield from table.forget(folded)


def join_neighbours(table: Table, job: str, group: int, folded: int) -> Work[None]:
    """Make one record of what lies at, right before and right after `group`, so far as it did not run, for the same
    reason, and is no longer kept one by one."""
    older: Execution | None = None
    for newer in (yield from table.neighbours(job, group)):
        both = joined(older, newer) if older and newer.group <= folded else None
        if both:
            yield from table.put([both])
            yield from table.remove([newer.key])
        older = both or newer


def _counted(old: Execution | None, new: Execution) -> list[Counted]:
    """What a record changes in the days' counters when it is written."""
    found: list[Counted] = []
    for execution, sign in ((old, -1), (new, 1)):
        if execution is not None and (added := outcome(execution)):
            date, success, failed = added
            found.append((new.key, date, sign * success, sign * failed))
    return found
