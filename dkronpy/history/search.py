"""Search by what no history has an index of: what one looks at is bounded by time, and where it stopped it can be taken
up. It is the same on every history."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from dkronpy.history.contract import LOOKED_AT, History, Query, Slice
from dkronpy.history.cursor import encode_cursor
from dkronpy.model.execution import Execution

PATIENCE: Final = 0.6
"""Seconds after which a search answers with what it has found."""
_BYTES: Final = 4_000_000
"""Output looked at together."""
_OPEN_SIZE: Final = 20_000
"""Bytes that the output of a run that is not over is taken to have."""


class Criteria(msgspec.Struct, frozen=True):
    """What must hold beside a `Query`; what is empty or None is not asked for."""

    exit_codes: frozenset[int] = frozenset()
    triggers: frozenset[str] = frozenset()
    """Types of triggers (`Execution.trigger_type`), or their kinds (`Trigger`)."""
    jobs: frozenset[str] | None = None
    text: str = ""
    """What the stored output contains, as it is written."""

    def match(self, execution: Execution) -> bool:
        """Whether all holds but for the text."""
        return (
            (not self.exit_codes or execution.exit_code in self.exit_codes)
            and (not self.triggers or not self.triggers.isdisjoint((execution.trigger_type, execution.trigger.value)))
            and (self.jobs is None or execution.job in self.jobs)
        )

    def __bool__(self) -> bool:
        return self != EVERYTHING


EVERYTHING: Final = Criteria()


async def search(
    history: History,
    query: Query,
    criteria: Criteria,
    *,
    limit: int,
    cursor: str | None = None,
    patience: float = PATIENCE,
) -> Slice:
    """Up to `limit` executions that match, in the query's order. The cursor may come after one that does not: as many
    were looked at as could be within `patience` seconds, but some at least.

    Raises HistoryError, and ValueError for a cursor that is not one of ours."""
    end = time.monotonic() + patience
    found: list[Execution] = []
    while True:
        if criteria.text:
            page = await history.suspects(query, criteria.text.encode(), cursor=cursor)
        else:
            page = await history.query(query, limit=LOOKED_AT, cursor=cursor)
        looked = 0
        async for batch, matching in _batches(history, page.executions, criteria):
            looked += len(batch)
            room = limit - len(found)
            found += matching[:room]
            if len(matching) >= room:
                last = found[-1]
                more = page.cursor is not None or last != page.executions[-1]
                return Slice(tuple(found), encode_cursor(last) if more else None)
            if time.monotonic() >= end and looked < len(page.executions):
                return Slice(tuple(found), encode_cursor(batch[-1]))
        if page.cursor is None or time.monotonic() >= end:
            return Slice(tuple(found), page.cursor)
        cursor = page.cursor


async def filtered(history: History, executions: Sequence[Execution], criteria: Criteria) -> list[Execution]:
    """Those that match, in their order."""
    return [found async for _, matching in _batches(history, executions, criteria) for found in matching]


async def _batches(
    history: History, executions: Sequence[Execution], criteria: Criteria
) -> AsyncIterator[tuple[Sequence[Execution], list[Execution]]]:
    """`executions` piece by piece, each with those in it that match."""
    start = 0
    while start < len(executions):
        stop, size = start, 0
        while stop < len(executions) and (stop == start or size < _BYTES):
            execution = executions[stop]
            if criteria.text and criteria.match(execution):
                size += execution.output_size if execution.state.final else _OPEN_SIZE
            stop += 1
        batch = executions[start:stop]
        matching = [execution for execution in batch if criteria.match(execution)]
        if criteria.text:
            matching = await _containing(history, matching, criteria.text.encode())
        yield batch, matching
        start = stop


async def _containing(history: History, executions: Sequence[Execution], text: bytes) -> list[Execution]:
    keys = [e.key for e in executions if e.state.ran and (e.output_size or not e.state.final)]
    outputs = await history.outputs(keys, tail=1 << 40) if keys else {}
    return [e for e in executions if e.key in outputs and text in outputs[e.key].data]
