"""The embedded store's file: made or checked when it is opened, and what its errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from dkronpy.store.contract import StoreError, StoreFull, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

LOG_BYTES = 16 << 20
"""The write-ahead log is cut back to this after a burst."""
LITTLE_ROOM = 16 << 20
"""Free bytes on the disk below which the write-ahead log is not let grow."""
BUSY_SECONDS = 5.0
"""How long to wait for another program that holds a lock on the file."""

_APPLICATION_ID = 0x646B726E  # "dkrn"
_FORMAT = 1
# Not WITHOUT ROWID: values of 1 kB and more would spill out of the index's pages, which doubles what is written.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE kv (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL);
CREATE TABLE meta (revision INTEGER NOT NULL);
INSERT INTO meta VALUES (0);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_FORMAT};
COMMIT;
"""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PROBE_BYTES = 1 << 16


def open_file(path: Path, connections: int) -> tuple[list[sqlite3.Connection], int]:
    """So many connections, each for one thread at a time, and the newest revision. A missing file is made, readable by
    its owner only. Raises Unavailable or StoreFull."""
    with ExitStack() as undo:
        try:
            _create(path)
            opened = [undo.enter_context(closing(_connect(path))) for _ in range(connections)]
            revision = _prepare(opened[0], path)
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).chmod(0o600)
        except (sqlite3.Error, OSError) as error:
            raise failure(error, path) from error
        undo.pop_all()
    return opened, revision


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> int:
    """Check that the file is ours and sound, make the tables if it is new; its newest revision."""
    application, version, tables = (
        db.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    new = application == 0 and tables == 0
    if not new and application != _APPLICATION_ID:
        raise Unavailable(f"{path} is a database of another program: move it away, or choose another data directory")
    if version > _FORMAT:
        raise Unavailable(f"{path} was written by a newer version of dkronpy: install that version or a later one")
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise Unavailable(f"{path} is on a file system without shared memory: choose a data directory on a local disk")
    if new:
        db.executescript(_SCHEMA)
    finding = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise _damaged(path, finding)
    return db.execute("SELECT revision FROM meta").fetchone()[0]


def code(error: BaseException) -> int:
    """SQLite's primary result code; 0 if the error is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def failure(error: Exception, path: Path) -> StoreError:
    """What to tell of an error after which nothing is written."""
    if is_full(error, path):
        return StoreFull(f"no room is left for {path}: free some on its disk, or raise its quota")
    match code(error):
        case sqlite3.SQLITE_NOTADB:
            return Unavailable(f"{path} is not a database: move it away to begin anew, or restore it from a backup")
        case sqlite3.SQLITE_CORRUPT:
            return _damaged(path, str(error))
        case _:
            return Unavailable(f"{path} can't be used: {error}")


def _damaged(path: Path, finding: str) -> Unavailable:
    return Unavailable(f"{path} is damaged ({finding}): restore it from a backup")


def is_full(error: Exception, path: Path) -> bool:
    """Whether the cause is a full disk or quota, which SQLite does not always tell from other failures to write."""
    if code(error) not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return code(error) == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in _NO_ROOM
    try:
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as probe:
            probe.write(bytes(_PROBE_BYTES))
            os.fsync(probe.fileno())
    except OSError as refused:
        return refused.errno in _NO_ROOM
    return False


def has_little_room(path: Path) -> bool:
    """Whether the disk is nearly full. Raises OSError also if the file was taken away, where SQLite would write on into
    what nobody can open again. Costs a microsecond."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize < LITTLE_ROOM
