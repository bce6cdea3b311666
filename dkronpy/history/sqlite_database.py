"""An SQLite database with one writing thread and a few reading ones."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from dkronpy.history.contract import HistoryError, HistoryFull
from dkronpy.history.sqlite_schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

T = TypeVar("T")

_READERS = 3
_BATCH = 256
"""The most requests in one transaction."""
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
_DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


@dataclass(frozen=True, slots=True)
class _Request:
    """Work for the writer, and the future of the task that waits for it."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]


_Outcome = tuple[_Request, Any, Exception | None]
"""A request with its result, or with its error."""


class Database:
    """The database in the file `path` (made when missing, readable by its owner alone), in WAL mode.

    Everything that waits for the writer goes into one transaction, so that concurrent writers share the disk's flush;
    it is durable when they are answered. Readers hold up neither the event loop nor the writer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._accepting = False

    async def open(self) -> None:
        """Connect and bring the schema to the newest version. Raises HistoryError."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._start)
        except (OSError, sqlite3.Error) as error:
            raise _history_error(self._path, error) from error
        self._accepting = True

    async def close(self) -> None:
        """Finish what was accepted, then close the file."""
        if self._accepting:
            self._accepting = False
            await asyncio.to_thread(self._stop)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work` within a transaction, once that is durable. It is done again when a request beside it in
        the transaction fails, and is done all the same when its task is cancelled. Raises HistoryError, and what `work`
        raises."""
        self._check_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(work, future))
        return await future

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work` on one state of the database. Raises HistoryError, and what `work` raises."""
        self._check_open()
        return await self._loop.run_in_executor(self._pool, self._snapshot, work)

    def _check_open(self) -> None:
        if not self._accepting:
            raise HistoryError(f"the history {self._path} is not open")

    def _resolve(self, outcomes: Sequence[_Outcome]) -> None:
        for request, result, error in outcomes:
            if request.future.done():  # its task was cancelled
                if error:
                    log.error("a write that nobody waits for any more failed", exc_info=error)
            elif error:
                request.future.set_exception(error)
            else:
                request.future.set_result(result)

    # What follows runs in threads.

    def _start(self) -> None:
        # The -wal and -shm files get the same mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        connections: list[sqlite3.Connection] = []
        try:
            for _ in range(1 + _READERS):
                connections.append(_connect(self._path))
                if len(connections) == 1:
                    _migrate(connections[0], self._path)
                else:
                    connections[-1].execute("PRAGMA query_only = ON")
        except (sqlite3.Error, HistoryError):
            for connection in connections:
                connection.close()
            raise
        self._connection, *readers = connections
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for reader in readers:
            self._readers.put(reader)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="history-reader")
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._run, name="history-writer", daemon=True)
        self._writer.start()

    def _stop(self) -> None:
        self._pool.shutdown()
        for _ in range(_READERS):
            self._readers.get_nowait().close()
        self._requests.put(None)
        self._writer.join()

    def _snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._readers.get_nowait()  # there are as many as threads
        try:
            connection.execute("BEGIN")
            return work(connection)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise _history_error(self._path, error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._readers.put(connection)

    def _run(self) -> None:
        """Commit what waits, again and again, until told to stop."""
        stopping = False
        while not stopping:
            batch: list[_Request] = []
            while not batch or (len(batch) < _BATCH and not self._requests.empty()):
                request = self._requests.get()
                if request is None:
                    stopping = True
                    break
                batch.append(request)
            if batch:
                self._loop.call_soon_threadsafe(self._resolve, self._commit(batch))
        self._connection.close()

    def _commit(self, batch: Sequence[_Request]) -> Sequence[_Outcome]:
        """Do `batch` in one transaction; when that fails, each request in its own, so that it alone bears its error."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return [(request, None, _history_error(self._path, error)) for request in batch]
        try:
            results = [request.work(self._connection) for request in batch]
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 -- handed to the task that asked for it
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if len(batch) == 1:
                return [(batch[0], None, _history_error(self._path, error))]
            return [outcome for request in batch for outcome in self._commit([request])]
        return [(request, result, None) for request, result in zip(batch, results, strict=True)]


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version. Raises HistoryError for a database that is newer, or not ours."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or objects):
        raise HistoryError(f"{path} is another program's database: move it away, or name another file for the history")
    if version > len(MIGRATIONS):
        raise HistoryError(
            f"the history {path} has schema {version}, this program knows up to {len(MIGRATIONS)}: "
            "start the newer version that wrote it, or move the file away to begin anew"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        mark = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        connection.executescript(f"BEGIN IMMEDIATE; {script} {mark} COMMIT;")


def _history_error(path: Path, error: Exception) -> Exception:
    """`error` in the words of the contract, with it as the cause; as it is when the database has no part in it."""
    said = f"the history {path} failed: {error}"
    match error:
        case OSError():
            translated = HistoryError(
                f"can't open the history {path}: {error.strerror}; it must be a file we may write"
            )
        case sqlite3.Error() if getattr(error, "sqlite_errorcode", None) in _FULL:
            translated = HistoryFull(f"{said}; free some space on its disk")
        case sqlite3.Error() if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            translated = HistoryError(f"{said}; restore a copy, or move the file away to begin anew")
        case sqlite3.Error():
            translated = HistoryError(said)
        case msgspec.MsgspecError():
            translated = HistoryError(f"{said}; a record is damaged, restore a copy")
        case _:
            return error
    translated.__cause__ = error
    return translated
