"""Several servers on one real etcd, and the file that witnesses what ran."""

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
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.etcd import Etcd
from tests.support.processes import HOST, ROOT, free_port, until


class ClusterNode:
    """One node of a cluster, with its own directory and ports."""

    def __init__(self, folder: Path, name: str, options: list[str], *, server: bool = True) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.port, self.rpc_port, self.gossip_port = free_port(), free_port(), free_port()
        self.server = server
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the node was started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, join: list[int]) -> None:
        """Start the process; it joins whatever answers on these gossip ports."""
        command = [
            sys.executable,
            "-m",
            "dkronpy",
            "agent",
            f"--node-name={self.name}",
            f"--data-dir={self.folder / 'data'}",
        ]
        command += [f"--bind-addr={HOST}:{self.gossip_port}", f"--rpc-port={self.rpc_port}", "--profile=local"]
        command += [f"--retry-join={HOST}:{port}" for port in join] + (["--retry-interval=1s"] if join else [])
        if self.server:
            command += ["--server", f"--http-addr={HOST}:{self.port}", *self._options]
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

    def call(self, method: str, path: str, body: object = None, timeout: float = 5) -> Any:
        """One request. Raises OSError when it is not answered or refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{HOST}:{self.port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"null")

    def leads(self) -> bool:
        """Whether it says that it leads."""
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


class Cluster:
    """Servers and agents on one etcd; ended, with all their processes, by `clean_up`."""

    def __init__(self, folder: Path, *, servers: int = 3, agents: int = 0) -> None:
        self.folder = folder
        (folder / "etcd").mkdir(parents=True)
        self.etcd = Etcd(folder / "etcd").start()
        options = ["--backend=etcd", f"--backend-machine={self.etcd.address}", f"--bootstrap-expect={servers}"]
        self.servers = [ClusterNode(folder, f"s{i}", options) for i in range(1, servers + 1)]
        self.agents = [ClusterNode(folder, f"a{i}", [], server=False) for i in range(1, agents + 1)]
        self.witness = folder / "witness"
        self.witness.touch()

    @property
    def nodes(self) -> list[ClusterNode]:
        return [*self.servers, *self.agents]

    def start(self) -> None:
        """Start all that do not run, and wait until one leads and knows them all."""
        for node in self.nodes:
            if not node.alive:
                node.start([other.gossip_port for other in self.nodes if other is not node])
        for server in self.servers:
            until(lambda node=server: self._knows_all(node), 30, f"{server.name} knows all members and a leader")

    def _knows_all(self, node: ClusterNode) -> bool:
        try:
            members = node.call("GET", "/v1/members")
            return node.call("GET", "/health")["leader_name"] and sum(m["Status"] == 1 for m in members) == len(
                self.nodes
            )
        except OSError:
            return False

    def leader(self) -> ClusterNode | None:
        """The server that says that it leads."""
        return next((server for server in self.servers if server.alive and server.leads()), None)

    def wait_for_leader(self, within: float = 15) -> ClusterNode:
        return until(self.leader, within, "a server leads")

    def follower(self) -> ClusterNode:
        """A living server that does not lead."""
        leader = self.leader()
        return next(server for server in self.servers if server.alive and server is not leader)

    def any(self) -> ClusterNode:
        return next(server for server in self.servers if server.alive)

    def add_jobs(self, count: int = 10, node: str = "") -> None:
        """Jobs that fire each second and append their name and fire time to the witness file."""
        for index in range(count):
            command = f"echo $DKRON_JOB_NAME $DKRON_FIRE_TIME $(date +%s.%N) >> {self.witness}"
            self.any().call(
                "POST",
                "/v1/jobs",
                {
                    "name": f"job{index}",
                    "schedule": "* * * * * *",
                    "tags": {"node": node} if node else {"server": "true:1"},
                    "executor": "shell",
                    "executor_config": {"shell": "true", "command": command},
                },
            )

    def judge(self, since: float, until_: float, jobs: int = 10) -> Verdict:
        """Compare the witness file with the fires due in [since, until) (seconds since the epoch)."""
        starts: list[float] = []
        seen: Counter[tuple[str, int]] = Counter()
        for line in self.witness.read_text().splitlines():
            job, fire, at = line.split()
            second = int(time.mktime(time.strptime(fire, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)
            if since <= second < until_:
                seen[job, second] += 1
                starts.append(float(at))
        due = {(f"job{index}", second) for index in range(jobs) for second in range(int(since) + 1, int(until_))}
        starts.sort()
        silence = max((b - a for a, b in pairwise(starts)), default=float("inf"))
        doubled = [key for key, count in seen.items() if count > 1]
        return Verdict(sorted(due - set(seen)), doubled, sum(seen.values()), silence)

    def clean_up(self) -> None:
        for node in self.nodes:
            node.clean_up()
        self.etcd.kill()


def unreachable(error: BaseException) -> bool:
    """Whether a call failed because nobody answered."""
    return isinstance(error, urllib.error.URLError | ConnectionError | TimeoutError)
