"""Stored output as one value: the stretches of it that are there, of which the last bytes count."""

from __future__ import annotations

from collections.abc import Sequence

from dkronpy.history.contract import Output

Stretches = Sequence[tuple[int, bytes]]
"""(start, bytes), oldest first; they neither overlap nor touch."""


def size_of(stretches: Stretches) -> int:
    """The end of the last byte."""
    return stretches[-1][0] + len(stretches[-1][1]) if stretches else 0


def with_chunk(stretches: Stretches, offset: int, data: bytes, limit: int) -> Stretches:
    """`stretches` and `data`, cut to the last `limit` bytes. Bytes that are there already stay as they are."""
    if not data:
        return stretches
    if not stretches and len(data) <= limit:
        return [(offset, data)]
    joined: list[tuple[int, bytes]] = []
    for start, piece in sorted([*stretches, *_missing(stretches, offset, data)]):
        if joined and joined[-1][0] + len(joined[-1][1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + piece)
        else:
            joined.append((start, piece))
    kept_from = size_of(joined) - limit
    kept = [(max(start, kept_from), piece[max(kept_from - start, 0) :]) for start, piece in joined]
    return [(start, piece) for start, piece in kept if piece]


def read(stretches: Stretches, offset: int, length: int, limit: int) -> Output:
    """The first unbroken stretch of at most `length` bytes from `offset` on (from the end when negative), among the
    last `limit`."""
    size = size_of(stretches)
    begin = min(max(size + offset if offset < 0 else offset, size - limit, 0), size)
    if length > 0:
        for start, piece in stretches:
            if start + len(piece) > begin:
                place = max(start, begin)
                return Output(place, piece[place - start :][:length], size)
    return Output(begin, b"", size)


def last_of(stretches: Stretches, length: int, limit: int) -> Output:
    """The last `length` bytes, at most `limit`; fewer where there is a gap among them."""
    size = size_of(stretches)
    if not stretches:
        return Output(0, b"", 0)
    start = max(stretches[-1][0], size - min(length, limit))
    return Output(start, stretches[-1][1][start - stretches[-1][0] :], size)


def _missing(stretches: Stretches, offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """What of `data` lies in no stretch."""
    end = offset + len(data)
    parts: list[tuple[int, bytes]] = []
    begin = offset
    for start, piece in stretches:
        if start > begin and begin < end:
            stop = min(start, end)
            parts.append((begin, data[begin - offset : stop - offset]))
        begin = max(begin, start + len(piece))
    if begin < end:
        parts.append((begin, data[begin - offset :]))
    return parts
