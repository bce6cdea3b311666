"""Deleting what a deleted job leaves behind: its history, its edits and its links."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dkronpy.catalog.keys import KINDS, Keys
from dkronpy.history.contract import History, HistoryError
from dkronpy.store.contract import MAX_PARTS, Delete, Store, StoreError

log = logging.getLogger(__name__)

RETRY = 2.0
"""Seconds between tries."""


async def delete_history(history: History, name: str, until: int) -> None:
    """Delete the job's executions with a group up to `until` (ns), trying until the history takes it."""

    async def work() -> None:
        await history.delete(name, until=until)

    await _insist(work, HistoryError, name)


async def purge_job(store: Store, keys: Keys, name: str, until: int) -> None:
    """Delete the job's edits and links up to and including `until` (ns), trying until the store takes it."""
    last = keys.edit(name, until)

    async def work() -> None:
        while True:
            page = await store.list(keys.edits(name), limit=MAX_PARTS)
            old = [entry.key for entry in page.entries if entry.key <= last]
            if not old:
                break
            await store.commit([], [Delete(key) for key in old])
        while True:
            page = await store.list(keys.links(name))
            links = [entry.key for entry in page.entries if KINDS["links"].decode(entry.value).since <= until]
            if not links:
                return
            await store.commit([], [Delete(key) for key in links[:MAX_PARTS]])

    await _insist(work, StoreError, name)


async def _insist(work: Callable[[], Awaitable[None]], expected: type[Exception], name: str) -> None:
    while True:
        try:
            return await work()
        except expected as error:
            log.warning("a deleted job's records can't be deleted yet: %s", error, extra={"job": name})
            await asyncio.sleep(RETRY)
