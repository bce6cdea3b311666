"""What a database that holds a history is asked: few questions, each about many rows. The rules are not here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from dkronpy.history.contract import LOOKED_AT, DayCount, Query
from dkronpy.history.cursor import Position
from dkronpy.history.work import Work
from dkronpy.model.execution import Execution, State
from dkronpy.model.figures import JobFigures

Key = tuple[str, int, int, str]
"""(job, group, attempt, node)."""
Piece = tuple[int, bytes]
"""(start, bytes) of an output. Pieces of one output do not overlap."""


Counted = tuple[Key, str, int, int]
"""What the record of an execution adds to a day: (its key, YYYY-MM-DD, successes, failures)."""


Looked = tuple[list[Execution], Position | None]


class Extent(NamedTuple):
    """Where a piece lies."""

    start: int
    length: int


class Table(ABC):
    """Executions, pieces of their output, the days' counters, and of each job up to which group fires that did not run
    are no longer kept one by one (`folded`). Every method is work to be driven within a transaction of the caller's."""

    # ---- executions

    @abstractmethod
    def records(self, keys: Collection[Key]) -> Work[dict[Key, Execution]]:
        """Those of these executions that there are."""

    @abstractmethod
    def put(self, executions: Sequence[Execution], days: Sequence[Counted] = ()) -> Work[None]:
        """Insert or replace, and add to the counters of days; no key is given twice."""

    def add(self, executions: Sequence[Execution]) -> Work[tuple[set[Key], dict[Key, Execution]]]:
        """Insert those that are new, so far as that is quicker than to look first; the keys of those inserted, and the
        records that there are of the others. No key is given twice."""
        return set(), (yield from self.records([execution.key for execution in executions]))

    @abstractmethod
    def remove(self, keys: Sequence[Key]) -> Work[None]:
        """Delete executions with their output."""

    @abstractmethod
    def page(self, query: Query, after: Position | None, limit: int) -> Work[list[Execution]]:
        """The first `limit` that match and come after a place."""

    def suspects(self, query: Query, text: bytes, after: Position | None) -> Work[Looked]:
        """Of the next executions that match, those whose output may contain `text`, in order, and the place of the last
        one looked at; None where there are no more."""
        del text
        found = yield from self.page(query, after, LOOKED_AT)
        last = found[-1] if len(found) == LOOKED_AT else None
        return found, last and Position(last.group, last.attempt, last.node, last.job)

    @abstractmethod
    def count(self, query: Query) -> Work[int]: ...

    @abstractmethod
    def neighbours(self, job: str, group: int) -> Work[list[Execution]]:
        """The job's execution right before `group`, one at it and the one right after, so far as there are."""

    @abstractmethod
    def before_alike(self, job: str, state: State, group: int) -> Work[Execution | None]:
        """The job's newest execution in `state` before `group`."""

    # ---- output

    def begin_outputs(self, pieces: Sequence[tuple[Key, int, bytes]]) -> Work[set[Key]]:
        """Insert all pieces of outputs of which there is none, so far as that is quicker than to look first; the keys
        of those outputs."""
        del pieces
        return set()
        yield

    @abstractmethod
    def last_pieces(self, keys: Collection[Key]) -> Work[dict[Key, Extent]]:
        """The last piece of each output that has one."""

    @abstractmethod
    def extents(self, key: Key, begin: int, end: int) -> Work[list[Extent]]:
        """The pieces that hold bytes of [begin, end), or may, in order."""

    @abstractmethod
    def pieces(self, key: Key, begin: int, end: int) -> Work[list[Piece]]:
        """As `extents`, with their bytes."""

    @abstractmethod
    def piece_after(self, key: Key, place: int) -> Work[int]:
        """The start of the first piece that begins after `place`, which exists."""

    @abstractmethod
    def append(self, key: Key, start: int, data: bytes) -> Work[None]:
        """Add to the end of the piece that begins at `start`."""

    @abstractmethod
    def insert_pieces(self, pieces: Sequence[tuple[Key, int, bytes]]) -> Work[None]: ...

    @abstractmethod
    def trim(self, key: Key, kept_from: int) -> Work[None]:
        """Delete the pieces that end at or before a place."""

    @abstractmethod
    def tails(self, keys: Collection[Key], tail: int | None) -> Work[dict[Key, tuple[int, list[Piece]]]]:
        """Of each output that there is its size, and the pieces that hold its last `tail` bytes (None: all), in
        order."""

    # ---- counters and marks

    @abstractmethod
    def days(self, first: str, last: str) -> Work[list[DayCount]]:
        """The counters there are."""

    @abstractmethod
    def folded(self, jobs: Collection[str]) -> Work[dict[str, int]]: ...

    @abstractmethod
    def fold(self, job: str, group: int) -> Work[None]: ...

    @abstractmethod
    def forget(self, jobs: Iterable[str]) -> Work[None]:
        """Drop the marks of those jobs that have no executions."""

    # ---- figures of jobs

    @abstractmethod
    def figures_of(self, jobs: Collection[str]) -> Work[list[JobFigures]]:
        """Those of these jobs, in any order."""

    @abstractmethod
    def figures_after(self, after: str, limit: int) -> Work[list[JobFigures]]:
        """The first `limit` of jobs whose names come after `after`, in the order of their names' bytes."""

    @abstractmethod
    def put_figures(self, figures: Sequence[JobFigures]) -> Work[None]:
        """Insert or replace; no job is given twice."""

    @abstractmethod
    def remove_figures(self, job: str) -> Work[None]: ...

    # ---- retention: all about one job, and states that are looked for each in its own range of an index

    @abstractmethod
    def next_job(self, after: str) -> Work[str | None]:
        """The first job with executions whose name comes after `after`."""

    @abstractmethod
    def nth_group(self, job: str, states: Collection[State], number: int) -> Work[int | None]:
        """The group of the job's groups in `states` that has `number` newer ones; None where there are not so many."""

    @abstractmethod
    def oldest(self, job: str, states: Collection[State] | None, until: int, limit: int) -> Work[list[Key]]:
        """At most `limit` executions in `states` (None: any) with group <= `until`: of each state the oldest."""

    @abstractmethod
    def aged(self, job: str, states: Collection[State], before: int, limit: int) -> Work[list[Key]]:
        """At most `limit` executions in `states` that ended earlier than `before`: of each state the oldest."""

    @abstractmethod
    def first_end(self, job: str, states: Collection[State]) -> Work[int | None]:
        """When the first of those in `states` ended."""

    @abstractmethod
    def over_size(self, job: str, size: int, limit: int) -> Work[int | None]:
        """The newest group up to which the newer ones leave no room: with its own their output has more than `size`
        bytes, of each execution at most `limit`. Never the newest group that has output."""

    @abstractmethod
    def idle_groups(self, job: str, above: int) -> Work[list[int]]:
        """The job's groups > `above` that did not run, oldest first."""
