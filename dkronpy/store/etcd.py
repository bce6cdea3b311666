"""A store in etcd 3.4 or later, shared by several servers.

A commit is one transaction whose comparisons are the guards; etcd numbers every change with a revision of the whole
store, which is just what the contract asks for. Reads are linearizable.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from aetcd import rpc

from dkronpy.store.addresses import split_machine
from dkronpy.store.contract import (
    Compacted,
    Conflict,
    Entry,
    Event,
    OutcomeUnknown,
    Page,
    Put,
    Store,
    StoreError,
    StoreFull,
    Unavailable,
    check_size,
)
from dkronpy.store.etcd_machines import PORT, Failure, Login, Machines, calling, credentials, failure, told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from dkronpy.store.contract import Guard, Operation

log = logging.getLogger(__name__)

OLDEST = (3, 4)
"""The first version of etcd that will do."""
_RETRY_FIRST, _RETRY_MAX = 0.05, 1.0
"""Seconds between a watch's tries to go on."""


class EtcdStore(Store):
    """A connection to the etcd cluster whose members are `machines`: `host:port`, or `https://host:port` for TLS.

    The next machine is used when one fails. A call takes at most about `timeout` seconds for each try (a commit is
    tried again only where nothing was written); a watch that can't go on for `patience` seconds ends with Unavailable.
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
        split = [split_machine(machine, "etcd", PORT) for machine in machines]
        if not split:
            raise ValueError("no machine of etcd was given: give at least one as host:port")
        if password and not user:
            raise ValueError("etcd has no password without a user: add backend-username")
        self._addresses = [address for address, _ in split]
        self._tls = any(tls for _, tls in split) or any((ca_file, cert_file, key_file))
        self._tls_files = (ca_file, cert_file, key_file)
        self._login = Login(user, password) if user else None
        self._timeout = timeout
        self._patience = patience
        self._opened: Machines | None = None
        self._accepted: set[asyncio.Task[int]] = set()
        self._watches: set[_Watch] = set()
        self._seen = 0
        """The newest revision that an answer named."""

    async def open(self) -> None:
        tls = credentials(*self._tls_files) if self._tls else None
        machines = Machines(self._addresses, tls=tls, login=self._login, seconds=self._timeout)
        try:
            connection = await machines.connection()
            if (version := await connection.version(self._timeout)) and version < OLDEST:
                is_, needed = (".".join(map(str, numbers)) for numbers in (version, OLDEST))
                raise Unavailable(f"etcd at {connection.address} is version {is_}: {needed} or later is needed")
        except BaseException:
            await machines.close()
            raise
        self._opened = machines

    async def close(self) -> None:
        machines, self._opened = self._opened, None
        if machines is None:
            return
        await asyncio.gather(*self._accepted, return_exceptions=True)
        with suppress(TimeoutError):  # of a watch that nobody reads
            async with asyncio.timeout(self._timeout):
                await asyncio.gather(*(watch.caught_up.wait() for watch in self._watches))
        for watch in self._watches:
            watch.closing.set()
        await machines.close()

    async def get(self, key: str) -> Entry | None:
        answer = await self._range(self._machines(), rpc.RangeRequest(key=key.encode()))
        return _entry(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> Page:
        first, end = _keys_under(prefix)
        request = rpc.RangeRequest(key=max(first, after.encode() + b"\0"), range_end=end, limit=limit)
        answer = await self._range(self._machines(), request)
        return Page(tuple(map(_entry, answer.kvs)), answer.header.revision, answer.more)

    async def commit(self, guards: Sequence[Guard], operations: Sequence[Operation]) -> int:
        """Once accepted it is carried out, also if the task that waits for it is cancelled. Raises ValueError for a key
        that has no UTF-8 form (a lone surrogate)."""
        check_size(guards, operations)
        request = _transaction(guards, operations)
        task = asyncio.create_task(self._carry_out(self._machines(), guards, operations, request))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)
        return await asyncio.shield(task)

    async def watch(self, prefix: str, revision: int) -> AsyncGenerator[Sequence[Event], None]:
        machines = self._machines()
        watch = _Watch(prefix, revision)
        self._watches.add(watch)
        try:
            lost: float | None = None
            delay = _RETRY_FIRST
            while True:
                try:
                    async with aclosing(_stream(machines, watch)) as stream:
                        async for events in stream:
                            lost, delay = None, _RETRY_FIRST
                            if events:
                                yield events
                except Unavailable as error:
                    if watch.closing.is_set():
                        raise Unavailable("the store is closed") from error
                    lost = time.monotonic() if lost is None else lost
                    if time.monotonic() - lost >= self._patience:
                        raise Unavailable(f"a watch could not go on for {self._patience:g} s: {error}") from error
                    log.debug("a watch of %s tries to go on: %s", prefix, error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await watch.closing.wait()
                delay = min(delay * 2, _RETRY_MAX)
        finally:
            self._watches.discard(watch)
            watch.caught_up.set()

    def _machines(self) -> Machines:
        if self._opened is None:
            raise Unavailable("the store is not open")
        return self._opened

    async def _range(self, machines: Machines, request: rpc.RangeRequest) -> rpc.RangeResponse:
        why = ""
        for _ in range(2):
            connection = await machines.connection()
            try:
                with calling():
                    answer = await connection.kv.Range(request, timeout=self._timeout, metadata=connection.metadata)
            except rpc.AioRpcError as error:
                why = told(error)
                if failure(error) is Failure.REFUSED:
                    break
                machines.leave(connection, why)
            else:
                self._seen = max(self._seen, answer.header.revision)
                return answer
        raise Unavailable(f"etcd does not answer a read: {why}")

    async def _carry_out(
        self, machines: Machines, guards: Sequence[Guard], operations: Sequence[Operation], request: rpc.TxnRequest
    ) -> int:
        why = ""
        for _ in range(2):
            connection = await machines.connection()
            seen = self._seen
            try:
                answer = await connection.kv.Txn(request, timeout=self._timeout, metadata=connection.metadata)
            except rpc.AioRpcError as error:
                why = told(error)
                match failure(error):
                    case Failure.REFUSED:
                        break
                    case Failure.FULL:
                        raise await self._full(machines, operations, seen) from error
                    case Failure.AGAIN:
                        machines.leave(connection, why)
                    case Failure.UNKNOWN:
                        machines.leave(connection, why)
                        raise OutcomeUnknown(f"etcd did not answer a commit: {why}") from error
            else:
                return self._answered(guards, operations, answer)
        raise Unavailable(f"etcd refuses a commit: {why}")

    def _answered(self, guards: Sequence[Guard], operations: Sequence[Operation], answer: rpc.TxnResponse) -> int:
        revision = answer.header.revision
        self._seen = max(self._seen, revision)
        if not answer.succeeded:
            found = [response.response_range.kvs for response in answer.responses]
            revisions = [kvs[0].mod_revision if kvs else 0 for kvs in found]
            raise Conflict(
                next(guard.key for guard, has in zip(guards, revisions, strict=True) if guard.revision != has)
            )
        changed = [
            operation.key
            for operation, response in zip(operations, answer.responses, strict=True)
            if isinstance(operation, Put) or response.response_delete_range.deleted
        ]
        for watch in self._watches:
            if any(key.startswith(watch.prefix) for key in changed):
                watch.owe(revision)
        return revision

    async def _full(self, machines: Machines, operations: Sequence[Operation], seen: int) -> StoreError:
        """What to raise when etcd says that there is no room. It may say so of a commit that it has written, when the
        quota was reached between its look before and the one after: then what was put is newer than `seen`."""
        put = next((operation.key for operation in operations if isinstance(operation, Put)), None)
        if put is not None:
            try:
                answer = await self._range(machines, rpc.RangeRequest(key=put.encode(), keys_only=True))
            except Unavailable as error:
                return OutcomeUnknown(f"etcd is full, and does not tell whether a commit was written: {error}")
            if answer.kvs and answer.kvs[0].mod_revision > seen:
                return OutcomeUnknown("etcd is full; the commit may have been the last it wrote")
        return StoreFull(
            "etcd's space is used up: compact and defragment it or raise --quota-backend-bytes, then disarm its alarm"
        )


class _Watch:
    """What a watch has read, and what it has yet to read before the store may close."""

    def __init__(self, prefix: str, revision: int) -> None:
        self.prefix = prefix
        self.position = revision
        self.closing = asyncio.Event()
        self.caught_up = asyncio.Event()
        self.caught_up.set()
        self._owed = revision

    def owe(self, revision: int) -> None:
        """There is a change that must not be missed."""
        if revision > max(self._owed, self.position):
            self._owed = revision
            self.caught_up.clear()

    def advance(self, revision: int) -> None:
        """Everything up to `revision` was read."""
        self.position = revision
        if revision >= self._owed:
            self.caught_up.set()


async def _stream(machines: Machines, watch: _Watch) -> AsyncGenerator[list[Event], None]:
    """The changes from `watch.position` on, for as long as the connection lasts; first an empty list once etcd watches.
    Raises Unavailable when it is lost, and Compacted."""
    connection = await machines.connection()
    call = connection.open_watch()
    try:
        with calling():
            first, end = _keys_under(watch.prefix)
            # The position itself is asked for again: etcd then refuses where it has compacted anything after it. Asked
            # for the next revision, it would keep quiet about a key whose deletion was that revision and is compacted.
            request = rpc.WatchCreateRequest(
                key=first, range_end=end, start_revision=max(watch.position, 1), progress_notify=True
            )
            await call.write(rpc.WatchRequest(create_request=request))
            async for answer in call:
                if answer.compact_revision:
                    raise Compacted(f"changes after revision {watch.position} are no longer kept")
                if answer.canceled:
                    machines.leave(connection, f"it ended a watch: {answer.cancel_reason}")
                    raise Unavailable(f"etcd ended a watch: {answer.cancel_reason}")
                events = [_event(event) for event in answer.events if event.kv.mod_revision > watch.position]
                if events:
                    watch.advance(events[-1].revision)
                elif not (answer.created or answer.events):  # a notice of how far etcd has come
                    watch.advance(max(watch.position, answer.header.revision))
                yield events
        machines.leave(connection, "it ended a watch")
        raise Unavailable("etcd ended a watch")
    except rpc.AioRpcError as error:
        machines.leave(connection, told(error))
        raise Unavailable(told(error)) from error
    finally:
        connection.watches.discard(call)
        call.cancel()


def _transaction(guards: Sequence[Guard], operations: Sequence[Operation]) -> rpc.TxnRequest:
    """The guards' revisions are read where one of them does not hold."""
    keys = [guard.key.encode() for guard in guards]
    return rpc.TxnRequest(
        compare=[
            rpc.Compare(  # of an absent key the revision is 0
                result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=guard.revision
            )
            for key, guard in zip(keys, guards, strict=True)
        ],
        success=[_operation(operation) for operation in operations],
        failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=key, keys_only=True)) for key in keys],
    )


def _operation(operation: Operation) -> rpc.RequestOp:
    key = operation.key.encode()
    if isinstance(operation, Put):
        return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=operation.value))
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))


def _keys_under(prefix: str) -> tuple[bytes, bytes]:
    """The first key with this prefix and the first after all of them, as etcd wants them. No byte of UTF-8 is the
    largest there is, so the last one of the prefix can grow."""
    start = prefix.encode()
    return (start, start[:-1] + bytes([start[-1] + 1])) if start else (b"\0", b"\0")


def _entry(found: rpc.KeyValue) -> Entry:
    return Entry(found.key.decode(), found.value, found.mod_revision)


def _event(event: rpc.Event) -> Event:
    value = event.kv.value if event.type == rpc.Event.PUT else None
    return Event(event.kv.key.decode(), value, event.kv.mod_revision)
