"""A store in ZooKeeper 3.6 or later, shared by several servers.

A commit is one transaction that appends what it changes to a log and writes the keys, and that happens only if nobody
has appended before; so guards are compared with an image of the keys that each server holds, at the end of the log that
it knows (see zookeeper_tree.py for why that is enough). Commits that wait share a transaction. Reads are preceded by
ZooKeeper's `sync`: they have what was answered to anyone before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE

from dkronpy.store.addresses import split_machine, tls_context
from dkronpy.store.changes import Changes
from dkronpy.store.contract import Store, TooLarge, Unavailable, check_size
from dkronpy.store.zookeeper_replica import Replica
from dkronpy.store.zookeeper_session import PORT, Lost, Session
from dkronpy.store.zookeeper_tree import MAX_REQUEST, weight
from dkronpy.store.zookeeper_writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from dkronpy.store.contract import Entry, Event, Guard, Operation, Page

log = logging.getLogger(__name__)

_AGAIN: Final = 0.2
"""Seconds between tries to read the store as it is opened."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What there is while the store is open."""

    session: Session
    replica: Replica
    writer: Writer
    changes: Changes


class ZooKeeperStore(Store):
    """A session with the ensemble whose members are `machines`: `host:port`, or `https://host:port` for TLS.

    The next machine is used when one fails. A commit takes at most about `timeout` seconds, a read a few times that; a
    watch that can't go on for `patience` seconds ends with Unavailable. With a user, what the store makes is his alone
    (scheme `digest`).
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
        split = [split_machine(machine, "ZooKeeper", PORT) for machine in machines]
        if not split:
            raise ValueError("no machine of ZooKeeper was given: give at least one as host:port")
        if password and not user:
            raise ValueError("ZooKeeper has no password without a user: add backend-username")
        self._addresses = [address for address, _ in split]
        self._tls = any(tls for _, tls in split) or any((ca_file, cert_file, key_file))
        self._tls_files = (ca_file, cert_file, key_file)
        self._login = f"{user}:{password}" if user else None
        self._timeout = timeout
        self._patience = patience
        self._opened: _Parts | None = None

    async def open(self) -> None:
        tls = tls_context("ZooKeeper", *self._tls_files) if self._tls else None
        acl = OPEN_ACL_UNSAFE if self._login is None else CREATOR_ALL_ACL
        session = Session(self._addresses, tls=tls, login=self._login, seconds=self._timeout)
        await session.open()
        writer = Writer(session, acl, self._timeout)
        replica = Replica(session, acl, writer.applied)
        try:
            await self._read(replica)
        except BaseException:
            await replica.close()
            await session.close()
            raise
        self._opened = _Parts(session, replica, writer, Changes(replica, self._patience))

    async def _read(self, replica: Replica) -> None:
        """A machine that was reached and then loses a request, since it is slow at the moment, is asked again."""
        end = time.monotonic() + self._patience
        while True:
            try:
                await replica.open()
            except Lost as error:
                if time.monotonic() > end:
                    raise
                log.info("the store in ZooKeeper can't be read yet, trying again: %s", error)
                await asyncio.sleep(_AGAIN)
            else:
                return

    async def close(self) -> None:
        parts, self._opened = self._opened, None
        if parts is None:
            return
        await parts.writer.close()
        await parts.changes.close(parts.writer.newest, self._timeout)
        await parts.replica.close()
        await parts.session.close()

    async def get(self, key: str) -> Entry | None:
        return await self._parts().replica.get(key)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        return await self._parts().replica.page(prefix, after, limit)

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        async with aclosing(self._parts().changes.watch(prefix, revision)) as watch:
            async for events in watch:
                yield events

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """Once accepted it is carried out, also if the task that waits for it is cancelled. Raises ValueError for a key
        that has no UTF-8 form (a lone surrogate)."""
        check_size(guards, operations)
        if (size := weight(operations)) > MAX_REQUEST:
            raise TooLarge(f"ZooKeeper takes at most {MAX_REQUEST} bytes at once, keys in their long form: {size}")
        parts = self._parts()
        return await parts.writer.commit(parts.replica, guards, operations)

    def _parts(self) -> _Parts:
        if self._opened is None:
            raise Unavailable("the store is not open")
        return self._opened
