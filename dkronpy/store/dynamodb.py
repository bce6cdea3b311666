"""A store in a table of DynamoDB, shared by several servers.

A commit is a transaction whose conditions are the guards. It also replaces the head, an item with the newest revision,
and adds the changes to a log that watches read: so transactions take effect one after another. Those commits of a
process that wait for one share the next.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from dkronpy.store.changes import Changes
from dkronpy.store.contract import Compacted, Entry, Page, Store, Unavailable
from dkronpy.store.dynamodb_access import parse_place
from dkronpy.store.dynamodb_batch import Commit, number, sort_key
from dkronpy.store.dynamodb_log import Log
from dkronpy.store.dynamodb_table import Table
from dkronpy.store.dynamodb_writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from dkronpy.store.contract import Event, Guard, Operation


class DynamoDbStore(Store):
    """A connection to the table that `machines`, just one, names: `REGION/TABLE` or `https://HOST:PORT/TABLE`. A table
    that is missing is made. Without `user` (an access key) and `password` (its secret), credentials are looked for
    where AWS's own tools do.

    A read takes at most about `timeout` seconds, a commit as long again while it waits for others; a watch that can't
    go on for `patience` seconds ends with Unavailable.
    """

    def __init__(
        self,
        machines: Sequence[str],
        *,
        user: str = "",
        password: str = "",
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
        timeout: float = 2.0,
        patience: float = 10.0,
    ) -> None:
        """Raises ValueError for machines that are none."""
        if len(machines) != 1:
            raise ValueError("DynamoDB has one address: give one REGION/TABLE, or https://HOST:PORT/TABLE")
        if bool(user) != bool(password):
            raise ValueError("DynamoDB needs an access key and its secret: give both backend-username and -password")
        self._place = parse_place(machines[0])
        self._login = (user, password)
        self._ca_file = ca_file
        self._certificate = None if cert_file is None or key_file is None else (cert_file, key_file)
        self._timeout = timeout
        self._patience = patience
        self._opened: _Parts | None = None

    async def open(self) -> None:
        user, password = self._login
        table = Table(
            self._place,
            user=user,
            password=password,
            ca_file=self._ca_file,
            certificate=self._certificate,
            seconds=self._timeout,
        )
        await table.open()
        log = Log(table)
        writer = Writer(table, seconds=self._timeout, wrote=log.committed)
        self._opened = _Parts(table, writer, Changes(log, self._patience))

    async def close(self) -> None:
        parts, self._opened = self._opened, None
        if parts is None:
            return
        await parts.changes.close(await parts.writer.finish(), self._timeout)
        await parts.table.close()

    async def get(self, key: str) -> Entry | None:
        return await self._parts().table.get(key)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        """DynamoDB reads the items of a page one by one while others write them: what was committed meanwhile is read
        from the log and applied, so that the page is as at one revision."""
        table = self._parts().table
        first, last = sort_key(prefix), sort_key(prefix) + b"\xff"  # which no text has
        if after:
            first = max(first, sort_key(after) + b"\0")
        if first > last:
            return Page((), await table.newest(), more=False)
        while True:
            before = await table.newest()
            found = {entry.key: entry for entry in await table.entries(first, last, limit + 1)}
            more = len(found) > limit
            end = sort_key(max(found)) if more else last
            seen = max((entry.revision for entry in found.values()), default=0)
            newest = await table.newest(at_least=seen)
            try:
                async for commits, _ in table.changes(number(before) + 1, number(newest)):
                    for event in chain.from_iterable(commits):
                        if event.value is None:
                            found.pop(event.key, None)
                        elif first <= sort_key(event.key) <= end:
                            found[event.key] = Entry(event.key, event.value, event.revision)
            except Compacted:  # so much was written meanwhile
                continue
            if found or not more:
                entries = [found[key] for key in sorted(found)]
                return Page(tuple(entries[:limit]), newest, more or len(entries) > limit)

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """Once accepted it is carried out, also if the task that waits for it is cancelled. Raises ValueError for a key
        that has no UTF-8 form (a lone surrogate), TooLarge also for a key longer than DynamoDB takes."""
        commit = Commit(guards, operations, asyncio.get_running_loop().create_future())
        return await self._parts().writer.submit(commit)

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        async with aclosing(self._parts().changes.watch(prefix, revision)) as batches:
            async for events in batches:
                yield events

    def _parts(self) -> _Parts:
        if self._opened is None:
            raise Unavailable("the store is not open")
        return self._opened


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an open store consists of."""

    table: Table
    writer: Writer
    changes: Changes
