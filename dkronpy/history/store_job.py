"""What a history in a key-value store knows of one job while it decides what to keep. No I/O."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from dkronpy.history.contract import Retention
from dkronpy.history.rules import covers, ended, joined, keeps
from dkronpy.model.execution import Execution

Change = tuple[Execution | None, Execution | None]
"""A record before and after; None: there is none."""
Step = Sequence[Change]
"""Changes that belong together."""


class Summary:
    """The groups of a job that ran, and of those that did not the ones still kept one by one, oldest first."""

    __slots__ = ("_due", "_settled", "idle", "oldest_end", "ran")

    def __init__(self) -> None:
        self._settled: Retention | None = None
        self._due: int | None = None
        self.ran = array("q")
        self.idle = array("q")
        self.oldest_end: int | None = None
        """No record has ended (ns) before; perhaps none so early is left."""

    def add(self, execution: Execution, folded: int) -> None:
        """Take in a record, for the first time or again; `folded` is as in `JobRecords`."""
        self._settled = None
        end = ended(execution)
        if end is not None and (self.oldest_end is None or end < self.oldest_end):
            self.oldest_end = end
        if execution.state.ran:
            _include(self.ran, execution.group)
        elif execution.group > folded:
            _include(self.idle, execution.group)

    def settle(self, policy: Retention, due: int | None) -> None:
        """Note that `policy` keeps all records there are, until `due` (ns) when something gets too old."""
        self._settled = policy
        self._due = due

    def exceeds(self, policy: Retention, now: int) -> bool:
        """Whether there may be something that `policy` does not keep."""
        if self._settled == policy:
            return self._due is not None and self._due < now
        return len(self.ran) > policy.count or self.needs_records(policy, now)

    def needs_records(self, policy: Retention, now: int) -> bool:
        """Whether more than the oldest that ran may have to go."""
        if (policy.size, policy.failed_count, policy.failed_age) != (None, None, None):
            return True
        before = None if policy.age is None else now - policy.age
        return len(self.idle) > policy.count or (
            before is not None and self.oldest_end is not None and self.oldest_end < before
        )


class JobRecords:
    """All records of a job, of which those that did not run with a group up to `folded` are joined with neighbours."""

    def __init__(self, records: Iterable[Execution], folded: int) -> None:
        self._records = sorted(records, key=_order)
        self.folded = folded

    def __len__(self) -> int:
        return len(self._records)

    def oldest_first(self) -> list[Execution]:
        return self._records[::-1]

    def summary(self) -> Summary:
        summary = Summary()
        for record in reversed(self._records):
            summary.add(record, self.folded)
        return summary

    def record(self, new: Execution) -> list[Step]:
        """Take in a record by the rules of `History.write`; what changes."""
        old = next((known for known in self._records if known.key == new.key), None)
        if old is not None and keeps(old, new):
            return []
        if old is None and not new.state.ran and new.group <= self.folded:
            before = (known for known in self._records if known.state is new.state and known.group < new.group)
            newest = next(before, None)
            if newest is not None and covers(newest, new):
                return []
        if old is not None:
            self._records.remove(old)
        insort(self._records, new, key=_order)
        return [[(old, new)], *self.join()]

    def remove(self, records: Sequence[Execution]) -> list[Step]:
        """Drop some records; what changes, but for the joining of what is now side by side."""
        gone = {record.key for record in records}
        self._records = [record for record in self._records if record.key not in gone]
        return [[(record, None)] for record in records]

    def join(self) -> list[Step]:
        """Make one record of neighbours that did not run, for the same reason, and are not kept one by one; what
        changes."""
        steps: list[Step] = []
        kept: list[Execution] = []
        for newer in reversed(self._records):
            both = joined(kept[-1], newer) if kept and newer.group <= self.folded else None
            if both is None:
                kept.append(newer)
            else:
                steps.append([(newer, None), (kept[-1], both)])
                kept[-1] = both
        self._records = kept[::-1]
        return steps


def _order(execution: Execution) -> tuple[int, int, str]:
    return (-execution.group, -execution.attempt, execution.node)


def _include(groups: array[int], group: int) -> None:
    at = bisect_left(groups, group)
    if at == len(groups) or groups[at] != group:
        groups.insert(at, group)
