"""Several servers on one real store, and the file that witnesses what ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from dkronpy.model.execution import State
from dkronpy.model.times import parse_rfc3339, rfc3339
from tests.support.etcd import Etcd
from tests.support.machine import Machine
from tests.support.network import Network
from tests.support.processes import HOST, ROOT, SECOND, free_port, until
from tests.support.servers import StoreServer

LATEST = 120.0
"""Seconds after which a fire that has not started is missed."""


class ClusterNode:
    """One node of a cluster, with its own directory and ports, and with its own network where one is given."""

    def __init__(
        self, folder: Path, name: str, options: Sequence[str], *, server: bool = True, network: Network | None = None
    ) -> None:
        self.name = name
        self.host = HOST if network is None else network.add(name)
        self._prefix = () if network is None else network.inside(name)
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.port, self.rpc_port, self.gossip_port = free_port(), free_port(), free_port()
        self.server = server
        self.module = ["dkronpy"]
        """What runs as the agent, with its first arguments."""
        self._options = list(options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the node was started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def gossip_addr(self) -> str:
        return f"{self.host}:{self.gossip_port}"

    def start(self, join: Sequence[str]) -> None:
        """Start the process; it joins whatever answers on these gossip addresses."""
        command = [
            *self._prefix,
            sys.executable,
            "-m",
            *self.module,
            "agent",
            f"--node-name={self.name}",
            f"--data-dir={self.folder / 'data'}",
        ]
        command += [f"--bind-addr={self.gossip_addr}", f"--rpc-port={self.rpc_port}", "--profile=local"]
        command += [f"--retry-join={address}" for address in join] + (["--retry-interval=1s"] if join else [])
        command += self._options
        if self.server:
            command += ["--server", f"--http-addr={self.host}:{self.port}"]
        if self.host != HOST:
            command += ["--allow-unencrypted", "--allow-unauthenticated"][: 1 + self.server]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DKRON")}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        if self.alive:
            self.signal(signal.SIGKILL)
            assert self._process is not None
            self._process.wait()

    def wait(self, within: float) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        return self._process.wait(within)

    def logged(self) -> str:
        """The end of its log."""
        return (self.folder / "log").read_bytes()[-6000:].decode(errors="replace")

    def clean_up(self) -> None:
        """End the node, its runner and what it runs."""
        if self.alive:
            self.signal(signal.SIGCONT)
        self.kill()
        spool = str(self.folder / "data" / "spool")
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                except OSError:
                    continue
                if "dkronpy.runner" in arguments and spool in arguments:
                    os.kill(int(entry.name), signal.SIGKILL)

    def call(self, method: str, path: str, body: object = None, timeout: float = 30) -> Any:
        """One request; a write again where the server says that nothing was written and when to try again, as it does
        while its store is too slow. Raises OSError when it is not answered or refused."""
        deadline = time.monotonic() + LATEST
        while True:
            try:
                return self._ask(method, path, body, timeout)[0]
            except urllib.error.HTTPError as error:
                again = error.headers["Retry-After"] if error.code == 503 and method != "GET" else None
                if again is None or time.monotonic() > deadline:
                    raise
                error.close()
                time.sleep(int(again))

    def _ask(self, method: str, path: str, body: object = None, timeout: float = 30) -> tuple[Any, Mapping[str, str]]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.host}:{self.port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null"), answer.headers

    def executions(self, query: str) -> Iterator[Any]:
        """All executions that match, newest first, page by page and without their output."""
        cursor = ""
        while True:
            found, headers = self._ask("GET", f"/v1/executions?limit=500&output_size_limit=0&{query}{cursor}")
            yield from found
            following = headers.get("X-Next-Cursor")
            if following is None:
                return
            cursor = f"&cursor={following}"

    def knows_leader(self) -> bool:
        """Whether it serves, quickly, and knows who leads: one look, to be repeated."""
        try:
            return bool(self.call("GET", "/health", timeout=1)["leader_name"])
        except OSError:
            return False

    def leads(self) -> bool:
        """Whether it says, quickly, that it leads: one look, to be repeated."""
        try:
            self.call("GET", "/v1/isleader", timeout=1)
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Verdict:
    """What the witness file tells, by (job, second): the longest silence in seconds between any two starts."""

    missed: list[tuple[str, int]]
    doubled: list[tuple[str, int]]
    runs: int
    silence: float
    machine: Machine = field(default_factory=Machine)
    """How slow the machine was meanwhile."""

    def silent_at_most(self, seconds: float) -> bool:
        """Whether no silence was longer than this, which is meant for a machine that has nothing else to do."""
        return self.silence <= self.machine.allowed(seconds)


class Cluster:
    """Servers and agents on one store; ended, with all their processes, by `clean_up`."""

    def __init__(
        self,
        folder: Path,
        *,
        servers: int = 3,
        agents: int = 0,
        options: Sequence[str] = (),
        network: Network | None = None,
        store: type[StoreServer] = Etcd,
    ) -> None:
        """`options` are of every node; in a `network` each node has its own address."""
        self.folder = folder
        self.network = network
        (folder / "store").mkdir(parents=True)
        self.store = store(folder / "store", host=HOST if network is None else network.address).start()
        shared = [*self.store.options, f"--bootstrap-expect={servers}"]
        names = [f"s{i}" for i in range(1, servers + 1)]
        self.servers = [ClusterNode(folder, name, [*shared, *options], network=network) for name in names]
        names = [f"a{i}" for i in range(1, agents + 1)]
        self.agents = [ClusterNode(folder, name, options, server=False, network=network) for name in names]
        self.witness = folder / "witness"
        self.witness.touch()

    @property
    def nodes(self) -> list[ClusterNode]:
        return [*self.servers, *self.agents]

    def start(self) -> None:
        """Start all that do not run, and wait until one leads and knows them all."""
        for node in self.nodes:
            if not node.alive:
                self.launch(node)
        for server in self.servers:
            until(lambda node=server: self._knows_all(node), 300, f"{server.name} knows all members and a leader")

    def launch(self, node: ClusterNode) -> None:
        """Start one node, which joins the others."""
        node.start([other.gossip_addr for other in self.nodes if other is not node])

    def _knows_all(self, node: ClusterNode) -> bool:
        try:
            alive = {m["Name"] for m in node.call("GET", "/v1/members", timeout=5) if m["Status"] == 1}
        except OSError:
            return False
        return node.knows_leader() and alive >= {other.name for other in self.nodes}

    def leader(self) -> ClusterNode | None:
        """The server that says that it leads: one look, to be repeated."""
        return next((server for server in self.servers if server.alive and server.leads()), None)

    def wait_for_leader(self, within: float = 60) -> ClusterNode:
        return until(self.leader, within, "a server leads")

    def follower(self) -> ClusterNode:
        """A living server that does not lead."""
        leader = self.wait_for_leader()
        return next(server for server in self.servers if server.alive and server is not leader)

    def any(self) -> ClusterNode:
        return next(server for server in self.servers if server.alive)

    @property
    def note(self) -> str:
        """The command by which a run appends a line to the witness file."""
        return f"echo $DKRON_JOB_NAME $DKRON_FIRE_TIME $(date +%s.%N) $DKRON_EXECUTION_ID >> {self.witness}"

    def add_jobs(self, count: int = 10, tags: Sequence[Mapping[str, str]] = ({"server": "true:1"},)) -> None:
        """Jobs that fire each second and append a line to the witness file; these tags in turn say where they run."""
        for index in range(count):
            self.any().call(
                "POST",
                "/v1/jobs",
                {
                    "name": f"job{index}",
                    "schedule": "* * * * * *",
                    "tags": dict(tags[index % len(tags)]),
                    "executor": "shell",
                    "executor_config": {"shell": "true", "command": self.note},
                },
            )

    def lines(self, since: float, until_: float) -> Iterator[tuple[str, int, float, str]]:
        """What the witness file tells of fires in [since, until): job, fire time (s), start (s), execution."""
        for line in self.witness.read_text().splitlines():
            job, fire, at, execution = line.split()
            second = parse_rfc3339(fire) // SECOND
            if since <= second < until_:
                yield job, second, float(at), execution

    def judge(self, since: float, until_: float, jobs: int = 10) -> Verdict:
        """Compare the witness file with the fires due in [since, until) (whole seconds since the epoch). What has yet
        to start, on a slow machine or since a leader was lost, is waited for: missed is what does not come."""
        due = {(f"job{index}", second) for index in range(jobs) for second in range(int(since), int(until_))}
        deadline = time.monotonic() + LATEST
        while True:
            lines = list(self.lines(since, until_))
            seen = Counter((job, second) for job, second, _, _ in lines)
            missed = sorted(due - set(seen))
            if not missed or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        starts = sorted(at for _, _, at, _ in lines)
        silence = max((b - a for a, b in pairwise(starts)), default=float("inf"))
        doubled = [key for key, count in seen.items() if count > 1]
        return Verdict(missed, doubled, len(lines), silence)

    def disagreements(self, since: int, until_: int, within: float = 240) -> list[str]:
        """Where the history and the witness file differ on fires in [since, until), run by run, once all are over and
        what has yet to start has had its time."""
        span = f"since={rfc3339(since * SECOND)}&until={rfc3339(until_ * SECOND - 1)}"
        deadline = time.monotonic() + within
        silent = "it told of none"
        while True:
            try:
                recorded = list(self.any().executions(span))
            except OSError as error:
                recorded, silent = [], str(error)
            ran = Counter((e["job_name"], e["id"]) for e in recorded if State(e["state"]).ran and e["started_at"])
            witnessed = Counter((job, execution) for job, _, _, execution in self.lines(since, until_))
            found = [f"{e['job_name']} {e['id']}: {e['state']}" for e in recorded if not State(e["state"]).final]
            found += [
                f"{' '.join(key)}: {witnessed[key]} in the witness file, {ran[key]} in the history"
                for key in sorted(witnessed.keys() | ran.keys())
                if (witnessed[key], ran[key]) != (1, 1)
            ]
            if (recorded and not found) or time.monotonic() > deadline:
                assert recorded, f"the history tells of no run between {since} and {until_}: {silent}"
                return found
            time.sleep(0.1)

    def clean_up(self) -> None:
        for node in self.nodes:
            node.clean_up()
        self.store.kill()


def unreachable(error: BaseException) -> bool:
    """Whether a call failed because nobody answered."""
    return isinstance(error, urllib.error.URLError | ConnectionError | TimeoutError)
