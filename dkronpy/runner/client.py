"""The agent's side of its runner."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dkronpy.model.run import Ended, Grown, Key, RunSpec, RunStatus, Started
from dkronpy.runner import launch
from dkronpy.runner.launch import RunnerError
from dkronpy.runner.protocol import (
    VERSIONS,
    Ack,
    Channel,
    Events,
    FromRunner,
    Hello,
    Kill,
    Refused,
    Reply,
    Start,
    Welcome,
)
from dkronpy.runner.spool import output_directory, read_output, run_id

_ATTEMPTS: Final = 20
_AGAIN_AFTER: Final = 0.1  # seconds
_GREETED_WITHIN: Final = 30.0  # seconds


class RunnerClient:
    """A connection to the runner of a spool; `connect` makes one.

    `on_event` hears what becomes of runs, in order, and only after `connect` has returned; a run's events may come
    before `start` returns. `on_lost` is called once if the runner goes without `close`.
    """

    def __init__(
        self, spool_dir: Path, on_event: Callable[[Started | Grown | Ended], None], on_lost: Callable[[], None]
    ) -> None:
        self.spool = ""
        """The spool's id."""
        self.pid = 0
        """The runner's process."""
        self.known: tuple[RunStatus, ...] = ()
        """What the spool held when the connection was made: runs that run, and those ended and not acknowledged."""
        self._spool_dir = spool_dir
        self._on_event = on_event
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._channel: Channel | None = None
        self._greeting: asyncio.Future[Welcome | Refused] = self._loop.create_future()
        self._early: list[Started | Grown | Ended] | None = []
        self._calls: dict[int, asyncio.Future[Reply]] = {}
        self._numbers = itertools.count(1)

    @classmethod
    async def connect(
        cls, spool_dir: Path, on_event: Callable[[Started | Grown | Ended], None], on_lost: Callable[[], None]
    ) -> RunnerClient:
        """Connect to the runner of `spool_dir`, starting one if none answers. Raises: RunnerError."""
        for _ in range(_ATTEMPTS):
            client = cls(spool_dir, on_event, on_lost)
            try:
                await client._open()
                return client
            except ConnectionError:
                await asyncio.sleep(_AGAIN_AFTER)  # it was about to end
        raise RunnerError(f"the runner of {spool_dir} hangs up again and again: see {spool_dir / 'runner.log'}")

    async def start(self, specs: Sequence[RunSpec]) -> dict[Key, str]:
        """Have these started. Returns once that is durable: those that are refused, and why.

        Raises: ConnectionError if the runner is gone, and what it took is unknown; ValueError if they are too large for
        a message.
        """
        reply = await self._call(Start(next(self._numbers), list(specs)))
        return dict(reply.refused)

    async def kill(self, key: Key, *, force: bool = False) -> bool:
        """End a run, with `force` without its grace. Returns whether it was running. Raises: ConnectionError."""
        return (await self._call(Kill(next(self._numbers), key, force))).done

    async def ack(self, keys: Sequence[Key]) -> None:
        """The ends of these are stored: their output may go. They stay known, and never start again.

        Raises: ConnectionError.
        """
        await self._call(Ack(next(self._numbers), list(keys)))

    def read(self, key: Key, offset: int, limit: int) -> tuple[int, bytes]:
        """Read at most `limit` bytes of a run's output: (where they begin, they).

        They begin at `offset` or, where that is not kept, at the first byte behind it that is; (`offset`, nothing) if
        there is none. If that is so before the size of an ended run is reached, the rest was not kept.
        """
        return read_output(output_directory(self._spool_dir, run_id(key)), offset, limit)

    async def close(self) -> None:
        """Hang up. The runner goes on, and so do its runs."""
        self._on_lost = _ignore
        if self._channel is not None:
            self._channel.close()

    async def _open(self) -> None:
        """Raises: RunnerError; ConnectionError if it hangs up."""
        self._channel = await launch.connect(
            self._spool_dir, lambda: Channel(FromRunner, self._on_message, self._on_closed)
        )
        self._channel.send(Hello(VERSIONS))
        try:
            greeting = await asyncio.wait_for(self._greeting, _GREETED_WITHIN)
        except TimeoutError:
            self._channel.abort()
            raise RunnerError(f"the runner of {self._spool_dir} does not answer") from None
        if isinstance(greeting, Refused):
            raise RunnerError(greeting.reason)
        self.spool, self.pid, self.known = greeting.spool, greeting.pid, tuple(greeting.runs)
        self._loop.call_soon(self._deliver_early)

    def _on_message(self, _channel: Channel, message: object) -> None:
        match message:
            case Events(events) if self._early is None:
                for event in events:
                    self._on_event(event)
            case Events(events) if self._early is not None:
                self._early += events
            case Reply(call):
                self._calls.pop(call).set_result(message)
            case Welcome() | Refused():
                self._greeting.set_result(message)
            case _:
                raise AssertionError(message)

    def _deliver_early(self) -> None:
        early, self._early = self._early, None
        for event in early or ():
            self._on_event(event)
        if self._channel is not None and not self._channel.open:
            self._on_lost()

    def _on_closed(self, _channel: Channel) -> None:
        gone = ConnectionResetError("the runner is gone")
        if not self._greeting.done():
            self._greeting.set_exception(gone)
        for call in self._calls.values():
            if not call.done():
                call.set_exception(gone)
        self._calls.clear()
        if self._early is None:
            self._on_lost()

    async def _call(self, message: Start | Kill | Ack) -> Reply:
        if self._channel is None or not self._channel.open:
            raise ConnectionResetError("the runner is gone")
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._channel.send(message)
        self._calls[message.call] = answer
        return await answer


def _ignore() -> None:
    """The agent itself hung up."""
