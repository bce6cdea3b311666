"""The changes of a table, found by looking at its head again and again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dkronpy.store.dynamodb_batch import number

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from dkronpy.store.changes import Commit
    from dkronpy.store.dynamodb_batch import Attempt
    from dkronpy.store.dynamodb_table import Table

BUSY: Final = 0.05
"""Seconds between two looks after one that found something."""
IDLE: Final = 0.25
"""Seconds between two looks in the end, when none finds anything."""
_GROWTH: Final = 1.3
"""By this the time between two looks grows."""


class Log:
    """A `ChangeLog` of a table. What this process commits is passed on without a look."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._following = False
        self._own: dict[int, Sequence[Commit]] = {}
        """Transactions of this process that are yet to be passed on, by their numbers."""
        self._wake = asyncio.Event()

    def committed(self, attempt: Attempt) -> None:
        """This process has carried out a transaction."""
        if self._following:
            self._own[attempt.number] = attempt.events
            self._wake.set()

    async def after(self, revision: int) -> Sequence[Commit]:
        """As `ChangeLog.after`. The transaction of `revision` may hold later commits."""
        newest = await self._table.newest()
        async for commits, _ in self._table.changes(max(number(revision), 1), number(newest)):
            if found := [events for events in commits if events[0].revision > revision]:
                return found
        return ()

    async def follow(self, revision: int) -> AsyncGenerator[Sequence[Commit], None]:
        """As `ChangeLog.follow`."""
        clock = asyncio.get_running_loop().time
        following = max(number(revision), 1)  # the transaction to be read next
        delay, due = BUSY, clock()
        self._following = True
        try:
            while True:
                own: list[Commit] = []
                while commits := self._own.pop(following, None):
                    own += commits
                    following += 1
                if own:
                    yield own
                elif self._own or clock() >= due:  # others' transactions came between ours
                    newest = number(await self._table.newest())
                    delay = BUSY if following <= newest else min(delay * _GROWTH, IDLE)
                    async for commits, last in self._table.changes(following, newest):
                        following = last + 1
                        yield [events for events in commits if events[0].revision > revision]
                    for transaction in [transaction for transaction in self._own if transaction < following]:
                        del self._own[transaction]
                    yield ()
                    due = clock() + delay
                else:
                    self._wake.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(due):
                            await self._wake.wait()
        finally:
            self._following = False
            self._own.clear()
