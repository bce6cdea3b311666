"""A session with ZooKeeper: kazoo's client, whose answers become futures of asyncio.

kazoo keeps the session alive and goes on with another machine when a connection is lost, in threads of its own. Added
to it are an end to connections that do not answer, and reads of many nodes by one request, which ZooKeeper has since
3.6: kazoo spends 0.2 ms on each.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kazoo import exceptions
from kazoo.client import KazooClient
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol import serialization as zk
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry

from dkronpy.store.contract import StoreFull, Unavailable

if TYPE_CHECKING:
    from kazoo.protocol.states import WatchedEvent

log = logging.getLogger(__name__)
_kazoo_log = log.getChild("kazoo")
_kazoo_log.setLevel(logging.ERROR)  # it warns of each try to connect

PORT: Final = 2181
_RETRY_FIRST, _RETRY_MAX = 0.05, 0.5
"""Seconds between tries to connect."""
_CHUNK: Final = 100
"""Nodes read by one request."""
_LOST: Final = (
    exceptions.ConnectionLoss,
    exceptions.SessionExpiredError,
    exceptions.SessionMovedError,
    exceptions.OperationTimeoutError,
    exceptions.RequestTimeoutError,
    exceptions.ThrottledOpError,
)


class Lost(Unavailable):
    """A request was not answered: whether it was carried out is unknown."""


class Session:
    """With the ensemble whose machines are `addresses`, each `host:port`.

    A request waits up to `seconds` for a connection and as long for an answer.
    """

    def __init__(
        self, addresses: Sequence[str], *, tls: ssl.SSLContext | None, login: str | None, seconds: float
    ) -> None:
        """`login`: `user:password`."""
        self._addresses = addresses
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._up = asyncio.Event()
        self._network = _Network(tls, seconds, self._made)
        self._client = KazooClient(
            hosts=",".join(addresses),
            timeout=2 * seconds,  # a connection on which nothing is asked is found dead within 2/3 of it
            handler=self._network,
            auth_data=[] if login is None else [("digest", login)],
            connection_retry=KazooRetry(max_tries=-1, delay=_RETRY_FIRST, max_delay=_RETRY_MAX),
            logger=_kazoo_log,
        )
        self._client.add_listener(self._changed)

    async def open(self) -> None:
        """Raises Unavailable."""
        self._client.start_async()
        try:
            await self.connected()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the session. What was asked is answered with Lost."""
        stopping = asyncio.create_task(asyncio.to_thread(self._client.stop))
        await asyncio.wait([stopping], timeout=self._seconds / 2)
        self._network.cut(self._network.number)  # where the other end does not even answer to this
        await stopping
        self._client.close()

    async def ask(self, *requests: zk.Request) -> list[Any]:
        """Send requests at once, and again over a new connection if that is lost; their answers. ZooKeeper carries them
        out in this order. Raises Unavailable."""
        try:
            return await self._ask_once(*requests)
        except Lost:
            return await self._ask_once(*requests)

    async def read(self, paths: Sequence[str], *, newest: bool = False) -> list[bytes | None]:
        """What is in these nodes, None for those that do not exist. Each is read on its own. `newest`: after all that
        was answered to anyone before this call."""
        chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
        requests = [_MultiRead([zk.GetData(path, None) for path in chunk]) for chunk in chunks]
        if newest:
            _, *answers = await self.ask(zk.Sync("/"), *requests)
        else:
            answers = await self.ask(*requests)
        found = [data for answer in answers for data in answer]
        for data in found:
            if isinstance(data, exceptions.KazooException):
                raise _told(data)
        return found

    async def children(self, *paths: str) -> list[list[str]]:
        """The names below these nodes."""
        return await self.ask(*(zk.GetChildren(path, None) for path in paths))

    async def commit(self, operations: Sequence[Any]) -> tuple[int, exceptions.ZookeeperError] | None:
        """Carry out all or none, if one fails: its number and why. Raises Unavailable when nothing was done, Lost when
        that is unknown, and StoreFull."""
        [results] = await self._ask_once(zk.Transaction(operations))
        for number, result in enumerate(results):
            if isinstance(result, exceptions.QuotaExceededError):
                raise StoreFull("ZooKeeper's quota is used up: raise it with setquota, or delete jobs or their history")
            if isinstance(result, exceptions.NoAuthError):
                raise _told(result)
            if isinstance(result, exceptions.ZookeeperError) and not isinstance(
                result, (exceptions.RolledBackError, exceptions.RuntimeInconsistency)
            ):
                return number, result
        return None

    def watcher(self, told: Callable[[], None]) -> Callable[[WatchedEvent], None]:
        """What to give to a request that leaves a watch: `told` is called once, when there is news or the connection
        was lost."""

        def watcher(_: WatchedEvent) -> None:
            self._call_soon(told)

        return watcher

    def trouble(self) -> str:
        """What there is, in words, of each machine."""
        if self._up.is_set():
            return "it is too slow"
        reasons = self._network.reasons
        return "; ".join(f"{each}: {reasons.get(each, 'no such host, or not tried yet')}" for each in self._addresses)

    async def connected(self) -> None:
        """Wait for a connection. Raises Unavailable."""
        if self._up.is_set():
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._up.wait()
        except TimeoutError:
            raise Unavailable(f"ZooKeeper can't be reached: {self.trouble()}") from None

    async def _ask_once(self, *requests: zk.Request) -> list[Any]:
        await self.connected()
        return await asyncio.gather(*map(self._send, requests))

    def _send(self, request: zk.Request) -> asyncio.Future[Any]:
        answer = _Answer(self._loop)
        overdue = self._loop.call_later(self._seconds, self._overdue, answer, self._network.number)
        answer.future.add_done_callback(lambda _: overdue.cancel())
        # kazoo's own calls, get_async and the like, do this with answers that pass through one more thread.
        self._client._call(request, answer)  # pyright: ignore[reportPrivateUsage]
        return answer.future

    def _overdue(self, answer: _Answer, number: int) -> None:
        answer.future.set_exception(Lost(f"ZooKeeper did not answer within {self._seconds:g} s"))
        self._network.cut(number)

    def _made(self, number: int) -> None:
        """In a thread of kazoo. A connection that gets no session soon is given up: a ZooKeeper that is about to serve
        may keep one open that it will never answer, and kazoo waits for it for twice as long as a request may take."""
        self._call_soon(lambda: self._loop.call_later(self._seconds / 2, self._unanswered, number))

    def _unanswered(self, number: int) -> None:
        if not self._up.is_set():
            self._network.cut(number)

    def _changed(self, state: KazooState) -> None:
        """In a thread of kazoo."""
        if state == KazooState.CONNECTED:
            log.info("connected to ZooKeeper at %s", self._network.machine)
            self._network.reasons.clear()
            self._call_soon(self._up.set)
        else:
            if state == KazooState.SUSPENDED:
                log.warning("the connection to ZooKeeper at %s is lost", self._network.machine)
            self._call_soon(self._up.clear)

    def _call_soon(self, do: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(do)


class _Answer:
    """A future that a thread of kazoo sets."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self._loop = loop

    def set(self, value: object = None) -> None:
        self._finish(lambda: self.future.set_result(value))

    def set_exception(self, exception: Exception) -> None:
        self._finish(lambda: self.future.set_exception(_told(exception)))

    def _finish(self, finish: Callable[[], None]) -> None:
        def once() -> None:
            if not self.future.done():
                finish()

        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(once)


class _Network(SequentialThreadingHandler):
    """Connects for kazoo, remembers why that fails, and cuts connections."""

    def __init__(self, tls: ssl.SSLContext | None, seconds: float, made: Callable[[int], None]) -> None:
        """`made` is told of each connection, by its number."""
        super().__init__()
        self._made = made
        self._tls = tls
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self.number = 0
        """Of the connection, counted."""
        self.machine = ""
        """`host:port` of the connection."""
        self.reasons: dict[str, str] = {}
        """Why there is no connection, by `host:port`."""

    def create_connection(self, *, address: tuple[str, int], hostname: str, **_: object) -> socket.socket:
        """Called by kazoo in its thread; `address` is what `hostname` was resolved to."""
        name = f"[{hostname}]" if ":" in hostname else hostname
        name = f"{name}:{address[1]}"
        try:
            connected = socket.create_connection(address, self._seconds)
            if self._tls is not None:
                connected = self._tls.wrap_socket(connected, server_hostname=hostname)
        except OSError as error:
            self.reasons[name] = error.strerror or str(error)
            raise
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reasons[name] = "it does not answer as ZooKeeper does"
        self._socket, self.machine = connected, name
        self.number += 1
        self._made(self.number)
        return connected

    def cut(self, number: int) -> None:
        """End a connection, if it is still the one in use."""
        if self._socket is not None and number == self.number:
            with suppress(OSError):  # it is closed
                self._socket.shutdown(socket.SHUT_RDWR)


class _MultiRead:
    """Reads of nodes in one request; see MultiOperationRecord and MultiResponse of ZooKeeper."""

    type: int = 22

    def __init__(self, operations: Sequence[zk.GetData]) -> None:
        self._operations = operations

    def serialize(self) -> bytearray:
        packed = bytearray()
        for operation in self._operations:
            packed += zk.MultiHeader(operation.type, False, -1).serialize() + operation.serialize()
        return packed + zk.multiheader_struct.pack(-1, True, -1)

    @staticmethod
    def deserialize(buffer: bytes, offset: int) -> list[bytes | exceptions.KazooException | None]:
        """Errors are not raised here, where kazoo would log them as faults of its own."""
        found: list[bytes | exceptions.KazooException | None] = []
        while True:
            header, offset = zk.MultiHeader.deserialize(buffer, offset)
            if header.done:
                return found
            if header.type == -1:
                [code] = zk.int_struct.unpack_from(buffer, offset)
                offset += zk.int_struct.size
                found.append(None if code == exceptions.NoNodeError.code else exceptions.EXCEPTIONS[code]())
            else:
                data, offset = zk.read_buffer(buffer, offset)
                offset += zk.stat_struct.size
                found.append(data or b"")


def _told(error: Exception) -> Exception:
    """What to raise for an error of kazoo's."""
    if isinstance(error, _LOST):
        return Lost(f"the connection to ZooKeeper was lost: {type(error).__name__}")
    if isinstance(error, exceptions.NoAuthError):
        return Unavailable(
            "ZooKeeper refuses access to /dkronpy: give the backend-username and password that created it, or let an "
            "administrator set its access control lists anew"
        )
    if isinstance(error, exceptions.UnimplementedError):
        return Unavailable("this ZooKeeper is too old: 3.6 or later is needed")
    if isinstance(error, exceptions.KazooException):
        return Unavailable(f"ZooKeeper answers with an error: {type(error).__name__} {error}")
    return error
