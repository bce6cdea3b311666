"""Connections to the machines of an etcd cluster: one at a time is used, and left for the next one when it fails."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import grpc
from aetcd import rpc

from dkronpy.store.addresses import until_usable
from dkronpy.store.contract import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

PORT: Final = 2379

_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # of a commit that was perhaps carried out, without asking
    ("grpc.use_local_subchannel_pool", 1),  # a new connection is a new one
    ("grpc.max_receive_message_length", -1),  # a page may be large
    # Finds out that a machine is gone without a word. etcd takes pings more often than every 5 s for an attack.
    ("grpc.keepalive_time_ms", 6_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
)
_NEEDS_LEADER: Final = (("hasleader", "true"),)
"""Sent with every call: a member that has lost the others says so at once."""
_REFUSALS: Final = frozenset(
    {
        rpc.StatusCode.FAILED_PRECONDITION,
        rpc.StatusCode.INVALID_ARGUMENT,
        rpc.StatusCode.NOT_FOUND,
        rpc.StatusCode.OUT_OF_RANGE,
        rpc.StatusCode.PERMISSION_DENIED,
        rpc.StatusCode.RESOURCE_EXHAUSTED,
        rpc.StatusCode.UNIMPLEMENTED,
    }
)


class Failure(Enum):
    """What a failed call means."""

    AGAIN = "again"
    """Nothing was done; over a new connection it may be."""
    REFUSED = "refused"
    """Nothing was done, and asking again would not help."""
    FULL = "full"
    """There is no room: most likely nothing was done."""
    UNKNOWN = "unknown"
    """Whether it was done is unknown; the connection is of no use any more."""


def failure(error: rpc.AioRpcError) -> Failure:
    """What `error` means. etcd tells more in words than in codes."""
    code, details = error.code(), error.details() or ""
    if "database space exceeded" in details:
        return Failure.FULL
    if (
        code is rpc.StatusCode.UNAUTHENTICATED  # the token has expired
        or "auth store is old" in details  # users or roles were changed
        or "too many requests" in details
        or details in ("etcdserver: no leader", "etcdserver: rpc not supported for learner")
    ):
        return Failure.AGAIN
    return Failure.REFUSED if code in _REFUSALS else Failure.UNKNOWN


def told(error: rpc.AioRpcError) -> str:
    """The error in words."""
    return error.details() or error.code().name


@contextmanager
def calling() -> Generator[None]:
    """Around a wait for etcd. When its connection is closed, grpc says that the task was cancelled; where it was not,
    this raises Unavailable."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Unavailable("the connection to etcd was closed") from error


