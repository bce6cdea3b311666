"""A store in Redis 6.2 or later, shared by several servers.

A commit is one script, which Redis runs while nothing else runs; it also logs what changed in a stream, which watches
read. Redis answers when its append-only file has what it is configured to have; its replicas follow later.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from redis import RedisError as RedisError  # fails here where the package is missing

from dkronpy.store.addresses import tls_context
from dkronpy.store.changes import Changes
from dkronpy.store.contract import (
    Compacted,
    Conflict,
    Entry,
    OutcomeUnknown,
    Page,
    Store,
    StoreFull,
    Unavailable,
    check_size,
)
from dkronpy.store.redis_data import (
    CHANGES,
    COMMIT,
    ENTRIES,
    PAGE,
    STATE,
    commit_arguments,
    entry,
    logged,
    page_arguments,
    page_entries,
)
from dkronpy.store.redis_machines import Failure, Machines, Refused, information, machine_at, script_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from dkronpy.store.changes import Commit
    from dkronpy.store.contract import Event, Guard, Operation
    from dkronpy.store.redis_data import Command
    from dkronpy.store.redis_machines import Wire

log = logging.getLogger(__name__)

_NEWEST: Command = ["HGET", STATE, "revision"]
_READ_AT_ONCE = 64
"""Entries of the stream in one answer."""


class RedisStore(Store):
    """A connection to the Redis whose servers, or whose Sentinels, are `machines`.

    The next machine is used when one fails or is not the master. A call takes at most about `timeout` seconds for each
    try (a commit is tried again only where nothing was written); a watch that can't go on for `patience` seconds ends
    with Unavailable.
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
        if not machines:
            raise ValueError("no machine of redis was given: give at least one as host:port")
        self._addresses = [machine_at(machine) for machine in machines]
        self._tls_files = (ca_file, cert_file, key_file)
        self._tls = any(machine.tls for machine in self._addresses) or any(self._tls_files)
        self._user, self._password = user, password
        self._timeout = timeout
        self._patience = patience
        self._opened: _Log | None = None
        self._accepted: set[asyncio.Task[int]] = set()
        self._newest = 0
        """The newest revision that a commit was answered with."""

    async def open(self) -> None:
        """Warns of a Redis that does not keep what it has answered."""
        tls = tls_context("redis", *self._tls_files) if self._tls else None
        machines = Machines(self._addresses, tls=tls, user=self._user, password=self._password, seconds=self._timeout)
        try:
            await _warn(await machines.wire(), self._timeout)
        except BaseException:
            await machines.close()
            raise
        self._opened = _Log(machines, self._timeout)
        self._changes = Changes(self._opened, self._patience)

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        await asyncio.gather(*self._accepted, return_exceptions=True)
        await self._changes.close(self._newest, self._timeout)
        await opened.machines.close()

    async def get(self, key: str) -> Entry | None:
        held = await self._log().read(["HGET", ENTRIES, key.encode()])
        return None if held is None else entry(key, held)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        command = script_call(PAGE, page_arguments(prefix, after, limit))
        revision, more, packed = await self._log().read(command)
        return Page(page_entries(packed), int(revision), bool(more))

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        """Raises Compacted also where Redis has lost commits that it had answered, by a failover for example."""
        self._log()
        async with aclosing(self._changes.watch(prefix, revision)) as watch:
            async for events in watch:
                yield events

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """Once accepted it is carried out, also if the task that waits for it is cancelled. Raises ValueError for a key
        that has no UTF-8 form (a lone surrogate)."""
        check_size(guards, operations)
        command = script_call(COMMIT, commit_arguments(guards, operations))
        task = asyncio.create_task(self._carry_out(self._log().machines, guards, command))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        return await asyncio.shield(task)

    def _log(self) -> _Log:
        if self._opened is None:
            raise Unavailable("the store is not open")
        return self._opened

    async def _carry_out(self, machines: Machines, guards: Sequence[Guard], command: Command) -> int:
        why = ""
        for _ in range(2):
            wire = await machines.wire()
            try:
                revision: int = await wire.call(*command, seconds=self._timeout)
            except OutcomeUnknown as error:
                machines.leave(wire, str(error))
                raise
            except Refused as error:
                why = str(error)
                match error.failure:
                    case Failure.REFUSED:
                        break
                    case Failure.FULL:
                        raise StoreFull(
                            f"redis has no room: raise maxmemory, or free space on its disk ({why})"
                        ) from error
                    case Failure.AGAIN:
                        machines.leave(wire, why)
            else:
                if revision < 0:
                    raise Conflict(guards[-revision - 1].key)
                self._newest = max(self._newest, revision)
                return revision
        raise Unavailable(f"redis refuses a commit: {why}")


