"""What a server has beyond a node that only runs jobs: store, history, mirror, leadership, the HTTP API."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import msgspec
from aiohttp import web

from dkronpy.agent.stores import make_history, make_store, unopened
from dkronpy.agent.term import LeaderTerm
from dkronpy.api import app as api
from dkronpy.api.services import Services
from dkronpy.catalog.backfills import Backfills
from dkronpy.catalog.feed import Feed
from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import Keys
from dkronpy.catalog.links import Links
from dkronpy.catalog.mirror import Held, Mirror
from dkronpy.catalog.requests import Requests
from dkronpy.catalog.sources import Sources
from dkronpy.config import Backend, Settings
from dkronpy.dispatch.leader import Parts
from dkronpy.dsari.directory import JobDirectory
from dkronpy.dsari.trigger_claims import TriggerClaims
from dkronpy.dsari.trigger_files import TriggerFiles
from dkronpy.history.contract import HistoryError, Retention
from dkronpy.leadership.claims import LEASE, Claims
from dkronpy.leadership.clock_lanes import compare
from dkronpy.leadership.clocks import Clocks
from dkronpy.leadership.lanes import ElectionLanes
from dkronpy.leadership.leadership import Leadership
from dkronpy.metrics import Metrics
from dkronpy.metrics.source import SourceGauges
from dkronpy.model.job import Kept
from dkronpy.model.member import Member, MemberStatus, Peer
from dkronpy.model.records import Epoch
from dkronpy.rpc.auth import Keys as RpcKeys
from dkronpy.rpc.dialer import Dialer
from dkronpy.runner.node import Node
from dkronpy.store.contract import StoreError

log = logging.getLogger(__name__)

NOTHING_OWN = Kept()

PRUNING, PRUNING_BATCH = 10.0, 0.02
"""Seconds between two looks for history that retention no longer keeps, and between two batches while there is some."""


class Server:
    """One server's parts. `members` gives all members known, `changed` is set when they may have changed;
    `rpc_keys` gives the cluster's keys."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        node: Node,
        members: Callable[[], Sequence[Member]],
        changed: asyncio.Event,
        metrics: Metrics,
        rpc_keys: RpcKeys,
    ) -> None:
        self._settings = settings
        self._node = node
        self._members = members
        self._changed = changed
        self._metrics = metrics
        self._rpc_keys = rpc_keys
        at_start = settings()
        self._keys = Keys(at_start.keyspace)
        self._store = make_store(at_start)
        self._history = make_history(at_start, self._store)
        self.mirror = Mirror(self._store, self._keys)
        self._clocks = Clocks()
        self._jobs = Jobs(self._store, self.mirror, self._keys, self._cluster_time)
        self._requests = Requests(self._store, self.mirror, self._keys, self._cluster_time)
        self._links = Links(self._store, self.mirror, self._keys, self._requests, self._cluster_time)
        self.job_directory: JobDirectory | None = None
        if at_start.job_dir is not None:
            sources = Sources(self._store, self.mirror, self._keys, time.time_ns)
            directory = JobDirectory(
                at_start.job_dir.absolute(), at_start.node_name, self.mirror, self._jobs, sources, self._cluster_time
            )
            metrics.registry.register(SourceGauges(lambda: directory.report))
            self.job_directory = directory
        self._feed = Feed()
        self._trigger_files = TriggerFiles(
            TriggerClaims(at_start.trigger_dir),
            at_start.node_name,
            self._store,
            self.mirror,
            self._keys,
            self._requests,
            self._cluster_time,
        )
        self._rng = random.Random()
        self._claims = Claims(time.monotonic(), self._rng)
        self._shared = at_start.backend is not Backend.EMBEDDED
        self._term: LeaderTerm | None = None
        self._dialer: Dialer | None = None
        self.leadership: Leadership

    async def open(self, stack: AsyncExitStack, dialer: Dialer) -> None:
        """Open store and history. Raises StartError."""
        self._dialer = dialer
        settings = self._settings()
        try:
            await self._store.open()
            stack.push_async_callback(self._store.close)
            await self._history.open()
            stack.push_async_callback(self._history.close)
        except (StoreError, HistoryError, OSError) as error:
            raise unopened(settings, error) from error
        lanes = None
        if self._shared:
            lanes = ElectionLanes(
                dialer, settings.node_name, self._rpc_keys, lambda peer, up: self.leadership.lane_changed(peer, up)
            )
        self.leadership = Leadership(
            settings.node_name,
            self._store,
            self._keys,
            self.mirror,
            lanes=lanes,
            servers=self._servers,
            expect=settings.bootstrap_expect,
            unable=self._unable,
            begin=self._begin,
            claims=self._claims,
        )

    @property
    def shared(self) -> bool:
        """Whether several servers may use the store."""
        return self._shared

    def _servers(self) -> list[Member]:
        """The servers that take part in elections: also those that failed, which may come back."""
        here = (MemberStatus.ALIVE, MemberStatus.FAILED)
        return [
            m for m in self._members() if m.tags.get("server") == "true" and "rpc_addr" in m.tags and m.status in here
        ]

    def _unable(self) -> str | None:
        if not self.mirror.healthy:
            return "the store can't be read"
        return self._clocks.fault(time.monotonic())

    def _begin(self, epoch: Held[Epoch]) -> LeaderTerm:
        assert self._dialer is not None, "the server is open"
        parts = Parts(
            store=self._store,
            keys=self._keys,
            mirror=self.mirror,
            jobs=self._jobs,
            history=self._history,
            feed=self._feed,
            metrics=self._metrics,
            members=self._members,
            now=time.time_ns,
            rng=self._rng,
            lost_after=self._settings().lost_after,
            holds=lambda: self.leadership.holds,
        )
        self._term = LeaderTerm(parts, epoch, self._node, self._dialer, self._rpc_keys, self._changed)
        return self._term

    # ---- as the API sees it

    def leader(self) -> str | None:
        """The node that leads, as far as this server knows."""
        if self.leading():
            return self._settings().node_name
        held = self.mirror.epoch
        fresh = self._shared and self._claims.fresh(time.monotonic(), LEASE)
        return held.value.node if held is not None and fresh and held.value.node != self._settings().node_name else None

    def leading(self) -> bool:
        """Whether this server leads and has its board loaded."""
        return self.leadership.epoch > 0 and self._term is not None and self._term.leader.ready.is_set()

    def peers(self) -> list[Peer]:
        """The servers that elect a leader among them, as this one sees them."""
        return self.leadership.peers()

    def faults(self) -> list[str]:
        """What is wrong with this server, in words."""
        unable = self._unable()
        found = [] if unable is None else [unable]
        if self.leading() and self._term is not None:
            found += self._term.leader.faults
        return found

    def api(self, cluster: object, faults: Callable[[], Sequence[str]]) -> web.Application:
        """The application of the HTTP port."""
        return api.build(
            Services(
                settings=self._settings,
                mirror=self.mirror,
                jobs=self._jobs,
                requests=self._requests,
                backfills=Backfills(self._store, self.mirror, self._keys, self._cluster_time),
                links=self._links,
                history=self._history,
                cluster=cluster,  # pyright: ignore[reportArgumentType]
                feed=self._feed,
                metrics=self._metrics,
                now=time.time_ns,
                faults=faults,
                sources=lambda: [] if self.job_directory is None else [self.job_directory.report],
            )
        )

    # ---- jobs from files

    def directories(self) -> list[Callable[[], Coroutine[None, None, None]]]:
        """What keeps the cluster's jobs as files say; each runs until cancelled."""
        return [] if self.job_directory is None else [self.job_directory.run]

    def reload(self) -> None:
        """Take the files at once."""
        if self.job_directory is not None:
            self.job_directory.reload()

    # ---- trigger files

    def look_for_triggers(self) -> None:
        """Look for trigger files at once."""
        self._trigger_files.wake()

    async def follow_triggers(self) -> None:
        """Carry out trigger files, until cancelled."""
        await self.mirror.loaded.wait()
        await self._trigger_files.run()

    # ---- housekeeping

    def _cluster_time(self) -> int:
        """What writes bear (ns): the time that the servers agree on, for a definition holds from when it was
        written."""
        return time.time_ns() - self._clocks.off(time.monotonic())

    async def compare_clocks(self) -> None:
        """Compare this server's clock with the others', until cancelled."""
        assert self._dialer is not None, "the server is open"
        name, tell = self._settings().node_name, self._metrics.clock_offset.set
        await compare(self._dialer, name, self._rpc_keys, self._servers, self._clocks, tell)

    async def prune(self) -> None:
        """Delete what retention no longer keeps, while this server leads, until cancelled."""
        settings = self._settings()
        retention = Retention(
            settings.retention_count,
            settings.retention_age,
            settings.retention_size,
            settings.retention_failed_count,
            settings.retention_failed_age,
        )
        own: dict[str, Retention] = {}
        more = False
        while True:
            try:
                if not self.leading():
                    more = False
                else:
                    if not more:
                        own = self._own_retentions(retention)
                    more = await self._history.prune(retention, own=own, now=time.time_ns())
            except HistoryError as error:
                more = False
                log.warning("old history can't be deleted now: %s", error)
            await asyncio.sleep(PRUNING_BATCH if more else PRUNING)

    def _own_retentions(self, default: Retention) -> dict[str, Retention]:
        """Of the jobs that say themselves what is kept of them; what they leave out is as in `default`."""
        found: dict[str, Retention] = {}
        for name, held in self.mirror.jobs.items():
            if (kept := held.value.retention) != NOTHING_OWN:
                given = {field: value for field, value in msgspec.structs.asdict(kept).items() if value is not None}
                found[name] = replace(default, **given)
        return found
