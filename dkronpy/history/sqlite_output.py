"""Output of executions in SQLite: pieces that do not overlap, of which the last `limit` bytes count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.history.contract import Output

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from dkronpy.model.execution import OutputChunk

Key = tuple[str, int, int, str]
"""(job, group, attempt, node)."""

_PIECE = 16_384
"""Appended bytes go into the last piece until it has this many: few rows, and little to write again for each chunk."""

_OF_RUN = "job = ? AND grp = ? AND attempt = ? AND node = ?"
_LAST = f"SELECT start, length(data) FROM output WHERE {_OF_RUN} ORDER BY start DESC LIMIT 1"
# Pieces do not overlap, so of those that begin at or before a place only the last one can reach beyond it.
_FROM = f"start >= coalesce((SELECT max(start) FROM output WHERE {_OF_RUN} AND start <= ?), 0)"
_EXTENTS = f"SELECT start, length(data) FROM output WHERE {_OF_RUN} AND {_FROM} AND start < ? ORDER BY start"
_PIECES = f"SELECT start, data FROM output WHERE {_OF_RUN} AND {_FROM} AND start < ? ORDER BY start"
_INSERT = "INSERT INTO output (job, grp, attempt, node, start, data) VALUES (?, ?, ?, ?, ?, ?)"
_APPEND = f"UPDATE output SET data = CAST(data || ? AS BLOB) WHERE {_OF_RUN} AND start = ?"
_TRIM = f"DELETE FROM output WHERE {_OF_RUN} AND start < ? AND start + length(data) <= ?"


def store_chunks(connection: sqlite3.Connection, chunks: Iterable[OutputChunk], limit: int) -> None:
    """Add `chunks` within the caller's transaction. Bytes that are stored already stay as they are; pieces that lie
    wholly before the last `limit` bytes of their run are dropped."""
    for chunk in chunks:
        if chunk.data:
            _store(connection, (chunk.job, chunk.group, chunk.attempt, chunk.node), chunk.offset, chunk.data, limit)


def read_output(connection: sqlite3.Connection, key: Key, offset: int, length: int, limit: int) -> Output:
    """The first unbroken stretch of at most `length` stored bytes from `offset` on (from the end when negative)."""
    size = _size(connection, key)
    begin = _kept(size + offset if offset < 0 else offset, size, limit)
    stretches = _stretches(connection, key, begin, min(begin + length, size))
    if not stretches and length > 0 and begin < size:  # a gap longer than `length`: go on behind it
        (begin,) = connection.execute(
            f"SELECT min(start) FROM output WHERE {_OF_RUN} AND start > ?", (*key, begin)
        ).fetchone()
        stretches = _stretches(connection, key, begin, min(begin + length, size))
    start, data = stretches[0] if stretches else (begin, b"")
    return Output(start, data, size)


def read_tail(connection: sqlite3.Connection, key: Key, length: int, limit: int) -> Output:
    """The last `length` stored bytes; fewer when there is a gap among them."""
    size = _size(connection, key)
    stretches = _stretches(connection, key, _kept(size - length, size, limit), size)
    start, data = stretches[-1] if stretches else (size, b"")
    return Output(start, data, size)


def _store(connection: sqlite3.Connection, key: Key, offset: int, data: bytes, limit: int) -> None:
    last = connection.execute(_LAST, key).fetchone()
    size = sum(last) if last else 0
    end = offset + len(data)
    kept_from = max(size, end) - limit
    if offset < kept_from:
        offset, data = kept_from, data[kept_from - offset :]
    if not data:
        return
    if last and offset == size and last[1] + len(data) <= _PIECE:
        connection.execute(_APPEND, (data, *key, last[0]))
    else:
        for start, stop in _missing(connection, key, offset, end) if offset < size else [(offset, end)]:
            connection.execute(_INSERT, (*key, start, data[start - offset : stop - offset]))
    if kept_from > 0:
        connection.execute(_TRIM, (*key, kept_from, kept_from))


def _missing(connection: sqlite3.Connection, key: Key, begin: int, end: int) -> list[tuple[int, int]]:
    """The parts of [begin, end) that are not stored."""
    parts: list[tuple[int, int]] = []
    for start, length in connection.execute(_EXTENTS, (*key, *key, begin, end)):
        if start > begin:
            parts.append((begin, start))
        begin = max(begin, start + length)
    if begin < end:
        parts.append((begin, end))
    return parts


def _size(connection: sqlite3.Connection, key: Key) -> int:
    last = connection.execute(_LAST, key).fetchone()
    return sum(last) if last else 0


def _kept(place: int, size: int, limit: int) -> int:
    """The place nearest to `place` within the last `limit` of `size` bytes."""
    return min(max(place, size - limit, 0), size)


def _stretches(connection: sqlite3.Connection, key: Key, begin: int, end: int) -> list[tuple[int, bytes]]:
    """What is stored of [begin, end), as (start, bytes) of each stretch without a gap."""
    stretches: list[tuple[int, list[bytes]]] = []
    reached: int | None = None
    for first, piece in connection.execute(_PIECES, (*key, *key, begin, end)):
        start, data = max(first, begin), piece[max(begin - first, 0) : end - first]
        if not data:
            continue
        if start == reached:
            stretches[-1][1].append(data)
        else:
            stretches.append((start, [data]))
        reached = start + len(data)
    return [(start, b"".join(parts)) for start, parts in stretches]
