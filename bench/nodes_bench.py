"""What many jobs and nodes cost the leader: its processor and its memory.

    python bench/nodes_bench.py [--jobs 10000] [--nodes 50] [--seconds 60]

Three servers on etcd, and nodes that all live in this process: real gossip and real lanes, but what they are ordered
to run they report as done at once. Each job runs on one of them every five minutes, and the jobs are spread over that
time. Beside it: the same leader with the nodes and without a job.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from agent import cpu_seconds, resident_mb
from aiohttp import web
from cluster import cluster, raw_limits

from dkronpy import __version__
from dkronpy.dispatch import remote
from dkronpy.gossip.codec.messages import Address
from dkronpy.gossip.profile import LAN
from dkronpy.model.execution import State
from dkronpy.model.lane import Ask, Attach, Inventory, Orders, ToLeader, ToNode
from dkronpy.model.run import Ended
from tests.support.cluster import Cluster, ClusterNode
from tests.support.processes import HOST, free_port, until
from tests.support.serf import our_node

PERIOD = 300
"""Seconds between two fires of a job."""


class SimulatedNode:
    """The node's end of a lane, without a runner: every run is over as soon as it is ordered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.session = ""
        self._send: Callable[[ToLeader], None] = lambda _: None

    def attach(self, message: Attach, send: Callable[[ToLeader], None], _: Callable[[], None]) -> None:
        self.session, self._send = message.session, send
        send(Inventory(self.name, ()))
        send(Ask(time.monotonic_ns()))

    def detach(self, session: str) -> None:
        if session == self.session:
            self.session = ""

    def receive(self, message: ToNode) -> None:
        if isinstance(message, Orders):
            for run in message.runs:
                now = time.time_ns()
                self._send(Ended(run.key, State.SUCCESS, now, now, 0))

    async def ask(self) -> None:
        """Ask for start leases, as nodes do."""
        while True:
            await asyncio.sleep(1)
            if self.session:
                self._send(Ask(time.monotonic_ns()))


async def serve(stack: AsyncExitStack, folder: Path, name: str, join: Sequence[Address]) -> None:
    node, port = SimulatedNode(name), free_port()
    app = web.Application()
    app.router.add_get(remote.PATH, remote.door(node, list))  # pyright: ignore[reportArgumentType]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, HOST, port).start()
    stack.callback(asyncio.create_task(node.ask()).cancel)
    tags = {"dkron_version": __version__, "rpc_addr": f"{HOST}:{port}", "role": "bench", "server": "false"}
    gossip = await stack.enter_async_context(our_node(folder, name, tags=tags, profile=LAN))
    assert await gossip.gossip.join(join) > 0


def create(running: Cluster, count: int) -> None:
    def one(index: int) -> None:
        job = {
            "name": f"job-{index:05}",
            "schedule": f"{index % 60} {index // 60 % 5}/5 * * * *",
            "tags": {"role": "bench:1"},
            "executor": "shell",
            "executor_config": {"command": "true"},
        }
        running.servers[index % len(running.servers)].call("POST", "/v1/jobs", job, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(count)))


def measure(leader: ClusterNode, seconds: int) -> str:
    before, begun = cpu_seconds(leader.pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_seconds(leader.pid) - before) / (time.monotonic() - begun)
    return f"the leader takes {share:.1%} of a processor and {resident_mb(leader.pid):.0f} MB"


async def bench(running: Cluster, folder: Path, jobs: int, nodes: int, seconds: int) -> None:
    leader = running.wait_for_leader()
    join = [Address(HOST, server.gossip_port) for server in running.servers]
    async with AsyncExitStack() as stack:
        for number in range(nodes):
            await serve(stack, folder, f"node-{number:03}", join)

        def work() -> None:
            until(lambda: len(leader.call("GET", "/v1/members")) == nodes + len(running.servers), 60, "all have joined")
            print(f"{nodes} nodes, no job: {measure(leader, seconds)}", flush=True)
            begun = time.monotonic()
            create(running, jobs)
            print(f"{jobs} jobs created in {time.monotonic() - begun:.0f} s", flush=True)
            time.sleep(5)
            assert leader.leads()
            since = int(time.time())
            print(f"{nodes} nodes, {jobs} jobs, {jobs / PERIOD:.0f} runs/s: {measure(leader, seconds)}", flush=True)
            text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since))
            done = [execution["state"] for execution in leader.executions(f"since={text}")]
            print(f"{len(done)} runs recorded in {seconds} s, {done.count('success')} as a success", flush=True)

        await asyncio.to_thread(work)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--nodes", type=int, default=50)
    options.add_argument("--seconds", type=int, default=60)
    given = options.parse_args()
    print(raw_limits(), flush=True)
    with tempfile.TemporaryDirectory(prefix="dkron-bench-") as folder, cluster() as running:
        asyncio.run(bench(running, Path(folder), given.jobs, given.nodes, given.seconds))


if __name__ == "__main__":
    main()
