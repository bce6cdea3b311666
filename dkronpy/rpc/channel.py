"""A lane's channel: authenticated, versioned batches of messages over one WebSocket.

A frame is a msgpack array of messages. Sending never blocks: messages queue and a writer sends what has gathered as
one frame; a queue that grows beyond its limit ends the channel, and the lane begins anew.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import ClientWebSocketResponse, WSMsgType, web

from dkronpy.rpc.auth import NONCE_BYTES, Keys, Secret, Unauthenticated, hint, hinted, primary
from dkronpy.rpc.server import PROTOCOL_NEWEST, PROTOCOL_OLDEST

MAX_FRAME = 4 << 20
"""Bytes of one frame; a longer one ends the channel."""
MAX_QUEUE = 32 << 20
"""Bytes that may wait to be sent."""
GREETING = 5.0
"""Seconds the greeting may take."""

Socket = ClientWebSocketResponse | web.WebSocketResponse
In = TypeVar("In")


class ChannelError(Exception):
    """The channel is over: the peer is gone, refused us, or sent what it must not."""


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The client's greeting: the kind of lane, the protocol versions it speaks, its name, its nonce, and which of the
    cluster's keys it uses (see `auth.hint`)."""

    kind: str
    oldest: int
    newest: int
    node: str
    nonce: bytes
    hint: bytes = b""


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """The server's answer. With `refusal` the channel is over; `proof` is of the transcript with an empty proof;
    `time` is the server's, in ns since the epoch."""

    version: int
    node: str
    nonce: bytes
    proof: bytes
    refusal: str = ""
    time: int = 0


class Offset(msgspec.Struct, frozen=True):
    """By how much (ns) the server's clock is ahead of the client's, give or take `error`: half of the round trip."""

    ahead: int
    error: int


