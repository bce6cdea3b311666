"""Commits that go into one DynamoDB transaction, and what its answer means for each of them. No I/O.

A revision is the number of its transaction times `PLACES`, plus the commit's place within that transaction. The table
has three partitions: `keys`; `head`, one item with the newest revision, which each transaction that changes something
replaces on the condition that it is what was expected; and `log`, a ring in which transaction n overwrites transaction
n - `RING`. So transactions take effect one after another, and nothing need be trimmed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dkronpy.store.contract import Conflict, Delete, Event, Guard, Operation, Put, TooLarge, check_size

PLACES: Final = 128
"""Revisions of one transaction: more than it has items."""
RING: Final = 8192
"""Transactions that the log holds."""
FORMAT: Final = 1
"""Of the table; kept in its head."""
MAX_KEY: Final = 1000
"""Bytes of a key; DynamoDB takes 1,024, of which a listing needs some."""
MAX_ITEMS: Final = 100
"""Of one transaction, as DynamoDB has it."""
MAX_BATCH_BYTES: Final = 300_000
"""Keys and values of one transaction: its item of the log holds them all, and an item takes 400 kB."""

HEAD: Final[Mapping[str, Any]] = {"p": {"S": "head"}, "k": {"B": b"head"}}
"""The key of the head."""
_CONTENTION: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_REFUSED_CONDITION: Final = "ConditionalCheckFailed"

Item = dict[str, Any]
"""An item, or a part of one, as DynamoDB has it in JSON."""
_Change = tuple[str, bytes | None, int]
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[_Change]).decode


def number(revision: int) -> int:
    """Of the transaction that a revision belongs to; the first is 1."""
    return revision // PLACES


def slot(transaction: int) -> Item:
    """The key of a transaction's item in the log."""
    return {"p": {"S": "log"}, "k": {"B": (transaction % RING).to_bytes(4, "big")}}


def sort_key(key: str) -> bytes:
    """A key as DynamoDB sorts it: by bytes, which is the order of code points. The first byte lets "" be a key."""
    return b"k" + key.encode()


def item_key(key: str) -> Item:
    """The key of a key's item."""
    return {"p": {"S": "keys"}, "k": {"B": sort_key(key)}}


def revision_of(item: Item | None) -> int:
    """Of an item, 0 of none."""
    return int(item["r"]["N"]) if item else 0


def logged(item: Item) -> list[tuple[Event, ...]]:
    """The commits of a transaction, from its item in the log."""
    commits: dict[int, list[Event]] = {}
    for key, value, revision in _decode(item["e"]["B"]):
        commits.setdefault(revision, []).append(Event(key, value, revision))
    return [tuple(events) for events in commits.values()]


@dataclass(slots=True)
class _Part:
    """What a transaction does about one key: the revisions that guards want it to have, and the operation, if any."""

    wanted: list[int]
    operation: Operation | None = None


class Commit:
    """A commit that waits to be written. `future` gets its revision or its StoreError."""

    __slots__ = ("_absent", "future", "guards", "operations", "parts", "size")

    def __init__(self, guards: Sequence[Guard], operations: Sequence[Operation], future: asyncio.Future[int]) -> None:
        """Raises TooLarge, or ValueError for a key that has no UTF-8 form."""
        check_size(guards, operations)
        self.guards = guards
        self.operations = operations
        self.future = future
        self.size = sum(len(op.key.encode()) + (len(op.value) if isinstance(op, Put) else 0) for op in operations)
        self.parts: dict[str, _Part] = {}
        self._absent: set[str] = set()
        for guard in guards:
            wanted = self.parts.setdefault(guard.key, _Part([])).wanted
            if guard.revision not in wanted:
                wanted.append(guard.revision)
        for operation in operations:
            self.parts.setdefault(operation.key, _Part([])).operation = operation
        for key in self.parts:
            if len(key.encode()) > MAX_KEY:
                raise TooLarge(f"DynamoDB takes keys of at most {MAX_KEY} bytes, {key[:40]!r}... is longer")

    def deletes(self, key: str) -> bool:
        """Whether it deletes a key that is there, as far as is known: DynamoDB does not tell whether a deletion changed
        anything, so a transaction demands that it does, and is tried again if not."""
        part = self.parts[key]
        return isinstance(part.operation, Delete) and (0 not in part.wanted if part.wanted else key not in self._absent)

    def found(self, found: Mapping[str, int]) -> Conflict | None:
        """Why it can't be written, given the true revisions of the keys whose conditions did not hold; None when only
        a deletion was expected wrongly, so that it may be tried again."""
        for guard in self.guards:
            if found.get(guard.key, guard.revision) != guard.revision:
                return Conflict(guard.key)
        for key in self.parts.keys() & found.keys():
            (self._absent.discard if found[key] else self._absent.add)(key)
        return None


