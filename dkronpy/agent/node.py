"""One node of any kind: its runner, its gossip, its RPC port, and, on a server, what `server.py` adds."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import uvloop
from aiohttp import ClientSession, web

from dkronpy import __version__, logs
from dkronpy.agent.identity import member_of
from dkronpy.agent.listening import listen
from dkronpy.agent.resources import StartError, check_port, lock, private_directory
from dkronpy.agent.server import Server
from dkronpy.agent.sinks import statsd_sinks
from dkronpy.agent.supervisor import Supervisor
from dkronpy.api.services import Keyring
from dkronpy.catalog.mirror import ForeignValue
from dkronpy.config import ConfigError, Loaded, Settings, changes
from dkronpy.dispatch import remote
from dkronpy.gossip.codec.messages import Address
from dkronpy.gossip.errors import GossipError
from dkronpy.gossip.gossip import Gossip, GossipSettings
from dkronpy.gossip.profile import PROFILES
from dkronpy.leadership import clock_lanes, lanes
from dkronpy.metrics import Metrics, statsd
from dkronpy.model.member import Member, Peer
from dkronpy.rpc import server as rpc
from dkronpy.rpc import tls
from dkronpy.rpc.dialer import Dialer
from dkronpy.runner.launch import RunnerError
from dkronpy.runner.node import Node

log = logging.getLogger(__name__)

HANDOVER = 5.0
"""Seconds a stopping server has to finish its step and to see another one lead."""
GOODBYE = 3.0
"""Seconds for telling the other members that this one leaves."""


def run(loaded: Loaded, *, reload: Callable[[], Loaded], hung_up: Callable[[], bool]) -> int:
    """Run the node until it is stopped by TERM, INT or `leave`; returns the exit code.

    `reload` reads the configuration again, for HUP; `hung_up` tells whether one came before the node could hear it."""
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
            return runner.run(_run(settings, reload, hung_up))
    except StartError as error:
        log.critical("%s", error)
        return 1


async def _run(settings: Settings, reload: Callable[[], Loaded], hung_up: Callable[[], bool]) -> int:
    async with AsyncExitStack() as stack:
        agent = Agent(settings, reload, hung_up)
        await agent.start(stack)
        return await agent.serve()


class Agent:
    """One node."""

    def __init__(self, settings: Settings, reload: Callable[[], Loaded], hung_up: Callable[[], bool]) -> None:
        self.settings = settings
        self._reload = reload
        self._hung_up = hung_up
        self._supervisor = Supervisor(os.environ)
        self._stop = asyncio.Event()
        self._leaving = False
        self._tls: tls.Tls | None = None
        self._metrics = Metrics(
            settings.metrics_quantiles, dsari_names=settings.metrics_dsari_names, sinks=statsd_sinks(settings)
        )
        self._changed = asyncio.Event()
        self._node = Node(
            settings.node_name,
            settings.data_dir / "spool",
            now=time.time_ns,
            monotonic=time.monotonic_ns,
            trigger_dir=settings.trigger_dir.absolute(),
        )
        self._gossip = Gossip(
            GossipSettings(
                name=settings.node_name,
                bind=Address(settings.bind_host, settings.bind_port),
                advertise=Address(settings.advertise_host, settings.advertise_port),
                directory=settings.data_dir / "gossip",
                tags=member_of(settings).tags,
                profile=PROFILES[settings.profile],
                key=settings.encrypt,
            ),
            on_change=self._changed.set,
        )
        self._server = None
        if settings.server:
            self._server = Server(
                lambda: self.settings, self._node, self._nodes, self._changed, self._metrics, self._gossip.keys
            )

    # ---- the node as the API sees it

    def members(self) -> Sequence[Member]:
        """Every member known, also those that are no nodes of ours."""
        return self._gossip.members()

    def _nodes(self) -> Sequence[Member]:
        """The members that run jobs: a bare serf member never does."""
        return [m for m in self._gossip.members() if "dkron_version" in m.tags and "rpc_addr" in m.tags]

    def leader(self) -> str | None:
        return None if self._server is None else self._server.leader()

    def leading(self) -> bool:
        return self._server is not None and self._server.leading()

    def peers(self) -> Sequence[Peer]:
        return [] if self._server is None else self._server.peers()

    def keyring(self) -> Keyring | None:
        return None if self.settings.encrypt is None else self._gossip

    async def leave(self) -> None:
        """Leave the cluster for good, and stop."""
        self._leaving = True
        self._stop.set()

    def faults(self) -> list[str]:
        """What is wrong with this node, in words."""
        found = [] if self._node.fault is None else [self._node.fault]
        return found if self._server is None else found + self._server.faults()

    # ---- start

    async def start(self, stack: AsyncExitStack) -> None:
        """Open everything; what was opened is closed by the stack, last opened first. Raises StartError."""
        settings = self.settings
        for sink in self._metrics.sinks:
            stack.callback(sink.close)
        private_directory(settings.data_dir)
        stack.callback(lock(settings.data_dir).close)
        ports = [(settings.bind_host, settings.rpc_port, "RPC (rpc-port)")]
        if self._server is not None:
            ports.append((settings.http_host, settings.http_port, "HTTP (http-addr)"))
        for host, port, what in ports:
            check_port(host, port, what)
        if settings.rpc_cert_file and settings.rpc_key_file and settings.rpc_ca_file:
            try:
                self._tls = tls.load(settings.rpc_cert_file, settings.rpc_key_file, settings.rpc_ca_file)
            except tls.BadCertificate as error:
                raise StartError(str(error)) from error
        dialer = Dialer(await stack.enter_async_context(ClientSession()), self._tls)
        try:
            await self._gossip.start()
        except GossipError as error:
            raise StartError(f"{error}; choose another --bind-addr if it is taken") from error
        stack.callback(self._gossip.close)
        if self._server is not None:
            await self._server.open(stack, dialer)
        try:
            await self._node.open()
        except (RunnerError, OSError) as error:
            raise StartError(f"the node can't start its runner in {settings.data_dir}: {error}") from error
        stack.push_async_callback(self._node.close)

    async def serve(self) -> int:
        """Run until stopped. Returns the exit code: 0 after a stop that was asked for, 1 when a part failed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGUSR1, self._look_for_triggers)
        if self._hung_up():
            self._hang_up()
        failed = False
        try:
            async with asyncio.TaskGroup() as group:
                parts = [self._gossip.run, self._node.run, self._watch_loop, self._join, self._report]
                if self._server is not None:
                    parts += [
                        self._server.mirror.run,
                        self._server.prune,
                        self._server.follow_triggers,
                        self._server.compare_clocks,
                        *self._server.directories(),
                        self._watch_embedded,
                    ]
                tasks = [group.create_task(part(), name=part.__qualname__) for part in parts]
                async with AsyncExitStack() as listeners:
                    await self._serve(group, listeners)
                if self._leaving:
                    await self._say_goodbye()
                for task in tasks:
                    task.cancel()
        except* (StartError, ForeignValue) as errors:
            for error in errors.exceptions:
                log.critical("%s", error)
            failed = True
        except* Exception as errors:
            log.critical("a part of the node has failed; the node stops", exc_info=errors)
            failed = True
        if failed:
            return 1
        log.info("stopped", extra={"node": self.settings.node_name})
        return 0

    async def _serve(self, group: asyncio.TaskGroup, listeners: AsyncExitStack) -> None:
        settings = self.settings
        await listen(listeners, self._rpc(), settings.bind_host, settings.rpc_port, self._tls and self._tls.server)
        if self._server is None:
            log.info("dkron %s runs jobs", __version__, extra={"node": settings.node_name})
            await self._until_stopped()
        else:
            await self._serve_cluster(self._server, group, listeners)
        self._node.detach(self._node.session)
        await self._node.end_runs()

    async def _serve_cluster(self, server: Server, group: asyncio.TaskGroup, listeners: AsyncExitStack) -> None:
        settings = self.settings
        loaded = group.create_task(server.mirror.loaded.wait(), name="load")
        stopped = group.create_task(self._stop.wait(), name="stop")
        await asyncio.wait([loaded, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not loaded.done():
            loaded.cancel()
            self._supervisor.stopping()
            return
        leading = group.create_task(server.leadership.run(), name="leadership")
        await listen(listeners, server.api(self, self.faults), settings.http_host, settings.http_port)
        extra = {"node": settings.node_name}
        log.info(
            "dkron %s serves http://%s, data in %s", __version__, settings.http_addr, settings.data_dir, extra=extra
        )
        await self._until_stopped()
        server.leadership.stop()
        done, _ = await asyncio.wait([leading], timeout=HANDOVER)
        if not done:
            log.warning("the lead could not be handed over in %.0f s", HANDOVER)
            leading.cancel()

    async def _until_stopped(self) -> None:
        self._supervisor.ready()
        await self._stop.wait()
        self._supervisor.stopping()

    def _rpc(self) -> web.Application:
        keys, name = self._gossip.keys, self.settings.node_name
        app = rpc.build(name)
        app.router.add_get(remote.PATH, remote.door(self._node, keys))
        if self._server is not None:
            app.router.add_get(clock_lanes.PATH, clock_lanes.door(name, keys))
            app.router.add_get(lanes.PATH, lanes.door(name, keys, self._server.leadership.received))
        return app

    # ---- the cluster

    async def _join(self) -> None:
        settings = self.settings
        if settings.join:
            await self._gossip.join([(address.host, address.port) for address in settings.join])
        if settings.retry_join:
            addresses = [(address.host, address.port) for address in settings.retry_join]
            try:
                await self._gossip.retry_join(addresses, settings.retry_interval, settings.retry_max)
            except GossipError as error:
                raise StartError(str(error)) from error

    async def _watch_embedded(self) -> None:
        """An embedded store serves one server: one that joins another refuses to be a second; the one that is there
        goes on."""
        if self._server is None or self._server.shared:
            return
        told: list[str] = []
        while True:
            others = [m.name for m in self._nodes() if m.tags.get("server") == "true" and m.alive]
            others = [name for name in others if name != self.settings.node_name]
            refusal = (
                f"{', '.join(others)} is a server too, but the embedded store serves one: give every server the same"
                " shared store (--backend etcd --backend-machine HOST:2379), or start the new node without --server"
            )
            if others and (self.settings.join or self.settings.retry_join):
                raise StartError(refusal)
            if others and others != told:
                log.error("%s", refusal, extra={"node": self.settings.node_name})
            told = others
            await asyncio.sleep(1)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE):
                await self._gossip.leave()
        except TimeoutError:
            log.warning("the other members may take this node for failed: there was no time to say goodbye")

    # ---- signals

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            log.warning("asked a second time to stop: ending at once")
            logging.shutdown()
            os._exit(1)
        log.info("stopping; runs go on", extra={"node": self.settings.node_name})
        self._stop.set()

    def _look_for_triggers(self) -> None:
        """A node that is no server only lives through the signal, whose default is the end."""
        if self._server is not None:
            self._server.look_for_triggers()

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
        logs.set_level(self.settings.log_level)
        try:
            self._gossip.set_tags(member_of(self.settings).tags)
        except GossipError as error:
            log.error("the tags are refused, the old ones stay: %s", error)
        if self._server is not None:
            self._server.reload()
        log.info("configuration read again; changed: %s", ", ".join(sorted(reloadable)) or "nothing")

    # ---- housekeeping

    async def _report(self) -> None:
        await statsd.report(self._metrics.sinks, self._metrics.registry)

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
