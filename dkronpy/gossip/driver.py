"""The driver: sockets and time for a node's state machine. One UDP and one TCP socket on the same port."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from dkronpy.gossip.codec.keyring import Keyring
from dkronpy.gossip.codec.messages import Ack, Address, Ping, User
from dkronpy.gossip.codec.msgpack import CodecError
from dkronpy.gossip.codec.packet import MAX_PACKET, make_packet, read_packet
from dkronpy.gossip.codec.stream import PushPull, Refusal, StreamMessage, StreamReader, make_stream
from dkronpy.gossip.effects import Effect, Exchange, SendPacket, StreamPing
from dkronpy.gossip.errors import UnreachableError
from dkronpy.gossip.serf.serf import Serf
from dkronpy.model.duration import SECOND

log = logging.getLogger(__name__)

_MAX_WAITING: Final = 1024
"""Datagrams that wait to be read; more are dropped, as the network does."""
_LATE: Final = SECOND // 20
"""How late a timer may be for all to be as usual, in ns."""
_AT_ONCE: Final = 64
"""Datagrams that are read before others have their turn."""
_MAX_STREAMS: Final = 128
"""Streams of others that are served at a time."""
_CHUNK: Final = 1 << 16
_LARGE: Final = 1 << 14
"""Bytes of a stream from which on reading it is left to a thread: 100 kB take some 10 ms, compressed 100."""
_LARGE_STATE: Final = 50
"""Nodes of a state from which on writing it is left to a thread."""
_RECEIVE_BUFFER: Final = 2 << 20


class Driver:
    """Call `open`, then `run`, then anything else; all on one event loop.

    `tell` gets the effects that concern neither network nor time. `clock` is monotonic, in ns."""

    def __init__(
        self, serf: Serf, *, keyring: Keyring | None, clock: Callable[[], int], tell: Callable[[Effect], None]
    ) -> None:
        self._serf = serf
        self._keyring = keyring
        self._clock = clock
        self._tell = tell
        self._waiting: deque[tuple[bytes, Address, int]] = deque()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._streams = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._dropped = 0
        self._refused = 0

    # ---- life

    async def open(self, sockets: Sockets) -> None:
        """Begin to listen and to be there; what comes is answered by `run`."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._arrived), sock=sockets.datagram
        )
        self._server = await asyncio.start_server(self._accepted, sock=sockets.stream)
        self.do(self._serf.start)

    async def run(self) -> None:
        """Receive and keep time, until it is cancelled. An error that ends it is a mistake in this program."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    await self._turn()
            finally:
                self._tasks = None
                self.close()

    def close(self) -> None:
        """Hang up."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()

    def do(self, action: Callable[[], object]) -> None:
        """Let the state machine do something now."""
        self._serf.advance(self._clock())
        action()
        self._settle()

    # ---- datagrams and time

    def _arrived(self, data: bytes, sender: Address) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            self._dropped += 1
            if _worth_a_word(self._dropped):
                log.warning("%d datagrams were dropped: more come than can be read", self._dropped)
            return
        self._waiting.append((data, sender, self._clock()))
        self._wake.set()

    async def _turn(self) -> None:
        deadline = self._serf.deadline()
        if deadline is not None and self._clock() - deadline > _LATE:
            await self._catch_up()
        for _ in range(min(len(self._waiting), _AT_ONCE)):
            data, sender, at = self._waiting.popleft()
            self._serf.look(at)
            self._receive(data, sender)
        self._serf.advance(self._clock())
        self._settle()
        if self._waiting:
            self._wake.set()
            await asyncio.sleep(0)

    async def _catch_up(self) -> None:
        """This process was stopped for a while: let in what has come meanwhile, before anybody is taken for silent."""
        for _ in range(_MAX_WAITING):
            before = len(self._waiting)
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the loop may have looked at its sockets before the first
            if len(self._waiting) == before:
                break

    def _receive(self, data: bytes, sender: Address) -> None:
        try:
            for message in read_packet(data, self._keyring):
                self._serf.handle(message, sender)
        except CodecError as error:
            log.debug("a datagram of %s is refused: %s", sender, error)

    def _settle(self) -> None:
        """Do what the state machine wants done, and wake it when it next needs to be."""
        for effect in self._serf.take():
            match effect:
                case SendPacket():
                    self._send(effect)
                case StreamPing():
                    self._start(self._stream_ping(effect))
                case Exchange():
                    self._start(self._synchronise(effect.to))
                case _:
                    self._tell(effect)
        deadline = self._serf.deadline()
        if deadline != self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at, self._timer = deadline, None
            if deadline is not None:
                delay = max(0, deadline - self._clock()) / SECOND
                self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _due(self) -> None:
        self._timer_at = self._timer = None
        self._wake.set()

    def _send(self, effect: SendPacket) -> None:
        assert self._transport is not None
        data = make_packet(effect.messages, crc=effect.crc, compress=self._serf.profile.compress, keyring=self._keyring)
        try:
            self._transport.sendto(data, effect.to)
        except (OSError, ValueError) as error:  # an address of another family, or one that can't be
            log.debug("nothing can be sent to %s: %s", effect.to, error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:  # it is being closed
            work.close()
        else:
            self._tasks.create_task(work)

    # ---- streams to others

    async def exchange(self, to: Address, *, join: bool = False) -> None:
        """Exchange the whole state with the node at that address. Raises UnreachableError."""
        answer = await self._ask(to, self._serf.state(join=join), self._serf.profile.stream_timeout)
        if isinstance(answer, Refusal):
            raise UnreachableError(f"{to} refuses: {answer.error}")
        if not isinstance(answer, PushPull):
            raise UnreachableError(f"{to} answers something else than its state")
        try:
            self.do(lambda: self._serf.merge(answer))
        except CodecError as error:
            raise UnreachableError(f"the state of {to} is refused: {error}") from error

    async def _synchronise(self, to: Address) -> None:
        try:
            await self.exchange(to)
        except UnreachableError as error:
            log.info("no exchange of state: %s", error)

    async def _stream_ping(self, effect: StreamPing) -> None:
        try:
            answer = await self._ask(effect.to, effect.ping, effect.deadline - self._clock())
        except UnreachableError as error:
            log.debug("%s", error)
            return
        if isinstance(answer, Ack):
            self.do(lambda: self._serf.on_stream_ack(answer.seq_no))

    async def _ask(self, to: Address, message: StreamMessage, timeout: int) -> StreamMessage:
        try:
            async with asyncio.timeout(max(0, timeout) / SECOND):
                reader, writer = await asyncio.open_connection(to.host, to.port)
                try:
                    await self._write(writer, message)
                    return await self._read(reader)
                finally:
                    writer.close()
        except TimeoutError:
            raise UnreachableError(f"{to} doesn't answer in time") from None
        except OSError as error:
            raise UnreachableError(f"{to} is not reached: {error.strerror or error}") from error
        except CodecError as error:
            raise UnreachableError(f"the answer of {to} is not understood: {error}") from error

    # ---- streams of others

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._tasks is None:  # this node is still starting: better told at once than kept waiting
            writer.close()
            return
        if self._streams >= _MAX_STREAMS:
            self._refused += 1
            if _worth_a_word(self._refused):
                log.warning("%d connections were refused: more come at once than are served", self._refused)
            writer.close()
            return
        self._streams += 1

        def served(_: asyncio.Task[None]) -> None:  # also if it is cancelled before it began
            self._streams -= 1
            writer.close()

        self._tasks.create_task(self._serve(reader, writer)).add_done_callback(served)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        try:
            async with asyncio.timeout(self._serf.profile.stream_timeout / SECOND):
                try:
                    await self._answer(await self._read(reader), writer)
                except CodecError as error:
                    log.warning("a stream of %s is refused: %s", peer, error)
                    await self._write(writer, Refusal(str(error)))
        except (OSError, TimeoutError) as error:
            log.debug("a stream of %s ends early: %r", peer, error)

    async def _answer(self, message: StreamMessage, writer: asyncio.StreamWriter) -> None:
        """Raises CodecError."""
        match message:
            case PushPull():
                await self._write(writer, self._serf.state())
                self.do(lambda: self._serf.merge(message))
            case Ping():
                if message.node in ("", self._serf.name):
                    await self._write(writer, Ack(message.seq_no))
            case User():
                self.do(lambda: self._serf.receive(message.body))
            case _:
                raise CodecError(f"nobody asked for this {type(message).__name__}")

    async def _read(self, reader: asyncio.StreamReader) -> StreamMessage:
        """Raises CodecError and OSError."""
        stream = StreamReader(self._keyring)
        size = 0
        while data := await reader.read(_CHUNK):
            size += len(data)
            message = stream.feed(data) if size < _LARGE else await asyncio.to_thread(stream.feed, data)
            if message is not None:
                return message
        raise ConnectionError("it hangs up" if size else "it hangs up without a word")

    async def _write(self, writer: asyncio.StreamWriter, message: StreamMessage) -> None:
        def make() -> bytes:
            return make_stream(message, compress=self._serf.profile.compress, keyring=self._keyring)

        large = isinstance(message, PushPull) and len(message.nodes) > _LARGE_STATE
        writer.write(await asyncio.to_thread(make) if large else make())
        await writer.drain()


def _worth_a_word(count: int) -> bool:
    """The first, the second, the fourth, the eighth, …: strangers can't fill the log."""
    return count.bit_count() == 1


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, arrived: Callable[[bytes, Address], None]) -> None:
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if len(data) <= MAX_PACKET:
            self._arrived(data, Address(addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        log.debug("a datagram was not delivered: %s", exc)


class Sockets(NamedTuple):
    """One of each kind on the same port."""

    stream: socket.socket
    datagram: socket.socket

    @property
    def port(self) -> int:
        return self.stream.getsockname()[1]

    def close(self) -> None:
        self.stream.close()
        self.datagram.close()


def bind(address: Address) -> Sockets:
    """Sockets at that address; port 0 chooses one. Raises OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sockets = Sockets(socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM))
    try:
        sockets.stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sockets.stream.bind(address)
        sockets.datagram.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sockets.datagram.bind((address.host, sockets.port))
    except OSError:
        sockets.close()
        raise
    for each in sockets:
        each.setblocking(False)
    return sockets


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses that the name has now. Raises UnreachableError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise UnreachableError(f"{host} is unknown: {error.strerror or error}") from error
    return list(dict.fromkeys(Address(str(address[0]), port) for *_, address in found))
