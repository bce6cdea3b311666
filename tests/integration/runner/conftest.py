"""A real runner with real processes, and an agent's end of it that remembers all it heard."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import select
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dkronpy.model.run import Ended, Grown, Key, RunSpec, RunStatus, Started
from dkronpy.runner.client import RunnerClient

_groups = itertools.count(1)


class Agent:
    """Orders runs and waits for what becomes of them."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.events: list[Started | Grown | Ended] = []
        self.lost = asyncio.Event()
        self.client: RunnerClient | None = None
        self._heard = asyncio.Event()
        self._pids: list[int] = []

    async def connect(self) -> RunnerClient:
        self.lost.clear()
        self.client = await RunnerClient.connect(self.spool, self._hear, self.lost.set)
        self._pids.append(self.client.pid)
        for run in self.client.known:
            if run.ended is not None:
                self._hear(run.ended)
        return self.client

    @property
    def runner(self) -> RunnerClient:
        assert self.client is not None
        return self.client

    def order(self, command: str = "", /, **config: str) -> RunSpec:
        """A run of a shell command, or of another executor."""
        executor = config.pop("executor", "shell")
        if command:
            config = {"command": command, "shell": "true"} | config
        return RunSpec("job", next(_groups), 1, "node", executor, config)

    async def start(self, command: str = "", /, **config: str) -> Key:
        """Start a run, and wait until it is under way or over."""
        spec = self.order(command, **config)
        assert await self.runner.start([spec]) == {}
        await self.until(lambda: self.heard(Started, spec.key) or self.heard(Ended, spec.key))
        return spec.key

    async def run(self, command: str = "", /, **config: str) -> Ended:
        return await self.end(await self.start(command, **config))

    async def end(self, key: Key, within: float = 30) -> Ended:
        await self.until(lambda: self.heard(Ended, key), within)
        return self.heard(Ended, key)[-1]

    def heard(self, kind: type, key: Key) -> list:
        return [event for event in self.events if isinstance(event, kind) and event.key == key]

    async def until(self, condition: Callable[[], object], within: float = 30) -> None:
        """Wait until it holds; looked at again with every event."""
        async with asyncio.timeout(within):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    def output(self, key: Key) -> bytes:
        """What the spool has of a run's output, which must have no gap."""
        start, data = self.runner.read(key, 0, 1 << 30)
        while True:
            at, more = self.runner.read(key, start + len(data), 1 << 30)
            if not more:
                return data
            assert at == start + len(data)
            data += more

    def status(self, key: Key) -> RunStatus:
        return next(run for run in self.runner.known if run.key == key)

    async def kill_runner(self) -> None:
        """`kill -9`, and wait until it is gone."""
        pid = self.runner.pid
        with pidfd(pid) as ended:
            os.kill(pid, signal.SIGKILL)
            await ended()
        await self.lost.wait()

    async def clean_up(self) -> None:
        """End all that still runs, the runner last."""
        if self.client is None:
            return
        if self.lost.is_set():
            await self.connect()
        with contextlib.suppress(ConnectionError):
            await self.runner.close()
            await self.connect()
            known = [run.key for run in self.runner.known]
            for key in known:
                if not self.heard(Ended, key) and await self.runner.kill(key):
                    await self.end(key)
            await self.runner.ack(known)
            with pidfd(self.runner.pid) as ended:
                os.kill(self.runner.pid, signal.SIGTERM)
                await ended()

    def _hear(self, event: Started | Grown | Ended) -> None:
        self.events.append(event)
        self._heard.set()


@contextlib.contextmanager
def pidfd(pid: int):
    """Yields what waits until this process has ended."""
    fd = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    try:
        yield lambda: asyncio.to_thread(lambda: poller.poll(20_000) or pytest.fail(f"process {pid} does not end"))
    finally:
        os.close(fd)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], object], within: float = 20) -> None:
    """Wait until it holds, looking every 20 ms: for what no event tells of."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def fifo(agent: Agent) -> Path:
    """A pipe by which a run waits for `release`."""
    path = agent.spool / "fifo"
    os.mkfifo(path)
    return path


def release(agent: Agent) -> None:
    (agent.spool / "fifo").write_text("go\n")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
async def agent(spool: Path) -> AsyncIterator[Agent]:
    agent = Agent(spool)
    await agent.connect()
    yield agent
    await agent.clean_up()