class _Log:
    """Reads of Redis, its stream of changes among them."""

    def __init__(self, machines: Machines, seconds: float) -> None:
        """`seconds` is how long a call may take."""
        self.machines = machines
        self._seconds = seconds

    async def read(self, command: Command) -> Any:
        """The answer to a command that changes nothing. Raises Unavailable."""
        why = ""
        for _ in range(2):
            wire = await self.machines.wire()
            try:
                return await wire.call(*command, seconds=self._seconds)
            except OutcomeUnknown as error:
                why = str(error)
            except Refused as error:
                why = str(error)
                if error.failure is not Failure.AGAIN:
                    break
            self.machines.leave(wire, why)
        raise Unavailable(f"redis does not answer a read: {why}")

    async def after(self, revision: int) -> Sequence[Commit]:
        newest = await self.read(_NEWEST)
        found = await self.read(["XRANGE", CHANGES, f"({revision}-0", "+", "COUNT", _READ_AT_ONCE])
        if not found and int(newest or 0) != revision:
            raise _lost_sight(revision)
        return _connected(found, revision)

    async def follow(self, revision: int) -> AsyncGenerator[Sequence[Commit]]:
        wire = await self.machines.beside()
        try:
            if int(await wire.call(*_NEWEST, seconds=self._seconds) or 0) < revision:
                raise _lost_sight(revision)
            block = max(1, int(self._seconds * 1000))
            while True:
                after = f"{revision}-0"
                command: Command = ["XREAD", "COUNT", _READ_AT_ONCE, "BLOCK", block, "STREAMS", CHANGES, after]
                found = await wire.call(*command, seconds=2 * self._seconds)
                commits = _connected(found[0][1], revision) if found else []
                if commits:
                    revision = commits[-1][0].revision
                yield commits
        except (Refused, OutcomeUnknown) as error:
            raise Unavailable(f"redis does not tell of changes: {error}") from error
        finally:
            await wire.close()


def _connected(found: Sequence[Any], revision: int) -> list[Commit]:
    """The commits of these entries of the stream. Raises Compacted unless the first follows right on `revision`."""
    commits: list[Commit] = []
    for each in found:
        before, events = logged(each)
        if before != revision:
            raise _lost_sight(revision)
        commits.append(events)
        revision = events[0].revision
    return commits


def _lost_sight(revision: int) -> Compacted:
    return Compacted(f"changes after revision {revision} are no longer kept, or redis has lost that revision")


async def _warn(wire: Wire, seconds: float) -> None:
    """Raises Unavailable."""
    try:
        if (await information(wire, seconds)).get("aof_enabled") == "0":
            log.warning(
                "redis at %s has no append-only file: what was written is lost when it restarts; start it with "
                "--appendonly yes --appendfsync always",
                wire.machine,
            )
            return
        _, policy = await wire.call("CONFIG GET", "appendfsync", seconds=seconds)
    except Refused as error:
        log.debug("redis at %s does not tell how it keeps its data: %s", wire.machine, error)
    except OutcomeUnknown as error:
        raise Unavailable(str(error)) from error
    else:
        if policy != b"always":
            log.warning(
                "redis at %s may lose the last second when its machine fails: start it with --appendfsync always",
                wire.machine,
            )
