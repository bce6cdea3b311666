"""What every store does: guarded, atomic commits, reads in pages, watches without gaps.

Keys are text, values bytes. Every change of a key gives it a new revision; a revision never repeats, also when the
key is deleted and made again. Revisions grow with every commit of the store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

import msgspec

MAX_PARTS = 60
"""Guards and operations of one commit together (Consul allows 64, etcd 128, DynamoDB 100)."""
MAX_BYTES = 300_000
"""Keys and values of one commit together."""


class StoreError(Exception):
    """Base of all errors of a store."""


class Conflict(StoreError):
    """A guard did not hold; nothing was written. `key` is the first such guard's key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} has changed")
        self.key = key


class Unavailable(StoreError):
    """The store can't be reached or answered with an error; nothing was written."""


class OutcomeUnknown(StoreError):
    """The commit was sent but not answered: it may or may not have been written."""


class StoreFull(StoreError):
    """There is no room (disk or quota); nothing was written."""


class TooLarge(StoreError):
    """The commit exceeds `MAX_PARTS` or `MAX_BYTES`; nothing was written."""


class Compacted(StoreError):
    """The revision to watch from is no longer kept: list again, then watch from the list's revision."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A key's value and the revision of its last change."""

    key: str
    value: bytes
    revision: int


class Page(msgspec.Struct, frozen=True, gc=False):
    """Part of a listing in key order, read at `revision`; `more` tells whether keys follow the last entry."""

    entries: tuple[Entry, ...]
    revision: int
    more: bool


class Event(msgspec.Struct, frozen=True, gc=False):
    """A change: the new value, or None when the key was deleted."""

    key: str
    value: bytes | None
    revision: int


class Guard(msgspec.Struct, frozen=True, gc=False):
    """The commit happens only if `key` has this revision; 0: only if it is absent."""

    key: str
    revision: int


class Put(msgspec.Struct, frozen=True, gc=False):
    key: str
    value: bytes


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Deleting an absent key is no error and changes nothing."""

    key: str


Operation = Put | Delete


def check_size(guards: Sequence[Guard], operations: Sequence[Operation]) -> None:
    """Raise TooLarge if a commit exceeds the contract, ValueError if it names a key twice among its operations or a
    key is not Unicode text."""
    if len(guards) + len(operations) > MAX_PARTS:
        raise TooLarge(
            f"a commit takes at most {MAX_PARTS} guards and operations, this one has {len(guards) + len(operations)}"
        )
    size = 0
    for part in (*guards, *operations):
        size += len(part.key.encode())
        if isinstance(part, Put):
            size += len(part.value)
    if size > MAX_BYTES:
        raise TooLarge(f"a commit takes at most {MAX_BYTES} bytes, this one has {size}")
    if len({op.key for op in operations}) != len(operations):
        raise ValueError("a commit names a key twice")


class Store(ABC):
    """One connection to a store. Safe for concurrent use by the tasks of one event loop."""

    @abstractmethod
    async def open(self) -> None:
        """Connect and check that the store can be used. Raises StoreError, saying what to mend."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what was accepted, then release everything. Open watches end."""

    @abstractmethod
    async def get(self, key: str) -> Entry | None:
        """The key's newest committed value. Raises Unavailable."""

    @abstractmethod
    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        """Up to `limit` entries whose keys start with `prefix` and come after the key `after`, in key order (by code
        point). Pages of one listing are each read at their own revision, which the page names: watching from the
        first page's revision misses nothing. Raises Unavailable."""

    @abstractmethod
    def watch(self, prefix: str, revision: int) -> AsyncIterator[Sequence[Event]]:
        """All changes of keys under `prefix` after `revision`, in order, without gaps and each once; the events of
        one commit arrive in one batch (a batch may hold several commits). Resumes by itself after a lost connection.
        Raises Compacted when `revision` is too old, Unavailable when the store stays away too long or is closed."""

    @abstractmethod
    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """Apply all operations if all guards hold, atomically and durably; return the revision that the keys now have.
        Raises Conflict, TooLarge, StoreFull, Unavailable (nothing was written) or OutcomeUnknown."""
