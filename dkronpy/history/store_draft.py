"""One commit in the making, of a history in a key-value store."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dkronpy.history.rules import outcome
from dkronpy.history.store_keys import encode_output, encode_record
from dkronpy.store.contract import MAX_BYTES, MAX_PARTS, Delete, Put

if TYPE_CHECKING:
    from dkronpy.history.store_job import Change
    from dkronpy.history.store_keys import HistoryKeys, Key
    from dkronpy.history.stretches import Stretches
    from dkronpy.model.execution import Execution, State
    from dkronpy.store.contract import Operation

_COUNTERS_BYTES = 2000
"""Of the counters in a commit, about."""


class Draft:
    """What becomes one commit."""

    def __init__(self, keys: HistoryKeys) -> None:
        self._keys = keys
        self.guards: set[str] = set()
        """Keys that must be absent."""
        self.operations: dict[str, Operation] = {}
        self.totals: Counter[State] = Counter()
        self.days: Counter[tuple[str, str]] = Counter()
        self.changes: list[Change] = []
        self.outputs: dict[Key, Stretches] = {}
        self.folded: dict[str, int] = {}

    @property
    def size(self) -> int:
        """Bytes of keys and values, but for the counters'."""
        return sum(
            len(key) + (len(operation.value) if isinstance(operation, Put) else 0)
            for key, operation in self.operations.items()
        )

    def change(self, old: Execution | None, new: Execution | None) -> None:
        """Put `new` in the place of `old`."""
        found = self._keys.indexed(new) if new else set[str]()
        before = self._keys.indexed(old) if old else set[str]()
        for key in before - found:
            self._delete(key)
        for key in found - before:
            self._put(key, b"")
        if new:
            self._put(self._keys.record(new.key), encode_record(new))
            self._count(new, 1)
        elif old:
            self._delete(self._keys.record(old.key))
            if old.state.ran:
                self._delete(self._keys.output(old.key))
        if old:
            self.totals[old.state] -= 1
            if new:
                self._count(old, -1)
        if new:
            self.totals[new.state] += 1
        self.changes.append((old, new))

    def insert(self, new: Execution) -> None:
        """Put `new` where most likely nothing is: if something is, the commit fails."""
        self.guards.add(self._keys.record(new.key))
        self.change(None, new)

    def output(self, key: Key, stretches: Stretches, *, absent: bool) -> None:
        """Put a run's output, where none is if `absent`."""
        name = self._keys.output(key)
        if absent:
            self.guards.add(name)
        self._put(name, encode_output(stretches))
        self.outputs[key] = stretches

    def fold(self, job: str, folded: int) -> None:
        """Keep the job's fires that did not run no longer one by one up to the group `folded`; -1: forget the job."""
        key = self._keys.folded + job
        if folded < 0:
            self._delete(key)
        else:
            self._put(key, b"%d" % folded)
        self.folded[job] = folded

    def takes(self, other: Draft) -> bool:
        """Whether both fit one commit, with the guard on the writer's mark and the counters."""
        parts = len(self.guards | other.guards) + len(self.operations.keys() | other.operations.keys())
        dates = {date for date, _ in (*self.days, *other.days)}
        return parts + len(dates) + 2 <= MAX_PARTS and self.size + other.size + _COUNTERS_BYTES <= MAX_BYTES

    def add(self, other: Draft) -> None:
        """Take in what comes after."""
        self.guards |= other.guards
        self.operations |= other.operations
        self.totals.update(other.totals)
        self.days.update(other.days)
        self.changes += other.changes
        self.outputs |= other.outputs
        self.folded |= other.folded

    def _put(self, key: str, value: bytes) -> None:
        self.operations[key] = Put(key, value)

    def _delete(self, key: str) -> None:
        self.operations[key] = Delete(key)

    def _count(self, execution: Execution, sign: int) -> None:
        if added := outcome(execution):
            date, success, failed = added
            self.days[date, "success"] += sign * success
            self.days[date, "failed"] += sign * failed
