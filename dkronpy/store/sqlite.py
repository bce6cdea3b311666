"""The embedded store: one SQLite file, used by one process.

A single writer thread commits everything that waits as one transaction, so that concurrent commits share the disk's
sync. Each of its statements covers the whole batch, because every call into SQLite gives up the interpreter lock and
may wait for it again.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import sys
import threading
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dkronpy.store.contract import (
    Conflict,
    Entry,
    Event,
    OutcomeUnknown,
    Page,
    Put,
    Store,
    StoreError,
    Unavailable,
    check_size,
)
from dkronpy.store.feed import Feed
from dkronpy.store.sqlite_file import code, failure, has_little_room, is_full, open_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from dkronpy.store.contract import Guard, Operation

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BATCH = 256
"""Commits written in one transaction."""

_ROWS = 128  # of one statement: SQLite binds at most 32,766 values, and long statements cost memory while kept prepared
_SLICE = 100  # rows read at a time: well below 1 ms
_LIST = """\
SELECT NULL, NULL, revision FROM meta
UNION ALL SELECT * FROM (SELECT key, value, revision FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?)
"""


class SqliteStore(Store):
    """A store in the file `path`, made if it is missing; its folder must exist. The caller makes sure that no other
    process has it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: _Parts | None = None

    async def open(self) -> None:
        """Raises Unavailable (can't be written, no database, not ours, damaged) or StoreFull, saying what to mend."""
        self._parts = await asyncio.to_thread(_start, self._path, asyncio.get_running_loop())

    async def close(self) -> None:
        parts, self._parts = self._parts, None
        if parts is None:
            return
        try:
            async with parts.listing:
                parts.lister.close()
            parts.getter.close()
            parts.writer.finish()
            await asyncio.to_thread(parts.writer.join)
        finally:
            parts.feed.close()

    async def get(self, key: str) -> Entry | None:
        """Reads in the loop's thread: it takes microseconds, and neither commits nor checkpoints lock readers out."""
        getter = self._opened().getter
        with self._reading():
            row = getter.execute("SELECT value, revision FROM kv WHERE key = ?", (key,)).fetchone()
        return None if row is None else Entry(key, *row)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        """Reads in the loop's thread too, in slices between which other tasks run: another thread would have to win the
        interpreter lock back from a busy loop for every row."""
        parts = self._opened()
        async with parts.listing:
            with self._reading():
                return await _page(parts.lister, prefix, after, limit)

    def watch(self, prefix: str, revision: int) -> AsyncIterator[Sequence[Event]]:
        return self._opened().feed.watch(prefix, revision)

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """Once accepted it is carried out, also if the task that waits for it is cancelled. Raises ValueError for a key
        that has no UTF-8 form (a lone surrogate)."""
        check_size(guards, operations)
        return await self._opened().writer.submit(guards, operations)

    def _opened(self) -> _Parts:
        if self._parts is None:
            raise Unavailable(f"the store {self._path} is not open")
        return self._parts

    @contextmanager
    def _reading(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise failure(error, self._path) from error


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an open store consists of. The writer's connection is closed last, for that one checkpoints."""

    feed: Feed
    writer: _Writer
    getter: sqlite3.Connection
    lister: sqlite3.Connection
    listing: asyncio.Lock
    """Held while `lister` is within a transaction."""


def _start(path: Path, loop: asyncio.AbstractEventLoop) -> _Parts:
    (db, getter, lister), revision = open_file(path, 3)
    feed = Feed(revision)
    writer = _Writer(path, db, revision, loop, feed)
    writer.start()
    return _Parts(feed, writer, getter, lister, asyncio.Lock())


class _Commit:
    """A commit that waits to be written, and what became of it."""

    __slots__ = ("future", "guards", "operations", "outcome")

    def __init__(self, guards: Sequence[Guard], operations: Sequence[Operation], future: asyncio.Future[int]) -> None:
        self.guards = guards
        self.operations = operations
        self.future = future
        self.outcome: int | StoreError = 0


class _Writer(threading.Thread):
    """The only one that writes. A daemon: a process that ends without closing the store must not hang."""

    def __init__(
        self, path: Path, db: sqlite3.Connection, revision: int, loop: asyncio.AbstractEventLoop, feed: Feed
    ) -> None:
        super().__init__(name="store-writer", daemon=True)
        self._path = path
        self._db = db
        self._revision = revision
        self._loop = loop
        self._feed = feed
        self._accepted: list[_Commit] = []
        self._waiting: queue.SimpleQueue[_Commit | None] = queue.SimpleQueue()
        self._committing = False
        self._failing = False

    def submit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> asyncio.Future[int]:
        """Accept a commit; the future gets its revision or its StoreError."""
        future: asyncio.Future[int] = self._loop.create_future()
        if not self._accepted:
            self._loop.call_soon(self._hand_over)
        self._accepted.append(_Commit(guards, operations, future))
        return future

    def _hand_over(self) -> None:
        """Give the thread all that one turn of the loop accepted, so that it does not begin with the first alone."""
        for commit in self._accepted:
            self._waiting.put(commit)
        self._accepted.clear()

    def finish(self) -> None:
        """Let the thread end after what was accepted."""
        self._hand_over()
        self._waiting.put(None)

    def run(self) -> None:
        commit = self._waiting.get()
        while commit is not None:
            batch = [commit]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                commit = self._waiting.get()
                if commit is None:
                    break
                batch.append(commit)
            published = self._write(batch)
            self._loop.call_soon_threadsafe(self._deliver, batch, published)
            if commit is not None:
                commit = self._waiting.get()
        self._db.close()

    def _deliver(self, batch: Sequence[_Commit], published: Sequence[tuple[Event, ...]]) -> None:
        """In the loop: events first, so that whoever waited for a commit finds them published."""
        self._feed.publish(published)
        for commit in batch:
            if commit.future.done():  # the task that waited was cancelled
                continue
            if isinstance(commit.outcome, StoreError):
                commit.future.set_exception(commit.outcome)
            else:
                commit.future.set_result(commit.outcome)

    def _write(self, batch: Sequence[_Commit], *, again: bool = True) -> Sequence[tuple[Event, ...]]:
        """Write the batch, set each commit's outcome, return the events of each that changed something."""
        self._committing = False
        try:
            little_room = has_little_room(self._path)
            published = self._apply(batch)
        except Exception as error:  # whatever it is, those who wait must hear of it
            if not self._failing:
                expected = isinstance(error, sqlite3.Error | OSError)
                log.error("the store %s can't be written: %s", self._path, error, exc_info=not expected)
                self._failing = True
            # A full disk refuses a page before the last, so that the transaction is never complete.
            unknown = self._committing and code(error) != sqlite3.SQLITE_FULL
            settled = self._settle(error)
            if settled and again and is_full(error, self._path):
                return self._write(batch, again=False)
            if unknown and not settled:
                outcome = OutcomeUnknown(f"whether {self._path} was written is unknown: {error}")
            else:
                outcome = failure(error, self._path)
            for commit in batch:
                commit.outcome = copy(outcome)  # each is raised in its own task
                commit.outcome.__cause__ = error
            return ()
        if self._failing:
            log.warning("the store %s can be written again", self._path)
            self._failing = False
        if little_room:
            self._checkpoint("PASSIVE")  # while the database can still grow by what is in the log
        return published

    def _settle(self, error: Exception) -> bool:
        """Roll back, and move the whole write-ahead log into the database; return whether that worked.

        A transaction whose last step failed may lie complete in the log, and a crash would bring it back; in an emptied
        log nothing is left of it. When the disk is full nothing complete can be there, and the log is only begun anew:
        it keeps its blocks, and commits go on in them."""
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as refused:
            log.warning("the store %s can't be rolled back: %s", self._path, refused)
            return False
        return self._checkpoint("RESTART" if code(error) == sqlite3.SQLITE_FULL else "TRUNCATE")

    def _checkpoint(self, mode: str) -> bool:
        try:
            busy = self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]
        except sqlite3.Error as refused:
            log.debug("the store %s can't be checkpointed: %s", self._path, refused)
            return False
        return busy == 0

    def _apply(self, batch: Sequence[_Commit]) -> Sequence[tuple[Event, ...]]:
        """One transaction: read the revisions that matter, decide each commit after what those before it changed, write
        what each key has in the end."""
        self._db.execute("BEGIN IMMEDIATE")
        revisions = self._revisions(
            {part.key for commit in batch for part in (*commit.guards, *commit.operations) if not isinstance(part, Put)}
        )
        newest = self._revision
        final: dict[str, Event] = {}
        published: list[tuple[Event, ...]] = []
        for commit in batch:
            broken = next((guard.key for guard in commit.guards if revisions.get(guard.key, 0) != guard.revision), None)
            if broken is not None:
                commit.outcome = Conflict(broken)
                continue
            changes = [op for op in commit.operations if isinstance(op, Put) or revisions.get(op.key, 0)]
            if changes:
                newest += 1
                events = tuple(Event(op.key, op.value if isinstance(op, Put) else None, newest) for op in changes)
                for event in events:
                    final[event.key] = event
                    revisions[event.key] = 0 if event.value is None else newest
                published.append(events)
            commit.outcome = newest
        if final:
            self._store(final.values(), newest)
        self._committing = True
        self._db.execute("COMMIT")
        self._revision = newest
        return published

    def _revisions(self, keys: Iterable[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for chunk in _chunks([*keys]):
            marks = ",".join("?" * len(chunk))
            found.update(self._db.execute(f"SELECT key, revision FROM kv WHERE key IN ({marks})", chunk).fetchall())
        return found

    def _store(self, events: Collection[Event], newest: int) -> None:
        for chunk in _chunks([event for event in events if event.value is not None]):
            rows = ",".join(["(?,?,?)"] * len(chunk))
            self._db.execute(
                f"INSERT INTO kv VALUES {rows} "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
                [field for event in chunk for field in (event.key, event.value, event.revision)],
            )
        for chunk in _chunks([event.key for event in events if event.value is None]):
            self._db.execute(f"DELETE FROM kv WHERE key IN ({','.join('?' * len(chunk))})", chunk)
        self._db.execute("UPDATE meta SET revision = ?", (newest,))


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _ROWS] for start in range(0, len(items), _ROWS))


async def _page(db: sqlite3.Connection, prefix: str, after: str, limit: int) -> Page:
    first = max(prefix, after + "\0")  # the string right after `after`
    # One statement, so one view of the file; an empty page, which each new job asks for, takes two short steps.
    with closing(db.execute(_LIST, (first, _end(prefix), limit + 1))) as cursor:
        revision: int = cursor.fetchone()[2]
        rows: list[tuple[str, bytes, int]] = []
        while found := cursor.fetchmany(_SLICE):
            rows += found
            if len(found) == _SLICE:
                await asyncio.sleep(0)
    return Page(tuple(Entry(*row) for row in rows[:limit]), revision, len(rows) > limit)


def _end(prefix: str) -> str | bytes:
    """What follows every key with this prefix: the prefix, with the last character that can grow made one larger.

    Python orders strings by code point, SQLite by the bytes of their UTF-8, which is the same order."""
    kept = prefix.rstrip(chr(sys.maxunicode))
    if not kept:
        return b""  # SQLite orders every blob after every text
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are not characters
