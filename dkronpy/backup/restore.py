"""Restoring a backup into a store and a history that nobody uses. The jobs come last: a server that starts too early
fires nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from dkronpy.backup.file import BackupError, Counted, Piece, Run, Value, read
from dkronpy.catalog.keys import KINDS, Keys, encode
from dkronpy.history.contract import History, Query
from dkronpy.leadership.claims import LEASE
from dkronpy.model.execution import Execution, OutputChunk
from dkronpy.model.figures import JobFigures
from dkronpy.model.records import Epoch, Lease
from dkronpy.store.contract import MAX_PARTS, Delete, Operation, Put, Store

AHEAD: Final = 1000
"""By how much the epoch is raised: nodes that have seen leaders after the backup was taken obey a higher one only."""
_LAST: Final = ("jobs", "cursor")
_BYTES_AT_ONCE: Final = 200_000
"""Of one commit: well below what a store takes, whatever a key costs there."""
_FOREVER: Final = (1 << 63) - 1
_RECORDS_AT_ONCE: Final = 100
_OUTPUT_AT_ONCE: Final = 1_000_000
"""Bytes of output in one write."""


async def restore(
    path: Path, store: Store, history: History, keys: Keys, *, overwrite: bool, progress: Callable[[int], None]
) -> int:
    """Put everything back; returns how many lines are written, of which `progress` is told on the way.

    Raises BackupError, StoreError and HistoryError; after the latter two the target may hold a part, and is taken again
    only with `overwrite`."""
    for _ in read(path):  # to its end, where the checksum is
        pass
    await _nobody_leads(store, keys)
    await _empty(store, history, keys, overwrite=overwrite)
    done = await _write_history(path, history, progress)
    first: list[Operation] = []
    last: list[Operation] = []
    for line in read(path):
        if isinstance(line, Value):
            put = Put(keys.root + line.key, line.value)
            if put.key == keys.epoch:
                put = Put(put.key, encode(_raised(KINDS["leader"].decode(put.value))))
            (last if keys.split(put.key)[0] in _LAST else first).append(put)
    for part in (*_parts(first), *_parts(last)):
        await store.commit([], part)
        done += len(part)
        progress(done)
    return done


def _raised(epoch: Epoch) -> Epoch:
    return msgspec.structs.replace(epoch, epoch=epoch.epoch + AHEAD)


async def _nobody_leads(store: Store, keys: Keys) -> None:
    """Raises BackupError when the lease is renewed."""
    before = await store.get(keys.lease)
    if before is None:
        return
    lease: Lease = KINDS["lease"].decode(before.value)
    end = asyncio.get_running_loop().time() + LEASE
    while not lease.released and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.1)
        if await store.get(keys.lease) != before:
            raise BackupError("servers use this store: stop them all, then restore")


async def _empty(store: Store, history: History, keys: Keys, *, overwrite: bool) -> None:
    """Make sure that nothing is there. Raises BackupError where something is, unless it is to be overwritten."""
    full = False
    while entries := (await store.list(keys.root, limit=MAX_PARTS)).entries:
        full = full or any(entry.key != keys.lease for entry in entries)
        if full and not overwrite:
            raise BackupError(f"the keyspace {keys.root[:-1]} is not empty: name another, or give --overwrite")
        await store.commit([], [Delete(entry.key) for entry in entries])
    while found := (await history.query(Query(), limit=1)).executions:
        if not overwrite:
            raise BackupError("the history is not empty: name another, or give --overwrite")
        await history.delete(found[0].job, until=_FOREVER)
    while figures := await history.figures(limit=1):
        if not overwrite:
            raise BackupError("the history is not empty: name another, or give --overwrite")
        await history.delete(figures[0].job, until=_FOREVER)


async def _write_history(path: Path, history: History, progress: Callable[[int], None]) -> int:
    executions: list[Execution] = []
    chunks: list[OutputChunk] = []
    figures: list[JobFigures] = []
    done = size = 0

    async def write() -> None:
        nonlocal done, size
        await history.write(executions, chunks)
        await history.write_figures(figures)
        done += len(executions) + len(chunks) + len(figures)
        size = 0
        for written in (executions, chunks, figures):
            written.clear()

    for line in read(path):
        match line:
            case Run(execution):
                executions.append(execution)
            case Piece(chunk):
                chunks.append(chunk)
                size += len(chunk.data)
            case Counted(of):
                figures.append(of)
            case _:
                continue
        if len(executions) + len(chunks) + len(figures) >= _RECORDS_AT_ONCE or size >= _OUTPUT_AT_ONCE:
            await write()
            progress(done)
    await write()
    return done


def _parts(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Operations in parts that fit one commit each."""
    part: list[Operation] = []
    size = 0
    for operation in operations:
        length = len(operation.key.encode()) + (len(operation.value) if isinstance(operation, Put) else 0)
        if part and (len(part) == MAX_PARTS or size + length > _BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(operation)
        size += length
    if part:
        yield part
