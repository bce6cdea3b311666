"""What every run history does. All writes are idempotent, so that a writer that does not know what was stored writes
again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from dkronpy.model.execution import Execution, OutputChunk, State
from dkronpy.model.figures import JobFigures


class HistoryError(Exception):
    """The history can't be reached or answered with an error; write again later."""


class HistoryFull(HistoryError):
    """There is no room."""


class Query(msgspec.Struct, frozen=True):
    """Which executions: every condition must hold; None means any. Newest group first, then attempt (newest first),
    then node.

    `since` and `until` bound `group` (ns, inclusive)."""

    job: str | None = None
    group: int | None = None
    states: frozenset[State] | None = None
    node: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """Executions in the query's order; `cursor` continues after the last one, None when there are no more."""

    executions: tuple[Execution, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Output:
    """Stored output from `start` on. `start` is larger than the offset asked for where older bytes are no longer
    kept; `size` is the end of what is stored."""

    start: int
    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class DayCount:
    """Executions that finished on one UTC day, `date` as YYYY-MM-DD."""

    date: str
    success: int
    failed: int


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of a job: the newest `count` groups that ran and as many that did not, none finished before now
    - `age` ns, and of those that ran the newest whose output together has at most `size` bytes (of each execution as
    much as the history keeps; the newest always).

    Executions that failed are kept by `failed_count` (the newest groups in which one failed) in place of `count`, and
    by `failed_age` in place of `age`, where these are given; `size` holds for all.

    Consecutive skipped or missed fires of the same reason that fall out become one record {group, last, count,
    reason}."""

    count: int = 1000
    age: int | None = None
    size: int | None = None
    failed_count: int | None = None
    failed_age: int | None = None


LOOKED_AT: Final = 500
"""Executions read together by those who look at each."""
NONE_OWN: Final[Mapping[str, Retention]] = MappingProxyType({})
"""No job has a retention of its own."""


class History(ABC):
    """One connection to a history. Safe for concurrent use by the tasks of one event loop."""

    figures_delay = 30.0
    """Seconds after the end of a run within which its job's figures are to be written, for those who read them here."""

    @abstractmethod
    async def open(self) -> None:
        """Connect, create or migrate the schema. Raises HistoryError, saying what to mend."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def write(self, executions: Sequence[Execution], chunks: Sequence[OutputChunk]) -> None:
        """Store both durably, in one step. An execution replaces the record with its key, but a final record is never
        replaced by one that is not final, nor a true result by `lost`. Chunks may overlap or repeat what is stored
        (same bytes at the same offsets); only the last `output_limit` bytes of a run are kept. Raises
        HistoryError."""

    @abstractmethod
    async def get(self, job: str, group: int, attempt: int, node: str) -> Execution | None: ...

    @abstractmethod
    async def query(self, query: Query, *, limit: int = 100, cursor: str | None = None) -> Slice:
        """Raises ValueError for a cursor that is not one of ours."""

    async def suspects(self, query: Query, text: bytes, *, cursor: str | None = None) -> Slice:
        """Of the next executions, as many as are looked at quickly, those whose stored output contains `text`, and
        perhaps others. The cursor continues after the last one looked at. Raises as `query`."""
        del text
        return await self.query(query, limit=LOOKED_AT, cursor=cursor)

    @abstractmethod
    async def count(self, query: Query) -> int:
        """How many executions match."""

    @abstractmethod
    async def output(
        self, job: str, group: int, attempt: int, node: str, *, offset: int = 0, limit: int = 1 << 20
    ) -> Output:
        """Up to `limit` bytes from `offset` on; a negative offset counts from the end."""

    @abstractmethod
    async def outputs(
        self, keys: Collection[tuple[str, int, int, str]], *, tail: int
    ) -> dict[tuple[str, int, int, str], Output]:
        """The last `tail` bytes of each execution's output, keys as (job, group, attempt, node), in one round trip."""

    @abstractmethod
    async def stats(self, days: int, *, today: str) -> Sequence[DayCount]:
        """One entry per UTC day for the last `days` days up to `today` (YYYY-MM-DD), oldest first, zeros included.
        Deleting executions does not change it."""

    @abstractmethod
    async def delete(self, job: str, *, until: int) -> int:
        """Delete every execution of exactly this job with group <= `until` (ns), and every skipped one that ended
        before it, as a request for a later time that was cancelled; with their output, and the job's figures whose
        origin is before `until`. Return how many executions."""

    @abstractmethod
    async def prune(
        self, retention: Retention, *, own: Mapping[str, Retention] = NONE_OWN, now: int, batch: int = 1000
    ) -> bool:
        """Delete one small batch of what is no longer kept: of the jobs in `own` by theirs, of all others by
        `retention`. True when more may remain."""

    @abstractmethod
    async def write_figures(self, figures: Sequence[JobFigures]) -> None:
        """Store the figures of some hundred jobs durably, each in the place of the job's older ones: those whose
        (origin, changes) is smaller. Figures that are not newer are passed over. Raises HistoryError."""

    @abstractmethod
    async def figures_of(self, jobs: Collection[str]) -> dict[str, JobFigures]:
        """The figures of these jobs, where there are some."""

    @abstractmethod
    async def figures(self, *, after: str = "", limit: int = 1000) -> Sequence[JobFigures]:
        """The first `limit` figures of the jobs whose names come after `after`, in the order of their names' bytes.
        Fewer than `limit`: there are no more."""
