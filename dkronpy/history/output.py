"""Output of executions in a database: pieces that do not overlap, of which the last `limit` bytes count."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dkronpy.history.contract import Output
from dkronpy.history.stretches import Stretches, with_chunk
from dkronpy.history.table import Extent, Key, Piece, Table
from dkronpy.history.work import Work
from dkronpy.model.execution import OutputChunk

_PIECE = 16_384
"""Appended bytes go into the last piece until it has this many: few rows, and little to write again for each chunk."""


def store_chunks(table: Table, chunks: Sequence[OutputChunk], limit: int) -> Work[None]:
    """Add `chunks`. Bytes that are stored already stay as they are; pieces that lie wholly before the last `limit`
    bytes of their run are dropped."""
    outputs: dict[Key, Stretches] = {}
    for chunk in chunks:
        key = (chunk.job, chunk.group, chunk.attempt, chunk.node)
        if chunk.data:
            outputs[key] = with_chunk(outputs.get(key, ()), chunk.offset, chunk.data, limit)
    # What begins at its start is likely all that there is.
    first = [(key, *part) for key, stretches in outputs.items() if not stretches[0][0] for part in stretches]
    for key in (yield from table.begin_outputs(first)) if first else ():
        del outputs[key]
    if not outputs:
        return
    last = yield from table.last_pieces(outputs)
    new: list[tuple[Key, int, bytes]] = []
    trimmed: dict[Key, int] = {}
    for key, stretches in outputs.items():
        tail = last.get(key)
        size = sum(tail) if tail else 0
        kept_from = max(size, stretches[-1][0] + len(stretches[-1][1])) - limit
        for offset, data in stretches:
            start, fresh = (kept_from, data[kept_from - offset :]) if offset < kept_from else (offset, data)
            if not fresh:
                continue
            if tail and start == size and tail.length + len(fresh) <= _PIECE:
                yield from table.append(key, tail.start, fresh)
            elif start >= size:
                new.append((key, start, fresh))
            else:
                end = start + len(fresh)
                held = yield from table.extents(key, start, end)
                new += [(key, begin, fresh[begin - start : stop - start]) for begin, stop in _missing(held, start, end)]
        if kept_from > 0:
            trimmed[key] = kept_from
    if new:
        yield from table.insert_pieces(new)
    for key, kept_from in trimmed.items():
        yield from table.trim(key, kept_from)


def read_output(table: Table, key: Key, offset: int, length: int, limit: int) -> Work[Output]:
    """The first unbroken stretch of at most `length` stored bytes from `offset` on (from the end when negative)."""
    last = (yield from table.last_pieces([key])).get(key)
    size = sum(last) if last else 0
    begin = _kept(size + offset if offset < 0 else offset, size, limit)
    if length <= 0 or begin >= size:
        return Output(begin, b"", size)
    stretches = _stretches((yield from table.pieces(key, begin, min(begin + length, size))), begin, begin + length)
    if not stretches:  # a gap longer than `length`: go on behind it
        begin = yield from table.piece_after(key, begin)
        stretches = _stretches((yield from table.pieces(key, begin, min(begin + length, size))), begin, begin + length)
    start, data = stretches[0] if stretches else (begin, b"")
    return Output(start, data, size)


def read_tails(table: Table, keys: Collection[Key], length: int, limit: int) -> Work[dict[Key, Output]]:
    """The last `length` stored bytes of each; fewer when there is a gap among them."""
    if not keys:
        return {}
    held = yield from table.tails(keys, None if length >= limit else length)
    found: dict[Key, Output] = {}
    for key in keys:
        size, pieces = held.get(key, (0, []))
        stretches = _stretches(pieces, _kept(size - length, size, limit), size)
        start, data = stretches[-1] if stretches else (size, b"")
        found[key] = Output(start, data, size)
    return found


def _missing(held: Sequence[Extent], begin: int, end: int) -> list[tuple[int, int]]:
    """The parts of [begin, end) that are not stored."""
    parts: list[tuple[int, int]] = []
    for start, length in held:
        if start > begin:
            parts.append((begin, min(start, end)))
        begin = max(begin, start + length)
    if begin < end:
        parts.append((begin, end))
    return parts


def _kept(place: int, size: int, limit: int) -> int:
    """The place nearest to `place` within the last `limit` of `size` bytes."""
    return min(max(place, size - limit, 0), size)


def _stretches(pieces: Sequence[Piece], begin: int, end: int) -> list[Piece]:
    """What `pieces` hold of [begin, end), as (start, bytes) of each stretch without a gap."""
    stretches: list[tuple[int, list[bytes]]] = []
    reached: int | None = None
    for first, piece in pieces:
        start, data = max(first, begin), piece[max(begin - first, 0) : max(end - first, 0)]
        if not data:
            continue
        if start == reached:
            stretches[-1][1].append(data)
        else:
            stretches.append((start, [data]))
        reached = start + len(data)
    return [(start, b"".join(parts)) for start, parts in stretches]
