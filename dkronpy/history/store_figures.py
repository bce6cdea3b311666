"""The jobs' figures in a history in a key-value store: one key a job, each replaced only by newer ones."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from dkronpy.model.figures import JobFigures
from dkronpy.store.contract import MAX_BYTES, MAX_PARTS, Conflict, Delete, Guard, Put

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dkronpy.store.contract import Entry, Store

decode_figures: Final = msgspec.msgpack.Decoder(JobFigures).decode
_encode: Final = msgspec.msgpack.Encoder().encode


async def write_figures(store: Store, prefix: str, figures: Sequence[JobFigures]) -> None:
    """As `History.write_figures`, in as many commits as it takes."""
    left = deque(figures)
    while left:
        batch: list[JobFigures] = []
        size = 0
        while left and len(batch) < MAX_PARTS // 2 and (not batch or size + _size(left[0]) <= MAX_BYTES):
            size += _size(left[0])
            batch.append(left.popleft())
        await _write(store, prefix, batch)


async def _write(store: Store, prefix: str, batch: Sequence[JobFigures]) -> None:
    while True:
        held = await _entries(store, prefix, [of.job for of in batch])
        guards: list[Guard] = []
        puts: list[Put] = []
        for of, entry in zip(batch, held, strict=True):
            if entry is None or decode_figures(entry.value).figures.age < of.figures.age:
                guards.append(Guard(prefix + of.job, entry.revision if entry else 0))
                puts.append(Put(prefix + of.job, _encode(of)))
        try:
            if puts:
                await store.commit(guards, puts)
        except Conflict:
            continue
        return


async def read_figures(store: Store, prefix: str, jobs: Collection[str]) -> dict[str, JobFigures]:
    """The figures of these jobs."""
    held = await _entries(store, prefix, jobs)
    return {of.job: of for of in (decode_figures(entry.value) for entry in held if entry)}


async def delete_figures(store: Store, prefix: str, job: str, before: int) -> None:
    """Delete the job's figures if their origin is before that (ns)."""
    while (entry := await store.get(prefix + job)) is not None:
        if decode_figures(entry.value).figures.origin >= before:
            return
        try:
            await store.commit([Guard(prefix + job, entry.revision)], [Delete(prefix + job)])
        except Conflict:
            continue


async def _entries(store: Store, prefix: str, jobs: Collection[str]) -> list[Entry | None]:
    return await asyncio.gather(*(store.get(prefix + job) for job in jobs))


def _size(of: JobFigures) -> int:
    """Bytes of its value and of its key in a guard and a put, at most."""
    return len(of.durations) + len(of.latencies) + 500 + 4 * len(of.job)
