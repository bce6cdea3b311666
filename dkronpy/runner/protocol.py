"""What an agent and its runner say to each other over the Unix socket of the spool.

A message is a msgpack array behind its length as a big-endian u32. The agent opens with `Hello`, which lists the
protocol versions it speaks; the runner answers `Welcome` with the highest one that both speak, or `Refused`. These
three never change their shape. An agent speaks every version since 1, for after an upgrade it meets the older runner,
which lives on until its runs have ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import msgspec

from dkronpy.model.run import Ended, Grown, Key, RunSpec, RunStatus, Started

log = logging.getLogger(__name__)

VERSIONS: Final = (1,)
"""The protocol versions this release speaks."""

LONGEST: Final = 256 << 20
"""The most bytes a message may have."""

KNOWN: Final = "known already: it was started, and nothing starts twice"
"""Why a run that is not acknowledged is refused: it goes on, and its events tell what becomes of it."""

_LENGTH: Final = 4


class Hello(msgspec.Struct, frozen=True, tag="hello", array_like=True):
    """First message of an agent."""

    versions: tuple[int, ...]


class Welcome(msgspec.Struct, frozen=True, tag="welcome", array_like=True):
    """The runner's answer: the version they speak from here on, the spool's id, the runner's process, and every run
    that is not acknowledged."""

    version: int
    spool: str
    pid: int
    runs: list[RunStatus]


class Refused(msgspec.Struct, frozen=True, tag="refused", array_like=True):
    """The runner's answer to a `Hello` it cannot agree to; it hangs up after it."""

    reason: str


class Start(msgspec.Struct, frozen=True, tag="start", array_like=True):
    """Start these. Answered by `Reply`, once it is durable, with those that are not started and why."""

    call: int
    specs: list[RunSpec]


class Kill(msgspec.Struct, frozen=True, tag="kill", array_like=True):
    """End this run, with `force` at once: an older runner lets it have its grace. Answered by `Reply`; `done` says
    whether it was running."""

    call: int
    key: Key
    force: bool = False


class Ack(msgspec.Struct, frozen=True, tag="ack", array_like=True):
    """The ends of these runs are stored; their output may go. Answered by `Reply`."""

    call: int
    keys: list[Key]


class Reply(msgspec.Struct, frozen=True, tag="reply", array_like=True):
    """The answer to the message with the same `call`."""

    call: int
    refused: list[tuple[Key, str]] = []
    done: bool = True


class Events(msgspec.Struct, frozen=True, tag="events", array_like=True):
    """What became of runs, in the order in which it happened."""

    events: list[Started | Grown | Ended]


FromAgent: TypeAlias = Hello | Start | Kill | Ack
FromRunner: TypeAlias = Welcome | Refused | Reply | Events

_encoder: Final = msgspec.msgpack.Encoder()


def agree(theirs: tuple[int, ...]) -> int | None:
    """The highest protocol version that both sides speak; None if there is none."""
    return max(set(VERSIONS) & set(theirs), default=None)


class Channel(asyncio.Protocol):
    """One end of a connection. `incoming` is the union of the messages it takes.

    A message that is none of them, or longer than `LONGEST`, ends the connection.
    """

    def __init__(
        self,
        incoming: object,
        on_message: Callable[[Channel, object], None],
        on_closed: Callable[[Channel], None],
    ) -> None:
        self._decoder = msgspec.msgpack.Decoder(cast("type[object]", incoming))
        self._on_message = on_message
        self._on_closed = on_closed
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        position = 0
        while len(buffer) >= position + _LENGTH and self.open:
            length = int.from_bytes(buffer[position : position + _LENGTH], "big")
            if length > LONGEST:
                self._give_up(f"announces a message of {length} bytes")
                return
            end = position + _LENGTH + length
            if len(buffer) < end:
                break
            try:
                message = self._decoder.decode(memoryview(buffer)[position + _LENGTH : end])
            except msgspec.DecodeError as error:
                self._give_up(f"sent what is no message: {error}")
                return
            position = end
            self._on_message(self, message)
        del buffer[:position]

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            log.warning("a connection between agent and runner broke: %s", exc)
        self._transport = None
        self._on_closed(self)

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the other side to read."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, message: FromAgent | FromRunner) -> None:
        """Send it if the connection is still open. Raises: ValueError if it is longer than `LONGEST`."""
        if self._transport is None or self._transport.is_closing():
            return
        data = _encoder.encode(message)
        if len(data) > LONGEST:
            raise ValueError(f"a message of {len(data)} bytes is longer than the {LONGEST} that are allowed")
        self._transport.write(len(data).to_bytes(_LENGTH, "big") + data)

    def close(self) -> None:
        """Hang up once all is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def _give_up(self, reason: str) -> None:
        log.warning("hung up: the other side %s", reason)
        self._buffer.clear()
        self.abort()
