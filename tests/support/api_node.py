"""A node that only answers: the API over a store and a history, without a leader. Tests write what a leader would.

Run as a program (`python -m tests.support.api_node DIRECTORY PORT [JOBS]`, port 0: any) it serves one on SQLite, with
so many jobs of one finished execution each, for load generators and fuzzers. It prints the port once it answers.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiohttp import web

from dkronpy.api.app import build
from dkronpy.api.definitions import checked_job
from dkronpy.api.services import Services
from dkronpy.catalog.backfills import Backfills
from dkronpy.catalog.feed import Feed
from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import Keys, encode
from dkronpy.catalog.links import Links
from dkronpy.catalog.mirror import Mirror
from dkronpy.catalog.requests import Requests
from dkronpy.config import Settings
from dkronpy.gossip.gossip import KeyReport
from dkronpy.history.contract import History
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.metrics import Metrics
from dkronpy.model.execution import Execution, OutputChunk, State
from dkronpy.model.job import JobState
from dkronpy.model.member import Member, Peer, PeerState
from dkronpy.model.records import GroupRecord
from dkronpy.model.source import SourceReport
from dkronpy.store.contract import Delete, Operation, Put, Store
from dkronpy.store.sqlite import SqliteStore
from tests.support.memory_history import MemoryHistory
from tests.support.memory_store import MemoryStore

NODE = "node1"


@dataclass
class FakeKeyring:
    """Notes what it is asked for, and answers with one report."""

    report: KeyReport = field(default_factory=lambda: KeyReport(1, answered=1))
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    async def list_keys(self) -> KeyReport:
        return self._ask("list", b"")

    async def install_key(self, key: bytes) -> KeyReport:
        return self._ask("install", key)

    async def use_key(self, key: bytes) -> KeyReport:
        return self._ask("use", key)

    async def remove_key(self, key: bytes) -> KeyReport:
        return self._ask("remove", key)

    def _ask(self, operation: str, key: bytes) -> KeyReport:
        self.asked.append((operation, key))
        return self.report


@dataclass
class FakeCluster:
    """A cluster of one; tests change it as they like."""

    name: str = NODE
    leader_name: str | None = NODE
    left: bool = False
    others: list[Member] = field(default_factory=list)
    keys: FakeKeyring | None = None

    def members(self) -> Sequence[Member]:
        tags = {"dkron_server": "true", "server": "true", "role": "dkron", "region": "global", "node": self.name}
        return [Member(self.name, "127.0.0.1", 8946, tags), *self.others]

    def leader(self) -> str | None:
        return self.leader_name

    def leading(self) -> bool:
        return self.leader_name == self.name

    def peers(self) -> Sequence[Peer]:
        return [Peer(self.name, "127.0.0.1:6868", PeerState.LEADER)]

    def keyring(self) -> FakeKeyring | None:
        return self.keys

    async def leave(self) -> None:
        self.left = True


@dataclass
class ApiNode:
    """What a test works with. `now` may be set to a fixed time in ns."""

    app: web.Application
    store: Store
    history: History
    mirror: Mirror
    jobs: Jobs
    keys: Keys
    feed: Feed
    cluster: FakeCluster
    settings: Settings
    faults: list[str] = field(default_factory=list)
    sources: list[SourceReport] = field(default_factory=list)
    now: int | None = None

    async def fly(self, execution: Execution) -> None:
        """Put an execution in flight, as the leader does."""
        await self.write(Put(self._group(execution), encode(GroupRecord((execution,)))))

    async def finish(self, execution: Execution, output: bytes = b"") -> None:
        """Move an execution to the history, as the leader does."""
        await self.history.write([execution], [OutputChunk(*execution.key, 0, output)] if output else [])
        await self.write(Delete(self._group(execution)))

    def _group(self, execution: Execution) -> str:
        return self.keys.group(execution.job, execution.group)

    async def grow(self, execution: Execution, offset: int, data: bytes) -> None:
        """Store a piece of an execution's output, as the leader does."""
        await self.history.write([], [OutputChunk(*execution.key, offset, data)])
        self.feed.grew(execution.key)

    async def state(self, name: str, **changes: Any) -> None:
        held = self.mirror.states.get(name)
        state = msgspec.structs.replace(JobState() if held is None else held.value, **changes)
        await self.write(Put(self.keys.state(name), encode(state)))

    async def write(self, *operations: Operation) -> None:
        await self.mirror.reached(await self.store.commit([], operations))


@asynccontextmanager
async def api_node(
    directory: Path,
    *,
    store: Store | None = None,
    history: History | None = None,
    **settings: Any,
) -> AsyncGenerator[ApiNode]:
    """A node with this store and history, in memory if none is given; `settings` are those of its configuration."""
    kept = store or MemoryStore()
    ended = history or MemoryHistory()
    await kept.open()
    await ended.open()
    keys = Keys("dkron")
    mirror = Mirror(kept, keys)
    config = Settings.model_validate({"server": True, "node_name": NODE, "data_dir": directory, **settings})
    feed, cluster = Feed(), FakeCluster(config.node_name)
    faults: list[str] = []

    def now() -> int:
        return time.time_ns() if node.now is None else node.now

    jobs, requests = Jobs(kept, mirror, keys, now), Requests(kept, mirror, keys, now)
    services = Services(
        settings=lambda: node.settings,
        mirror=mirror,
        jobs=jobs,
        backfills=Backfills(kept, mirror, keys, now),
        requests=requests,
        links=Links(kept, mirror, keys, requests, now),
        history=ended,
        cluster=cluster,
        feed=feed,
        metrics=Metrics(),
        now=now,
        faults=lambda: node.faults,
        sources=lambda: node.sources,
    )
    following = asyncio.create_task(mirror.run())
    await mirror.loaded.wait()
    node = ApiNode(web.Application(), kept, ended, mirror, jobs, keys, feed, cluster, config, faults)
    node.app = build(services)
    try:
        yield node
    finally:
        following.cancel()
        await asyncio.wait([following])
        await ended.close()
        await kept.close()


GROUP = 1_795_000_000_000_000_000
"""The group of the one execution that each served job has."""


async def _serve(directory: Path, port: int, jobs: int) -> None:
    store, history = SqliteStore(directory / "store.db"), SqliteHistory(directory / "history.db")
    async with api_node(directory, store=store, history=history) as node:
        for number in range(jobs):
            job = {
                "name": f"job{number}",
                "schedule": f"@every {number % 50 + 10}s",
                "executor": "shell",
                "executor_config": {"command": "date"},
                "tags": {"dkron_server": "true:1"},
            }
            await node.jobs.put(checked_job(job, now=0), by="test")
            run = Execution(f"job{number}", GROUP, 1, NODE, State.SUCCESS, started=GROUP, finished=GROUP + 1)
            if number % 2:
                await node.finish(run, b"some output\n")
            else:
                await node.fly(run)
        runner = web.AppRunner(node.app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(runner.addresses[0][1], flush=True)  # noqa: T201 - what the caller waits for
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