def credentials(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> grpc.ChannelCredentials:
    """For TLS: whom to trust (without `ca_file` the usual authorities), and the client's own certificate. Raises
    Unavailable for a file that can't be read."""
    try:
        ca, cert, key = (None if file is None else file.read_bytes() for file in (ca_file, cert_file, key_file))
    except OSError as error:
        raise Unavailable(f"can't read a file for TLS with etcd: {error}") from error
    return grpc.ssl_channel_credentials(ca, key, cert)


@dataclass(frozen=True, slots=True)
class Login:
    """A user of etcd."""

    user: str
    password: str


class Connection:
    """To one machine. `metadata` goes with every call; `watches` are cancelled when the connection is left."""

    def __init__(self, address: str, channel: rpc.Channel) -> None:
        self.address = address
        self.channel = channel
        self.kv = rpc.KVStub(channel)
        self.metadata: rpc.Metadata = _NEEDS_LEADER
        self.watches: set[rpc.WatchCall] = set()

    @property
    def ready(self) -> bool:
        return self.channel.get_state() is grpc.ChannelConnectivity.READY

    async def connect(self, login: Login | None, seconds: float) -> str | None:
        """Why the machine can't be used, None if it can: it answers a read that needs a majority of the members."""
        try:
            if login is not None:
                request = rpc.AuthenticateRequest(name=login.user, password=login.password)
                answer = await rpc.AuthStub(self.channel).Authenticate(request, timeout=seconds, metadata=self.metadata)
                self.metadata = (*_NEEDS_LEADER, ("token", answer.token))
            await self.kv.Range(rpc.RangeRequest(key=b"\0", keys_only=True), timeout=seconds, metadata=self.metadata)
        except rpc.AioRpcError as error:
            if error.code() is not rpc.StatusCode.PERMISSION_DENIED:  # the user may use other keys than that
                return told(error)
        return None

    async def version(self, seconds: float) -> tuple[int, ...] | None:
        """The machine's version; None where it does not tell."""
        try:
            status = await rpc.MaintenanceStub(self.channel).Status(
                rpc.StatusRequest(), timeout=seconds, metadata=self.metadata
            )
        except rpc.AioRpcError as error:
            log.debug("etcd at %s does not tell its version: %s", self.address, told(error))
            return None
        numbers = status.version.partition("-")[0].split(".")
        return tuple(map(int, numbers)) if all(map(str.isdecimal, numbers)) else None

    def open_watch(self) -> rpc.WatchCall:
        """A new stream for watches."""
        call = rpc.WatchStub(self.channel).Watch(metadata=self.metadata)
        self.watches.add(call)
        return call


class Machines:
    """Gives out the connection in use. `seconds` is how long a call may take, at most, and connecting to the only
    machine; to one of several half of it."""

    def __init__(
        self, addresses: Sequence[str], *, tls: grpc.ChannelCredentials | None, login: Login | None, seconds: float
    ) -> None:
        self._addresses = addresses
        self._tls = tls
        self._login = login
        self._seconds = seconds
        self._until_usable = until_usable(seconds, len(addresses))
        self._turn = 0
        self._current: Connection | None = None
        self._connecting: asyncio.Task[Connection | str] | None = None
        self._channels: set[rpc.Channel] = set()
        """All that are open."""
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def connection(self) -> Connection:
        """The connection in use, ready for calls. Raises Unavailable, after every machine was tried."""
        current = self._current
        if current is not None:
            if current.ready:
                return current
            self.leave(current, "it was closed")
        if self._closed:
            raise Unavailable("the store is closed")
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        found = await asyncio.shield(self._connecting)
        if isinstance(found, str):
            raise Unavailable(f"etcd can't be reached: {found}")
        return found

    def leave(self, connection: Connection, why: str) -> None:
        """Use the next machine from now on, over a new connection. Calls under way may still be answered."""
        if connection is not self._current:
            return
        log.warning("the connection to etcd at %s is given up: %s", connection.address, why)
        self._current = None
        self._turn += 1
        for call in connection.watches:
            call.cancel()
        task = asyncio.create_task(self._close_later(connection.channel))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close everything, at once."""
        self._closed = True
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._connecting is not None:
            await self._connecting
        if self._current is not None:
            for call in self._current.watches:
                call.cancel()
            self._current = None
        for channel in tuple(self._channels):
            await self._close_channel(channel)

    async def _connect(self) -> Connection | str:
        """A connection to the first machine that can be used, from the one whose turn it is; else why there is none."""
        try:
            reasons: list[str] = []
            for turn in range(self._turn, self._turn + len(self._addresses)):
                address = self._addresses[turn % len(self._addresses)]
                connection = Connection(address, self._open_channel(address))
                reason = await connection.connect(self._login, self._until_usable)
                if reason is None:
                    log.info("connected to etcd at %s", address)
                    self._turn, self._current = turn, connection
                    return connection
                await self._close_channel(connection.channel)
                reasons.append(f"{address}: {reason}")
            return "; ".join(reasons)
        finally:
            self._connecting = None

    def _open_channel(self, address: str) -> rpc.Channel:
        if self._tls is None:
            channel = rpc.insecure_channel(address, options=_OPTIONS)
        else:
            channel = rpc.secure_channel(address, self._tls, options=_OPTIONS)
        self._channels.add(channel)
        return channel

    async def _close_channel(self, channel: rpc.Channel) -> None:
        self._channels.discard(channel)
        await channel.close()

    async def _close_later(self, channel: rpc.Channel) -> None:
        """Close `channel` once all its calls must have ended."""
        await asyncio.sleep(self._seconds)
        await self._close_channel(channel)
