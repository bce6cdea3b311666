"""Every execution that is known: in flight in the store, finished in the history, merged by key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from dkronpy.api.errors import invalid
from dkronpy.catalog.mirror import Mirror
from dkronpy.history.contract import History, Output, Query
from dkronpy.model.execution import Execution, State
from dkronpy.model.run import Key

FULL_OUTPUT: Final = 1 << 30
"""As a tail: everything that is stored."""
_MAX_LOOKUPS: Final = 100
"""Finished executions that may still be in the store and are looked up to be counted once."""

Order = tuple[int, int, str, str]


class _Position(msgspec.Struct, array_like=True, frozen=True):
    """Where a page ended: the last execution's order, and the history's cursor ("": its start, None: its end)."""

    last: Order
    history: str | None


class Ledger:
    """Reads of executions. Errors of the history pass through."""

    def __init__(self, mirror: Mirror, history: History) -> None:
        self._mirror = mirror
        self._history = history

    async def get(self, key: Key) -> Execution | None:
        held = self._mirror.runs.get(key[0], {}).get(key)
        stored = await self._history.get(*key)
        if held is None or stored is None:
            return stored if held is None else held.value
        return _newer(held.value, stored)

    async def page(self, query: Query, *, limit: int, cursor: str | None = None) -> tuple[list[Execution], str | None]:
        """Up to `limit` executions, newest first, and the cursor of the next page (None: no more).

        Raises Problem 400 for a cursor that is not ours."""
        position = None if cursor is None else _read_position(cursor)
        flying = sorted((e for e in self._flying(query) if position is None or _order(e) > position.last), key=_order)
        after = "" if position is None else position.history
        taken: list[Execution] = []
        following: str | None = None
        if after is not None:
            taken, following = await self._stored(query, limit, after)
        merged = _merge(flying, taken)[:limit]
        last = _order(merged[-1]) if merged else None
        used = [execution for execution in taken if last is not None and _order(execution) <= last]
        if len(used) < len(taken):  # in-flight ones took places: the history goes on where this page ends
            following = after if not used else (await self._stored(query, len(used), after or ""))[1]
        more = following is not None or any(last is not None and _order(e) > last for e in flying)
        return merged, _write_position(last, following) if more and last is not None else None

    async def count(self, query: Query) -> int:
        """How many executions match."""
        total = await self._history.count(query)
        looked = 0
        for execution in self._flying(query):
            if execution.state.final and looked < _MAX_LOOKUPS:
                looked += 1
                total += await self._history.get(*execution.key) is None
            else:
                total += 1
        return total

    def flying(self) -> Iterator[Execution]:
        """Every execution in the store that is not over."""
        for runs in self._mirror.runs.values():
            for held in runs.values():
                if not held.value.state.final:
                    yield held.value

    async def outputs(self, executions: Sequence[Execution], tail: int) -> dict[Key, Output]:
        """The last `tail` bytes of each one's stored output."""
        keys = [execution.key for execution in executions if execution.state.ran]
        return await self._history.outputs(keys, tail=tail) if keys else {}

    async def _stored(self, query: Query, limit: int, cursor: str) -> tuple[list[Execution], str | None]:
        try:
            found = await self._history.query(query, limit=limit, cursor=cursor or None)
        except ValueError as error:
            raise invalid(("cursor", f"is none of this node's: {error}")) from None
        return list(found.executions), found.cursor

    def _flying(self, query: Query) -> Iterator[Execution]:
        tables = self._mirror.runs.values() if query.job is None else [self._mirror.runs.get(query.job, {})]
        for runs in tables:
            for held in runs.values():
                if _matches(held.value, query):
                    yield held.value


def _merge(flying: Sequence[Execution], stored: Sequence[Execution]) -> list[Execution]:
    found = {execution.key: execution for execution in stored}
    for execution in flying:
        known = found.get(execution.key)
        found[execution.key] = execution if known is None else _newer(execution, known)
    return sorted(found.values(), key=_order)


def _newer(flying: Execution, stored: Execution) -> Execution:
    """Of one execution's two records: the one that is over; of two such, not the one that only says it was lost."""
    if stored.state.final and (not flying.state.final or flying.state is State.LOST):
        return stored
    return flying


def _order(execution: Execution) -> Order:
    """Sorts as the history does: newest group first, then newest attempt, then node, then job."""
    return (-execution.group, -execution.attempt, execution.node, execution.job)


def _matches(execution: Execution, query: Query) -> bool:
    return (
        (query.job is None or execution.job == query.job)
        and (query.group is None or execution.group == query.group)
        and (query.states is None or execution.state in query.states)
        and (query.node is None or execution.node == query.node)
        and (query.since is None or execution.group >= query.since)
        and (query.until is None or execution.group <= query.until)
    )


def _write_position(last: Order, history: str | None) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(_Position(last, history))).decode().rstrip("=")


def _read_position(cursor: str) -> _Position:
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        return msgspec.msgpack.decode(raw, type=_Position)
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError):
        raise invalid(("cursor", "is none of this node's: use the X-Next-Cursor of an answer as it is")) from None