class Attempt:
    """One transaction for a batch, as it is sent. `before` is the head's revision that it expects, `revision` what it
    makes of it; `revisions` are those of the commits, in order."""

    def __init__(self, commits: Sequence[Commit], parts: Sequence[str], before: int) -> None:
        self.token = secrets.token_hex(16)
        """Names it: DynamoDB carries out one transaction of a token, and its item in the log bears it too."""
        self.before = before
        self.revision = before
        self.revisions: list[int] = []
        self.events: list[tuple[Event, ...]] = []
        self.doubtful = False
        """Whether it may have been carried out without that being known."""
        self._parts = parts
        for commit in commits:
            events: list[Event] = []
            revision = (number(before) + 1) * PLACES + len(self.events)
            for operation in commit.operations:
                if isinstance(operation, Put):
                    events.append(Event(operation.key, operation.value, revision))
                elif commit.deletes(operation.key):
                    events.append(Event(operation.key, None, revision))
            if events:
                self.events.append(tuple(events))
                self.revision = revision
            self.revisions.append(self.revision)
        self._written = {event.key: event.revision for events in self.events for event in events}
        self._items = self._head()
        self._leading = len(self._items)
        done: set[str] = set()
        for commit in commits:
            self._items += [self._item(commit, key) for key in commit.parts if key not in done]
            done |= commit.parts.keys()

    @property
    def number(self) -> int:
        """Of the transaction."""
        return number(self.revision)

    def items(self, table: str) -> list[Item]:
        """As DynamoDB takes them."""
        return [{kind: {"TableName": table, **rest}} for kind, rest in self._items]

    def found(self, reasons: Sequence[Item]) -> tuple[int | None, dict[str, int], bool]:
        """Why it was cancelled: the head's revision if that was not as expected, the revisions of the keys whose
        conditions did not hold, and whether others were in the way."""
        refused = [reason.get("Code") == _REFUSED_CONDITION for reason in reasons]
        revisions = [revision_of(reason.get("Item")) for reason in reasons]
        keys = zip(self._parts, refused[self._leading :], revisions[self._leading :], strict=True)
        return (
            revisions[0] if refused[0] else None,
            {key: revision for key, wrong, revision in keys if wrong},
            any(reason.get("Code") in _CONTENTION for reason in reasons),
        )

    def _head(self) -> list[tuple[str, Item]]:
        expected: Item = {
            "ConditionExpression": "r = :r",
            "ExpressionAttributeValues": {":r": {"N": str(self.before)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if not self.events:
            return [("ConditionCheck", {"Key": HEAD, **expected})]
        revision = {"N": str(self.revision)}
        changes = [(event.key, event.value, event.revision) for events in self.events for event in events]
        entry = {**slot(self.number), "r": revision, "i": {"S": self.token}, "e": {"B": _encode(changes)}}
        return [("Put", {"Item": head_item(self.revision), **expected}), ("Put", {"Item": entry})]

    def _item(self, commit: Commit, key: str) -> tuple[str, Item]:
        part = commit.parts[key]
        conditions = [f"r = :r{n}" if revision else "attribute_not_exists(r)" for n, revision in enumerate(part.wanted)]
        values: Item = {f":r{n}": {"N": str(revision)} for n, revision in enumerate(part.wanted) if revision}
        if isinstance(part.operation, Delete) and not conditions:
            conditions = ["attribute_exists(r)" if commit.deletes(key) else "attribute_not_exists(r)"]
        rest: Item = {}
        if conditions:
            rest["ConditionExpression"] = " AND ".join(conditions)
            rest["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if values:
            rest["ExpressionAttributeValues"] = values
        if isinstance(part.operation, Put):
            value = {"v": {"B": part.operation.value}, "r": {"N": str(self._written[key])}}
            return "Put", {"Item": {**item_key(key), **value}, **rest}
        return "Delete" if commit.deletes(key) else "ConditionCheck", {"Key": item_key(key), **rest}


def head_item(revision: int) -> Item:
    """The head at a revision."""
    return {**HEAD, "r": {"N": str(revision)}, "f": {"N": str(FORMAT)}}


class Batch:
    """Commits of one process that may be written by one transaction."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self._parts: dict[str, _Part] = {}
        self._size = 0

    def add(self, commit: Commit) -> bool:
        """Take it in, if there is room and it touches no key of the others: DynamoDB takes a key once in a transaction.
        The same guard on a key that none of them writes may be shared."""
        if len(self._parts.keys() | commit.parts.keys()) > MAX_ITEMS - 2 or (
            self.commits and self._size + commit.size > MAX_BATCH_BYTES
        ):
            return False
        for key in self._parts.keys() & commit.parts.keys():
            here, there = self._parts[key], commit.parts[key]
            if here.operation or there.operation or here.wanted != there.wanted:
                return False
        self.commits.append(commit)
        self._parts |= commit.parts
        self._size += commit.size
        return True

    def attempt(self, before: int) -> Attempt:
        """A transaction for what is in it, to follow the revision `before`."""
        return Attempt(self.commits, [*self._parts], before)

    def drop(self, found: Mapping[str, int]) -> list[tuple[Commit, Conflict]]:
        """Take out the commits that can't be written: `found` are the keys whose conditions did not hold, and their
        true revisions."""
        judged = [(commit, commit.found(found)) for commit in self.commits]
        kept = [commit for commit, conflict in judged if conflict is None]
        self.commits, self._parts, self._size = [], {}, 0
        for commit in kept:
            self.add(commit)
        return [(commit, conflict) for commit, conflict in judged if conflict is not None]
