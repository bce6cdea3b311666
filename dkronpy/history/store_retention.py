"""What is no longer kept in a key-value store, taken away in small batches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dkronpy.history.rules import deleted, due, excess
from dkronpy.history.store_keys import place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkronpy.history.contract import Retention
    from dkronpy.history.store_job import JobRecords, Summary
    from dkronpy.history.store_writer import Writer


async def prune(
    writer: Writer,
    retention: Retention,
    own: Mapping[str, Retention],
    kept: int,
    output_limit: int,
    now: int,
    batch: int,
) -> bool:
    """As `History.prune`, with at most `kept` groups of a kind. It begins to delete once all records were read, some at
    each call."""
    await writer.sweep()
    if not writer.swept:
        return True
    left = batch
    for job, summary in list(writer.summaries.items()):
        policy = _within(own.get(job, retention), kept)
        if summary is not None and not summary.exceeds(policy, now):
            continue
        if left <= 0:
            break
        left -= max(await _thin(writer, job, policy, output_limit, now, left), 1)
    return left <= 0


def _within(policy: Retention, kept: int) -> Retention:
    if policy.count <= kept and (policy.failed_count is None or policy.failed_count <= kept):
        return policy
    failed = None if policy.failed_count is None else min(policy.failed_count, kept)
    return replace(policy, count=min(policy.count, kept), failed_count=failed)


async def delete(writer: Writer, job: str, until: int) -> int:
    """As `History.delete`."""
    records = await writer.load(job)
    gone = [record for record in records.oldest_first() if deleted(record, until)]
    await writer.change(records.remove(gone))
    await _finish(writer, job, records)
    return len(gone)


async def _thin(writer: Writer, job: str, policy: Retention, output_limit: int, now: int, left: int) -> int:
    """Take at most `left` executions from `job`; how many."""
    summary = writer.summaries[job]
    if summary is not None and writer.folded(job) < 0 and not summary.needs_records(policy, now):
        return await _drop_oldest(writer, job, summary, policy.count, left)
    records = await writer.load(job)
    gone = excess(records.oldest_first(), policy, now=now, output_limit=output_limit)[:left]
    await writer.change(records.remove(gone))
    taken = len(gone)

    idle = records.summary().idle
    folding = idle[: max(len(idle) - policy.count, 0)][: left - taken]
    if folding:
        records.folded = folding[-1]
        await writer.fold(job, folding[-1])
    await writer.change(records.join())
    await _finish(writer, job, records)
    taken += len(folding)
    left_over = writer.summaries.get(job)
    if taken < left and left_over is not None:
        left_over.settle(policy, due(records.oldest_first(), policy))
    return taken


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
