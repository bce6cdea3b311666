"""What is no longer kept in a key-value store, taken away in small batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkronpy.history.rules import ended
from dkronpy.history.store_keys import place

if TYPE_CHECKING:
    from dkronpy.history.store_job import JobRecords, Summary
    from dkronpy.history.store_writer import Writer


async def prune(writer: Writer, count: int, before: int | None, batch: int) -> bool:
    """As `History.prune`, for what exceeds `count` groups of a kind or ended earlier than `before` (ns). It begins to
    delete once all records were read, some at each call."""
    await writer.sweep()
    if not writer.swept:
        return True
    jobs = [job for job, summary in writer.summaries.items() if summary is None or summary.exceeds(count, before)]
    left = batch
    for job in jobs:
        if left <= 0:
            break
        left -= max(await _thin(writer, job, count, before, left), 1)
    return left <= 0


async def delete(writer: Writer, job: str, until: int) -> int:
    """As `History.delete`."""
    records = await writer.load(job)
    gone = [record for record in records.oldest_first() if record.group <= until]
    await writer.change(records.remove(gone))
    await _finish(writer, job, records)
    return len(gone)


async def _thin(writer: Writer, job: str, count: int, before: int | None, left: int) -> int:
    """Take at most `left` executions from `job`; how many."""
    summary = writer.summaries[job]
    if summary is not None and writer.folded(job) < 0 and not summary.needs_records(count, before):
        return await _drop_oldest(writer, job, summary, count, left)
    records = await writer.load(job)
    aged: list[tuple[int, int]] = []
    everything = records.oldest_first()
    if before is not None:
        ends = [(end, number) for number, record in enumerate(everything) if (end := ended(record)) is not None]
        aged = sorted(pair for pair in ends if pair[0] < before)[:left]
        await writer.change(records.remove([everything[number] for _, number in aged]))
    taken = len(aged)

    ran = records.summary().ran
    too_many = set(ran[: max(len(ran) - count, 0)])
    gone = [record for record in records.oldest_first() if record.state.ran and record.group in too_many]
    gone = gone[: left - taken]
    await writer.change(records.remove(gone))
    taken += len(gone)

    idle = records.summary().idle
    folding = idle[: max(len(idle) - count, 0)][: left - taken]
    if folding:
        records.folded = folding[-1]
        await writer.fold(job, folding[-1])
    await writer.change(records.join())
    await _finish(writer, job, records)
    return taken + len(folding)


async def _drop_oldest(writer: Writer, job: str, summary: Summary, count: int, left: int) -> int:
    """Take the oldest of a job whose records need no joining, without reading those that stay; how many."""
    groups = summary.ran[: len(summary.ran) - count][:left]
    newest_first = await writer.records_after(job, place(groups[-1]))
    among = set(groups)
    gone = [record for record in reversed(newest_first) if record.state.ran and record.group in among]
    rest = {record.group for record in gone[left:]}
    await writer.change([[(record, None)] for record in gone[:left]])
    await writer.flush()
    del summary.ran[: len(among - rest)]
    writer.summaries[job] = summary
    return len(gone[:left])


async def _finish(writer: Writer, job: str, records: JobRecords) -> None:
    """Commit what waits, and remember how the job now stands."""
    if not records and writer.folded(job) >= 0:
        await writer.fold(job, -1)
    await writer.flush()
    if records:
        writer.summaries[job] = records.summary()
    else:
        writer.summaries.pop(job, None)
