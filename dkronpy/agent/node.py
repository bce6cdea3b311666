"""The composition root: builds one node's parts, starts them in order, watches over them, and stops them in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import uvloop
from aiohttp import web

from dkronpy import __version__, logs
from dkronpy.agent.identity import member_of
from dkronpy.agent.resources import StartError, check_port, lock, private_directory, reserve
from dkronpy.api import app as api
from dkronpy.api.services import Services
from dkronpy.catalog.feed import Feed
from dkronpy.catalog.jobs import Jobs
from dkronpy.catalog.keys import Keys
from dkronpy.catalog.mirror import Mirror
from dkronpy.config import ConfigError, Loaded, Settings, changes
from dkronpy.dispatch.commit import Deposed
from dkronpy.dispatch.lane import LocalLane
from dkronpy.dispatch.leader import Leader, Parts
from dkronpy.history.contract import HistoryError, Retention
from dkronpy.history.sqlite import SqliteHistory
from dkronpy.leadership.claim import claim
from dkronpy.metrics import Metrics
from dkronpy.model.member import Member
from dkronpy.rpc import server as rpc
from dkronpy.runner.node import Node
from dkronpy.store.contract import StoreError
from dkronpy.store.sqlite import SqliteStore

log = logging.getLogger(__name__)

HANDOVER = 5.0
"""Seconds a stopping leader has to finish its step."""
RECLAIM = 1.0
"""Seconds before another claim after one that failed."""
PRUNING, PRUNING_BATCH = 10.0, 0.02
"""Seconds between two looks for history that retention no longer keeps, and between two batches while there is some."""


def run(loaded: Loaded, *, reload: Callable[[], Loaded]) -> int:
    """Run the node until it is stopped by TERM, INT or `leave`; returns the exit code.

    `reload` reads the configuration again, for HUP."""
    settings = loaded.settings
    logs.configure(settings.log_level, settings.log_format, settings.node_name)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    gc.disable()  # until everything is loaded
    # The store's and the history's threads work in short steps between system calls: don't let each wait 5 ms for the
    # interpreter.
    sys.setswitchinterval(0.0005)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(settings, reload))
    except StartError as error:
        log.critical("%s", error)
        return 1


async def _run(settings: Settings, reload: Callable[[], Loaded]) -> int:
    async with AsyncExitStack() as stack:
        agent = Agent(settings, reload)
        await agent.start(stack)
        return await agent.serve()


class Agent:
    """One node."""

    def __init__(self, settings: Settings, reload: Callable[[], Loaded]) -> None:
        self.settings = settings
        self._reload = reload
        self._stop = asyncio.Event()
        self._stopping = False
        self._leader: Leader | None = None
        self._metrics = Metrics()
        self._feed = Feed()
        self._keys = Keys(settings.keyspace)
        data = settings.data_dir
        self._store = SqliteStore(data / "store.db")
        self._history = SqliteHistory(settings.history_file)
        self._mirror = Mirror(self._store, self._keys)
        self._jobs = Jobs(self._store, self._mirror, self._keys, time.time_ns)
        self._node = Node(settings.node_name, data / "spool", now=time.time_ns, monotonic=time.monotonic_ns)
        self._member = member_of(settings)

    # ---- the node as the API sees it

    def members(self) -> Sequence[Member]:
        return (self._member,)

    def leader(self) -> str | None:
        leading = self._leader
        return self.settings.node_name if leading is not None and leading.ready.is_set() else None

    def leading(self) -> bool:
        return self.leader() is not None

    async def leave(self) -> None:
        log.info("leaving the cluster", extra={"node": self.settings.node_name})
        self._stop.set()

    def faults(self) -> list[str]:
        """What is wrong with this node, in words."""
        found = [] if self._mirror.healthy else ["the store can't be read"]
        if self._node.fault is not None:
            found.append(self._node.fault)
        if self._leader is not None:
            found += self._leader.faults
        return found

    # ---- start

    async def start(self, stack: AsyncExitStack) -> None:
        """Open everything; what was opened is closed by the stack, last opened first. Raises StartError."""
        settings = self.settings
        if not settings.server:
            raise StartError("this release runs single servers: start the node with --server")
        private_directory(settings.data_dir)
        stack.callback(lock(settings.data_dir).close)
        for address, port, what in (
            (settings.bind_host, settings.bind_port, "gossip (bind-addr)"),
            (settings.bind_host, settings.rpc_port, "RPC (rpc-port)"),
            (settings.http_host, settings.http_port, "HTTP (http-addr)"),
        ):
            check_port(address, port, what)
        stack.callback(reserve(settings.bind_host, settings.bind_port))
        try:
            await self._store.open()
            stack.push_async_callback(self._store.close)
            await self._history.open()
            stack.push_async_callback(self._history.close)
            await self._node.open()
            stack.push_async_callback(self._node.close)
        except (StoreError, HistoryError, OSError) as error:
            raise StartError(f"the node can't open its data in {settings.data_dir}: {error}") from error

    async def serve(self) -> int:
        """Run until stopped. Returns the exit code: 0 after a stop that was asked for, 1 when a part failed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        failed = False
        try:
            async with asyncio.TaskGroup() as group:
                parts = (self._mirror.run, self._node.run, self._prune, self._watch_loop)
                tasks = [group.create_task(part(), name=part.__qualname__) for part in parts]
                await self._mirror.loaded.wait()
                leading = group.create_task(self._lead(), name="lead")
                async with AsyncExitStack() as listeners:
                    await self._listen(listeners)
                    log.info(
                        "dkron %s serves http://%s, data in %s",
                        __version__,
                        _shown(self.settings),
                        self.settings.data_dir,
                        extra={"node": self.settings.node_name},
                    )
                    await self._stop.wait()
                    await self._hand_over(leading)
                for task in tasks:
                    task.cancel()
        except* StartError as errors:
            raise errors.exceptions[0] from None
        except* Exception as errors:
            log.critical("a part of the node has failed; the node stops", exc_info=errors)
            failed = True
        if failed:
            return 1
        log.info("stopped", extra={"node": self.settings.node_name})
        return 0

    async def _listen(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        services = Services(
            settings=lambda: self.settings,
            mirror=self._mirror,
            jobs=self._jobs,
            history=self._history,
            cluster=self,
            feed=self._feed,
            metrics=self._metrics.registry,
            now=time.time_ns,
            faults=self.faults,
        )
        for app, host, port in (
            (api.build(services), settings.http_host, settings.http_port),
            (rpc.build(settings.node_name), settings.bind_host, settings.rpc_port),
        ):
            runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            try:
                await web.TCPSite(runner, host, port, backlog=1024).start()
            except OSError as error:
                raise StartError(f"can't listen on {host}:{port}: {error.strerror or error}") from error

    # ---- leadership

    async def _lead(self) -> None:
        parts = Parts(
            store=self._store,
            keys=self._keys,
            mirror=self._mirror,
            jobs=self._jobs,
            history=self._history,
            feed=self._feed,
            metrics=self._metrics,
            members=self.members,
            now=time.time_ns,
            rng=random.Random(),
        )
        while not self._stopping:
            try:
                epoch = await claim(self._store, self._keys, self.settings.node_name, time.time_ns)
            except StoreError as error:
                log.warning("the lead can't be claimed: %s", error)
                await asyncio.sleep(RECLAIM)
                continue
            leader = Leader(parts, epoch)
            self._leader = leader
            attaching = asyncio.create_task(self._attach(leader))
            self._metrics.leading.set(1)
            self._metrics.epoch.set(leader.epoch)
            try:
                await leader.run()
            except* Deposed as errors:
                log.warning("no longer leading: %s", errors.exceptions[0], extra={"epoch": leader.epoch})
            finally:
                self._leader = None
                self._metrics.leading.set(0)
                attaching.cancel()

    async def _attach(self, leader: Leader) -> None:
        await leader.ready.wait()
        _settle_memory()
        leader.attach(self._node.name, lambda attach, receive: LocalLane(self._node, attach, receive))

    async def _hand_over(self, leading: asyncio.Task[None]) -> None:
        """Stop deciding; the API goes on answering meanwhile."""
        self._stopping = True
        if self._leader is not None:
            self._leader.stop()
        done, _ = await asyncio.wait([leading], timeout=HANDOVER)
        if not done:
            log.warning("the leader did not finish its step in %.0f s; it is dropped", HANDOVER)
            leading.cancel()

    # ---- signals

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            log.warning("asked a second time to stop: ending at once")
            logging.shutdown()
            os._exit(1)
        log.info("stopping; runs go on", extra={"node": self.settings.node_name})
        self._stop.set()

    def _hang_up(self) -> None:
        """Take over what can change at run time, and say what can't."""
        try:
            new = self._reload()
        except ConfigError as error:
            log.error("the configuration is refused, the old one stays: %s", error)
            return
        reloadable, restart = changes(self.settings, new.settings)
        if restart:
            log.warning("these settings take effect at the next start: %s", ", ".join(sorted(restart)))
        taken = {"tags": new.settings.tags, "log_level": new.settings.log_level, "tokens": new.settings.tokens}
        self.settings = self.settings.model_copy(update=taken)
        self._member = member_of(self.settings)
        logs.set_level(self.settings.log_level)
        log.info("configuration read again; changed: %s", ", ".join(sorted(reloadable)) or "nothing")

    # ---- housekeeping

    async def _prune(self) -> None:
        retention = Retention(self.settings.retention_count, self.settings.retention_age)
        while True:
            more = False
            try:
                more = await self._history.prune(retention, now=time.time_ns())
            except HistoryError as error:
                log.warning("old history can't be deleted now: %s", error)
            await asyncio.sleep(PRUNING_BATCH if more else PRUNING)

    async def _watch_loop(self) -> None:
        """Measure how late the event loop is, and count this node's runs."""
        loop = asyncio.get_running_loop()
        while True:
            worst = 0.0
            for _ in range(10):
                before = loop.time()
                await asyncio.sleep(0.1)
                worst = max(worst, loop.time() - before - 0.1)
            self._metrics.loop_lag.set(worst)
            self._metrics.running.set(self._node.running)


def _shown(settings: Settings) -> str:
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return f"{host}:{settings.http_port}"


def _settle_memory() -> None:
    """Keep what was loaded out of the collector's way: 100,000 jobs would cost it 75 ms a pass."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()