NO_OFFSET = Offset(0, 0)
_encode = msgspec.msgpack.Encoder().encode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no message."""


class Channel(Generic[In]):
    """A channel after its greeting. `peer` is the name the other end proved with the key, `offset` what a client
    learned of the server's clock."""

    def __init__(
        self,
        socket: Socket,
        peer: str,
        version: int,
        secret: Secret,
        side: str,
        message: Any,
        offset: Offset = NO_OFFSET,
    ) -> None:
        other = "server" if side == "client" else "client"
        self.peer = peer
        self.version = version
        self.offset = offset
        self._socket = socket
        self._out = secret.seal(side)
        self._in = secret.seal(other)
        self._decoder: msgspec.msgpack.Decoder[list[In]] = msgspec.msgpack.Decoder(list[message])
        self._queue: list[bytes] = []
        self._queued = 0
        self._wake = asyncio.Event()
        self._over = False

    def send(self, message: object) -> None:
        """Queue a message; it is lost if the channel ends first."""
        if self._over:
            return
        data = _encode(message)
        self._queue.append(data)
        self._queued += len(data)
        if self._queued > MAX_QUEUE:
            self._over = True
        self._wake.set()

    def close(self) -> None:
        """End the channel, with whatever waits in it."""
        self._over = True
        self._wake.set()

    async def write(self) -> None:
        """Send what is queued, until the channel ends. Raises ChannelError."""
        try:
            while not self._over:
                await self._wake.wait()
                self._wake.clear()
                while self._queue and not self._over:
                    await self._socket.send_bytes(self._frame())
        except (ConnectionError, RuntimeError) as error:
            raise ChannelError(f"{self.peer} is gone: {error}") from error
        finally:
            self._over = True
            await self._socket.close()
        raise ChannelError(f"the channel to {self.peer} was ended")

    def _frame(self) -> bytes:
        size = count = 0
        for data in self._queue:
            if count and (size + len(data) > MAX_FRAME // 2 or count == 0xFFFF):
                break
            size, count = size + len(data), count + 1
        body = b"".join(self._queue[:count])
        del self._queue[:count]
        self._queued -= size
        frame = b"\xdc" + count.to_bytes(2, "big") + body  # msgpack's array of up to 65,535 members
        return frame if self._out is None else self._out.close(frame)

    async def receive(self) -> AsyncIterator[list[In]]:
        """What the peer sends, frame by frame. Raises ChannelError at its end."""
        while True:
            try:
                frame = await self._socket.receive()
            except (ConnectionError, RuntimeError) as error:
                raise ChannelError(f"{self.peer} is gone: {error}") from error
            if frame.type is not WSMsgType.BINARY:
                raise ChannelError(f"{self.peer} hung up")
            try:
                data = frame.data if self._in is None else self._in.open(frame.data)
                yield self._decoder.decode(data)
            except (Unauthenticated, *_UNREADABLE) as error:
                raise ChannelError(f"{self.peer} sent what it must not: {error}") from error


async def converse(channel: Channel[In], handle: Callable[[In], None]) -> None:
    """Write what is sent and handle what comes, until the channel ends. Raises ChannelError, and what `handle`
    raises."""

    async def read() -> None:
        async for messages in channel.receive():
            for message in messages:
                handle(message)

    tasks = [asyncio.create_task(channel.write()), asyncio.create_task(read())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def greet(socket: ClientWebSocketResponse, kind: str, node: str, keys: Keys, message: Any) -> Channel[Any]:
    """The client's side of the greeting; `message` is the union of what the peer may send. Raises ChannelError."""
    key, nonce = primary(keys()), os.urandom(NONCE_BYTES)
    hello = _encode(Hello(kind, PROTOCOL_OLDEST, PROTOCOL_NEWEST, node, nonce, hint(key, nonce)))
    sent = time.time_ns()
    await socket.send_bytes(hello)
    welcome = await _receive(socket, Welcome)
    error = abs(time.time_ns() - sent) // 2
    if welcome.refusal:
        raise ChannelError(f"refused: {welcome.refusal}")
    secret = Secret(key, hello + _encode(msgspec.structs.replace(welcome, proof=b"")))
    try:
        secret.check("server", welcome.proof)
    except Unauthenticated as error:
        raise ChannelError(str(error)) from error
    await socket.send_bytes(secret.proof("client"))
    offset = Offset(welcome.time - sent - error, error)
    return Channel(socket, welcome.node, welcome.version, secret, "client", message, offset)


async def answer(
    socket: web.WebSocketResponse,
    kind: str,
    node: str,
    keys: Keys,
    message: Any,
    clock: Callable[[], int] = time.time_ns,
) -> Channel[Any]:
    """The server's side of the greeting. Raises ChannelError."""
    raw = await _raw(socket)
    hello = _decode(raw, Hello)
    version = min(hello.newest, PROTOCOL_NEWEST)
    refusal = ""
    if hello.kind != kind:
        refusal = f"this lane is {kind}, not {hello.kind[:40]}"
    elif version < max(hello.oldest, PROTOCOL_OLDEST):
        ours, theirs = f"{PROTOCOL_OLDEST}-{PROTOCOL_NEWEST}", f"{hello.oldest}-{hello.newest}"
        refusal = f"protocol versions {theirs} are not spoken here, {ours} are"
    welcome = Welcome(version, node, os.urandom(NONCE_BYTES), b"", refusal, clock())
    secret = Secret(hinted(keys(), hello.hint, hello.nonce), raw + _encode(welcome))
    await socket.send_bytes(_encode(msgspec.structs.replace(welcome, proof=secret.proof("server"))))
    if refusal:
        raise ChannelError(f"refused {hello.node[:100]!r}: {refusal}")
    proof = await _raw(socket)
    try:
        secret.check("client", proof)
    except Unauthenticated as error:
        raise ChannelError(f"{hello.node[:100]!r}: {error}") from error
    return Channel(socket, hello.node, version, secret, "server", message)


T = TypeVar("T")


async def _receive(socket: Socket, kind: type[T]) -> T:
    return _decode(await _raw(socket), kind)


async def _raw(socket: Socket) -> bytes:
    try:
        async with asyncio.timeout(GREETING):
            frame = await socket.receive()
    except TimeoutError:
        raise ChannelError("the peer did not greet in time") from None
    if frame.type is not WSMsgType.BINARY or len(frame.data) > 4096:
        raise ChannelError("the peer hung up or did not greet")
    return frame.data


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except _UNREADABLE as error:
        raise ChannelError(f"the peer's greeting can't be read: {error}") from error
