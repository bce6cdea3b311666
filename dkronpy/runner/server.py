"""The runner's loop: agents on the Unix socket, signals, and when to end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dkronpy.model.run import Ended, Grown, RunStatus, Started
from dkronpy.runner.protocol import Ack, Channel, Events, FromAgent, Hello, Kill, Refused, Reply, Start, Welcome, agree
from dkronpy.runner.runs import Runs
from dkronpy.runner.spool import Spool

log = logging.getLogger(__name__)

_FIRST_AGENT_WITHIN: Final = 10.0  # seconds
_NEXT_AGENT_WITHIN: Final = 2.0  # seconds
_LOOK_FOR_SPOOL_EVERY: Final = 60.0  # seconds
_UNREAD: Final = 32 << 20  # bytes an agent may leave unread; after that it has to connect anew
_WELCOMED: Final = 16 << 20  # bytes of output in a `Welcome`; the rest is to be read from the spool


class Server:
    """Serves agents until there is none and every run is acknowledged, or until told to end."""

    def __init__(self, spool: Spool, environment: Mapping[str, str]) -> None:
        """`environment`: what runs inherit. Raises: OSError, ValueError if the spool cannot be taken over."""
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._agents: set[Channel] = set()
        self._events: list[Started | Grown | Ended] = []
        self._starting: set[asyncio.Task[None]] = set()
        self._socket = spool.path / "runner.sock"
        self._listener: asyncio.Server | None = None
        self._ending = False
        self._over = asyncio.Event()
        self._idle_timer = self._loop.call_later(_FIRST_AGENT_WITHIN, self._end_if_useless)
        self._loop.set_exception_handler(self._on_failure)
        self._runs = Runs(spool, self._emit, environment)

    async def listen(self) -> None:
        """Take connections from here on. Raises: OSError."""
        directory = os.open(self._spool.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        socket = f"/proc/self/fd/{directory}/runner.sock"  # the spool's own path may be too long for a socket's
        self._listener = await self._loop.create_unix_server(
            lambda: Channel(FromAgent, self._on_message, self._on_closed), socket
        )
        os.close(directory)
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(signum, self._told_to_end)
        self._loop.add_signal_handler(signal.SIGHUP, lambda: None)
        log.info("runner %d serves spool %s", os.getpid(), self._spool.id)

    async def serve(self) -> None:
        """Serve until it is over."""
        await self._over.wait()
        self._socket.unlink(missing_ok=True)
        if self._listener is not None:
            self._listener.close()
        self._flush()
        await self._runs.close()
        for agent in self._agents:
            agent.close()
        self._spool.close()
        log.info("runner %d ends", os.getpid())

    def _on_message(self, agent: Channel, message: object) -> None:
        match message:
            case Hello():
                self._welcome(agent, message)
            case _ if agent not in self._agents:
                log.warning("hung up: an agent did not begin with a hello")
                agent.abort()
            case Start():
                task = self._loop.create_task(self._start(agent, message))
                self._starting.add(task)
                task.add_done_callback(self._started)
            case Kill():
                agent.send(Reply(message.call, done=self._runs.kill(message.key, force=message.force)))
            case Ack():
                self._runs.ack(message.keys)
                agent.send(Reply(message.call))
                self._consider_end()
            case _:
                raise AssertionError(message)

    def _welcome(self, agent: Channel, hello: Hello) -> None:
        version = agree(hello.versions)
        if version is None:
            agent.send(Refused(f"this runner speaks none of the protocol versions {hello.versions}"))
            agent.close()
            return
        self._flush()
        agent.send(Welcome(version, self._spool.id, os.getpid(), _shortened(self._runs.status())))
        self._agents.add(agent)
        self._idle_timer.cancel()

    async def _start(self, agent: Channel, message: Start) -> None:
        if self._ending:
            refused = [(spec.key, "the runner was told to end: send it to its successor") for spec in message.specs]
        else:
            refused = await self._runs.start(message.specs)
        agent.send(Reply(message.call, refused))

    def _started(self, task: asyncio.Task[None]) -> None:
        self._starting.discard(task)
        if not task.cancelled():
            task.result()

    def _on_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A step that failed in an unforeseen way would leave a run in between: rather end, and let a successor take
        over from the journal."""
        loop.default_exception_handler(context)
        if "handle" in context:
            self._over.set()

    def _on_closed(self, agent: Channel) -> None:
        self._agents.discard(agent)
        self._consider_end()

    def _emit(self, event: Started | Grown | Ended) -> None:
        if not self._events:
            self._loop.call_soon(self._flush)
        self._events.append(event)

    def _flush(self) -> None:
        events, self._events = self._events, []
        if not events:
            return
        for agent in list(self._agents):
            agent.send(Events(events))
            if agent.unsent > _UNREAD:
                log.warning("hung up: an agent has left %d bytes unread", agent.unsent)
                agent.abort()

    def _told_to_end(self) -> None:
        if self._ending:
            log.info("told to end twice: %s", "idle" if self._runs.idle else "runs go on without a runner")
            self._over.set()
        self._ending = True
        self._consider_end()

    def _consider_end(self) -> None:
        self._idle_timer.cancel()
        if self._runs.idle and self._ending:
            self._over.set()
        elif not self._agents:
            wait = _NEXT_AGENT_WITHIN if self._runs.idle else _LOOK_FOR_SPOOL_EVERY
            self._idle_timer = self._loop.call_later(wait, self._end_if_useless)

    def _end_if_useless(self) -> None:
        if self._agents:
            return
        if not self._socket.exists():
            log.error("the spool was deleted, so no agent can come any more: what runs goes on without a runner")
            self._over.set()
        elif self._runs.idle and not self._starting:
            self._over.set()
        else:
            self._consider_end()


def _shortened(runs: list[RunStatus]) -> list[RunStatus]:
    """With at most `_WELCOMED` bytes of output in all."""
    left = _WELCOMED
    shortened: list[RunStatus] = []
    for run in runs:
        ended = run.ended
        if ended is not None:
            left -= len(ended.tail)
            if left < 0:
                ended = msgspec.structs.replace(ended, tail_start=ended.size, tail=b"")
        shortened.append(msgspec.structs.replace(run, ended=ended))
    return shortened
